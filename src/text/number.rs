//! Exact decimal numbers, without an intermediate float, which has 53 bits of precision.

/// Why a text is not a 64-bit integer.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not a number.
    Word,
    /// It has a fraction.
    Fraction,
    /// It does not fit into 64 bits.
    Huge,
}

/// Number of significant digits that suffice to distinguish any two floats.
const FRACTION_DIGITS_MAX: usize = 17;

/// A decimal number: its digits without leading and trailing zeros, and the last one's exponent.
#[derive(Debug, PartialEq, Eq)]
struct Decimal {
    negative: bool,
    digits: String,
    exponent: i64,
}

impl Decimal {
    /// Parses decimal digits with an optional sign, fraction and exponent.
    fn parse(text: &str) -> Option<Self> {
        let negative = text.starts_with('-');
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (mantissa, power) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let power_digits = power.strip_prefix(['-', '+']).unwrap_or(power);
        if !is_digits(whole) || !is_digits(fraction) || !is_digits(power_digits) {
            return None;
        }
        if whole.len() + fraction.len() == 0 || power_digits.is_empty() {
            return None;
        }
        let far = if power.starts_with('-') { i64::MIN / 2 } else { i64::MAX / 2 };
        let power = power.parse().unwrap_or(far).clamp(i64::MIN / 2, i64::MAX / 2);
        let all = [whole, fraction].concat();
        let short = all.trim_end_matches('0');
        let digits = short.trim_start_matches('0').to_owned();
        if digits.is_empty() {
            return Some(Self { negative: false, digits, exponent: 0 });
        }
        let length = |text: &str| i64::try_from(text.len()).unwrap_or(i64::MAX / 4);
        let exponent = power - length(fraction) + length(&all) - length(short);
        Some(Self { negative, digits, exponent })
    }
}

/// Parses an integer, in any of the forms `5`, `+5`, `5.0` and `5e3`.
///
/// # Errors
/// [`Fault`].
pub fn whole(text: &str) -> Result<i64, Fault> {
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    let decimal = Decimal::parse(text).ok_or(Fault::Word)?;
    let zeros = usize::try_from(decimal.exponent).map_err(|_| Fault::Fraction)?;
    if zeros > 20 {
        return Err(Fault::Huge);
    }
    let sign = if decimal.negative { "-" } else { "" };
    let written = format!("{sign}{}{}", decimal.digits, "0".repeat(zeros));
    if decimal.digits.is_empty() { Ok(0) } else { written.parse().map_err(|_| Fault::Huge) }
}

/// Returns whether parsing preserves a JSON number, as a 64-bit integer or as a float. A number
/// with a fraction may have up to 17 digits, enough to distinguish any two floats.
#[must_use]
pub fn is_kept(number: &str) -> bool {
    // Fast path: most numbers are short integers.
    let is_short = number.len() <= 15 && number.bytes().all(|byte| byte.is_ascii_digit());
    if is_short || number.parse::<i64>().is_ok() || number.parse::<u64>().is_ok() {
        return true;
    }
    // The parser rejects invalid numbers.
    let (Some(decimal), Ok(float)) = (Decimal::parse(number), number.parse::<f64>()) else {
        return true;
    };
    if decimal.digits.is_empty() {
        return true;
    }
    if decimal.exponent >= 0 {
        return float.is_finite() && Decimal::parse(&float.to_string()) == Some(decimal);
    }
    float.is_finite() && float != 0.0 && decimal.digits.len() <= FRACTION_DIGITS_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_parsed_exactly() {
        for (text, expected) in [
            ("5", Ok(5)),
            ("+5", Ok(5)),
            ("-1", Ok(-1)),
            ("5.0", Ok(5)),
            ("5.", Ok(5)),
            ("1e3", Ok(1000)),
            ("1.5e1", Ok(15)),
            ("150e-1", Ok(15)),
            ("-0.0", Ok(0)),
            ("0e999", Ok(0)),
            ("9007199254740993.0", Ok(9_007_199_254_740_993)),
            ("9.007199254740993e15", Ok(9_007_199_254_740_993)),
            ("-9223372036854775808.0", Ok(i64::MIN)),
            ("9223372036854775808", Err(Fault::Huge)),
            ("1e999", Err(Fault::Huge)),
            ("1e99999999999999999999", Err(Fault::Huge)),
            ("1.5", Err(Fault::Fraction)),
            ("1e-99999999999999999999", Err(Fault::Fraction)),
            ("", Err(Fault::Word)),
            (".", Err(Fault::Word)),
            ("e3", Err(Fault::Word)),
            ("1e", Err(Fault::Word)),
            ("1-2", Err(Fault::Word)),
            ("inf", Err(Fault::Word)),
            ("٥", Err(Fault::Word)),
        ] {
            assert_eq!(whole(text), expected, "{text}");
        }
    }

    #[test]
    fn numbers_are_kept_if_they_round_trip() {
        for number in [
            "0",
            "-0",
            "0.000",
            "9007199254740993",
            "-9223372036854775808",
            "18446744073709551615",
            "0.1",
            "-1.50",
            "3.141592653589793",
            "0.10000000000000001",
            "1e22",
            "1.7976931348623157e308",
            "5e-324",
            "1-2",
        ] {
            assert!(is_kept(number), "{number}");
        }
        for number in [
            "18446744073709551616",
            "123456789012345678901234567890",
            "-9223372036854775809",
            "9007199254740993.0",
            "9.007199254740993e15",
            "1e400",
            "-1e400",
            "1e-400",
            "0.123456789012345678901234567890",
        ] {
            assert!(!is_kept(number), "{number}");
        }
    }
}
