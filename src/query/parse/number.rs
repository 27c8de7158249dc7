//! Integers, which are numbers in JSON and texts in query strings.

use serde_json::Value as Json;

use crate::text::number;
pub use crate::text::number::Fault;

/// Returns the integer. An empty text is 0, as in JavaScript.
pub fn whole(json: &Json) -> Result<i64, Fault> {
    match json {
        Json::Number(number) => match number.as_i64() {
            Some(number) => Ok(number),
            None => number::whole(&number.to_string()),
        },
        Json::String(text) if text.trim().is_empty() => Ok(0),
        Json::String(text) => number::whole(text.trim()),
        _ => Err(Fault::Word),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_and_numeric_texts_are_parsed_alike() {
        for (json, expected) in [
            (json!(5), Ok(5)),
            (json!("5"), Ok(5)),
            (json!(" 5 "), Ok(5)),
            (json!(""), Ok(0)),
            (json!(-1), Ok(-1)),
            (json!("-1"), Ok(-1)),
            (json!("+1"), Ok(1)),
            (json!(5.0), Ok(5)),
            (json!("5.0"), Ok(5)),
            (json!("1e3"), Ok(1000)),
            (json!(-0.0), Ok(0)),
            (json!(i64::MAX), Ok(i64::MAX)),
            (json!("-9223372036854775808"), Ok(i64::MIN)),
            (json!("9007199254740993.0"), Ok(9_007_199_254_740_993)),
            (json!(u64::MAX), Err(Fault::Huge)),
            (json!("9223372036854775808"), Err(Fault::Huge)),
            (json!("1e999"), Err(Fault::Huge)),
            (json!(1.5), Err(Fault::Fraction)),
            (json!("1.5"), Err(Fault::Fraction)),
            (json!("abc"), Err(Fault::Word)),
            (json!("5; drop table messages"), Err(Fault::Word)),
            (json!("inf"), Err(Fault::Word)),
            (json!("NaN"), Err(Fault::Word)),
            (json!("0x10"), Err(Fault::Word)),
            (json!("٥"), Err(Fault::Word)),
            (json!(true), Err(Fault::Word)),
            (json!([5]), Err(Fault::Word)),
            (json!({}), Err(Fault::Word)),
        ] {
            assert_eq!(whole(&json), expected, "{json}");
        }
    }
}
