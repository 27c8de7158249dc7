//! Converts a filter operand to the type of the field it is compared with.

use serde_json::Value as Json;
use uuid::Uuid;

use crate::model::Kind;
use crate::model::Value;
use crate::query::QueryError;
use crate::query::date;
use crate::query::parse::number::whole;

/// Converts a text, number or boolean to a value of the type; `operator` is for the error.
pub fn value(kind: Kind, json: &Json, operator: &str) -> Result<Value, QueryError> {
    let text = match json {
        Json::String(text) => text,
        Json::Number(number) => &number.to_string(),
        Json::Bool(flag) => &flag.to_string(),
        Json::Null | Json::Array(_) | Json::Object(_) => return Err(not_scalar(operator)),
    };
    match kind {
        Kind::Integer => whole(json)
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
