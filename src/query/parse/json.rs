//! Reads values that are typed in a body, and texts in a query string.

use std::borrow::Cow;

use serde_json::Value as Json;
use uuid::Uuid;

use crate::model::{Kind, Value};
use crate::query::QueryError;
use crate::query::date;
use crate::text::json::check;
use crate::text::number;
use crate::text::number::Fault;

/// Parses a text as JSON, and returns any other JSON unchanged; `None` for a text that is not JSON.
///
/// # Errors
/// If the text has numbers that would be rounded.
pub fn decode(json: &Json) -> Result<Option<Cow<'_, Json>>, QueryError> {
    let Json::String(text) = json else { return Ok(Some(Cow::Borrowed(json))) };
    // The parser has a nesting limit of its own.
    check(text.as_bytes(), usize::MAX).map_err(|unfit| QueryError::invalid(unfit.to_string()))?;
    Ok(serde_json::from_str(text).ok().map(Cow::Owned))
}

/// Returns the integer. An empty text is 0, as in JavaScript.
pub fn integer(json: &Json) -> Result<i64, Fault> {
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

/// Converts a text, number or boolean to a value of the type; `operator` is for the error.
pub fn value(kind: Kind, json: &Json, operator: &str) -> Result<Value, QueryError> {
    let text = match json {
        Json::String(text) => text,
        Json::Number(number) => &number.to_string(),
        Json::Bool(flag) => &flag.to_string(),
        Json::Null | Json::Array(_) | Json::Object(_) => return Err(not_scalar(operator)),
    };
    match kind {
        Kind::Integer => integer(json)
            .ok()
            .filter(|_| !text.trim().is_empty())
            .map(Value::Integer)
            .ok_or("numeric"),
        Kind::Timestamp => date::parse(text).map(Value::Timestamp).ok_or("date"),
        Kind::Uuid => Uuid::try_parse(text.trim()).map(Value::Uuid).map_err(|_| "UUID"),
        Kind::Boolean => match text.as_str() {
            "true" | "1" => Ok(Value::Boolean(true)),
            "false" | "0" => Ok(Value::Boolean(false)),
            _ => Err("boolean"),
        },
        // The other types have no operator with a value.
        Kind::Text | Kind::Json | Kind::Secret | Kind::ToOne(_) | Kind::ToMany(..) => {
            Ok(Value::text(text))
        }
    }
    .map_err(|name| QueryError::invalid(format!("Invalid {name} value")))
}

pub fn not_scalar(operator: &str) -> QueryError {
    QueryError::invalid(format!(
        "The filter value for \"{operator}\" has to be a string, number, or boolean"
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_json_text_is_decoded_once() {
        let decoded = |json| decode(&json).unwrap().map(Cow::into_owned);

        assert_eq!(decoded(json!("{\"a\":\"1\"}")), Some(json!({"a": "1"})));
        assert_eq!(decoded(json!("\"1\"")), Some(json!("1")));
        assert_eq!(decoded(json!(1)), Some(json!(1)));
        assert_eq!(decoded(json!("{")), None);
        assert!(decode(&json!("{\"a\":123456789012345678901234567890}")).is_err());
    }

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
            assert_eq!(integer(&json), expected, "{json}");
        }
    }
}
