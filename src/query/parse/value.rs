//! One value of a filter to the type of the field it is compared with.

use serde_json::Value as Json;
use uuid::Uuid;

use crate::model::Kind;
use crate::model::Value;
use crate::query::QueryError;
use crate::query::date;
use crate::query::parse::number::whole;

/// Returns a text, number or boolean as a value of the kind; `operator` is for the complaint.
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
        // The other kinds have no operator that takes a value.
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
