//! Checks of a JSON text before it is parsed: its nesting depth and the precision of its numbers.
//! Also a search of the texts in a document.
//!
//! A parser that builds a tree recurses as deeply as the text nests, as does every later traversal
//! of the tree. It stores numbers as 64-bit integers or floats, and would change any other number.
//! Only brackets and numbers are examined here: the parser checks the syntax.

use std::fmt;

use serde_json::Value;

use crate::text::number;

/// Maximum length of a number in an error text, in bytes.
const SHOWN_MAX: usize = 40;

/// Why a JSON text is rejected.
#[derive(Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It nests deeper than this limit.
    Deep(usize),
    /// It contains this number, which would be rounded.
    Number(String),
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deep(depth_max) => write!(f, "JSON nests at most {depth_max} levels deep"),
            Self::Number(number) => {
                let end = number.floor_char_boundary(SHOWN_MAX);
                let more = if end < number.len() { "…" } else { "" };
                write!(
                    f,
                    "The number {}{more} would be rounded: send it as a string",
                    &number[..end]
                )
            }
        }
    }
}

/// Checks that a text nests at most `depth_max` levels deep, and that parsing preserves every
/// number.
///
/// # Errors
/// [`Unfit`]. Excessive depth takes precedence over numbers.
pub fn check(json: &[u8], depth_max: usize) -> Result<(), Unfit> {
    let (mut depth, mut index) = (0_usize, 0);
    let mut rounded = None;
    while let Some(byte) = json.get(index) {
        index += 1;
        match byte {
            b'"' => index = behind_text(json, index),
            b'[' | b'{' => {
                depth += 1;
                if depth > depth_max {
                    return Err(Unfit::Deep(depth_max));
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'-' | b'0'..=b'9' => {
                let rest = &json[index - 1..];
                let length = rest.iter().take_while(|byte| is_of_number(**byte)).count();
                let number = str::from_utf8(&rest[..length]).unwrap_or_default();
                if rounded.is_none() && !number::is_kept(number) {
                    rounded = Some(Unfit::Number(number.to_owned()));
                }
                index += length - 1;
            }
            _ => {}
        }
    }
    rounded.map_or(Ok(()), Err)
}

/// Returns whether some text value fits.
#[must_use]
pub fn any_text(json: &Value, fits: &impl Fn(&str) -> bool) -> bool {
    match json {
        Value::String(text) => fits(text),
        Value::Array(parts) => parts.iter().any(|part| any_text(part, fits)),
        Value::Object(parts) => parts.values().any(|part| any_text(part, fits)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Returns the index after the closing quote of a string. `begin` is after the opening quote.
fn behind_text(json: &[u8], begin: usize) -> usize {
    let mut index = begin;
    while let Some(byte) = json.get(index) {
        match byte {
            b'\\' => index += 2,
            b'"' => return index + 1,
            _ => index += 1,
        }
    }
    json.len()
}

const fn is_of_number(byte: u8) -> bool {
    matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(depth: usize) -> Vec<u8> {
        [b"[".repeat(depth), b"]".repeat(depth)].concat()
    }

    fn is_within(json: &[u8], depth_max: usize) -> bool {
        check(json, depth_max).is_ok()
    }

    #[test]
    fn the_depth_limit_is_inclusive() {
        assert!(is_within(&nested(32), 32));
        assert!(!is_within(&nested(33), 32));
    }

    #[test]
    fn objects_and_arrays_both_add_depth() {
        assert!(is_within(br#"{"a":[{}]}"#, 3));
        assert!(!is_within(br#"{"a":[{"b":{}}]}"#, 3));
    }

    #[test]
    fn siblings_do_not_add_depth() {
        assert!(is_within(b"[{},{},{},[],[]]", 2));
    }

    #[test]
    fn brackets_in_strings_are_ignored() {
        assert!(is_within(br#"["[[[[{{{{"]"#, 1));
        assert!(is_within(br#"["\"[[[["]"#, 1));
        assert!(!is_within(br#"["\\",[[]]]"#, 2));
        assert!(is_within(b"\"[[[", 0));
        assert!(is_within(b"\"\\", 0));
    }

    #[test]
    fn unmatched_closing_brackets_are_ignored() {
        assert!(!is_within(b"]]]][[[", 2));
        assert_eq!(check(b"[1e400,[[[[", 2), Err(Unfit::Deep(2)));
    }

    #[test]
    fn an_inexact_number_is_reported() {
        for (json, number) in [
            ("[1,2.5,-3e2,9007199254740993]", None),
            (r#"{"a":"123456789012345678901234567890"}"#, None),
            (r#"{"a":[1,123456789012345678901234567890]}"#, Some("123456789012345678901234567890")),
            ("[1e400,1e500]", Some("1e400")),
            ("-1e-400", Some("-1e-400")),
            (r#"{"a\"":9007199254740993.0}"#, Some("9007199254740993.0")),
        ] {
            let expected = number.map_or(Ok(()), |number| Err(Unfit::Number(number.to_owned())));
            assert_eq!(check(json.as_bytes(), 32), expected, "{json}");
        }
    }

    #[test]
    fn a_long_number_is_truncated_in_the_error() {
        let refused = check("9".repeat(1000).as_bytes(), 32).unwrap_err().to_string();

        let shown = "9".repeat(40);
        assert_eq!(refused, format!("The number {shown}… would be rounded: send it as a string"));
    }
}
