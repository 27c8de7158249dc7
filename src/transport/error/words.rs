//! Messages of errors with several variants: permissions, foreign keys, violations.

use serde_json::Value as Json;

use crate::domain::{Forbidden, Violation};
use crate::model::TooLong;
use crate::transport::error::Wire;
use crate::transport::error::codes;
use crate::transport::rest;

/// The demand of each kind of rule, with the name of a detail in braces.
const DEMANDS: [(&str, &str); 21] = [
    ("null", "Value has to be null."),
    ("nnull", "Value can't be null."),
    ("empty", "Value has to be empty."),
    ("nempty", "Value can't be empty."),
    ("min_length", "Value has to be at least {valid} characters long."),
    ("max_length", "Value has to be at most {valid} characters long."),
    ("common", "Value is a very common password: choose another."),
    ("required", "Value is required."),
    ("regex", "Value doesn't have the correct format."),
    ("email", "Value has to be a valid email address."),
    ("eq", "Value has to be {valid}."),
    ("neq", "Value can't be {invalid}."),
    ("in", "Value has to be one of {valid}."),
    ("nin", "Value can't be one of {invalid}."),
    ("lt", "Value has to be less than {valid}."),
    ("lte", "Value has to be less than or equal to {valid}."),
    ("gt", "Value has to be greater than {valid}."),
    ("gte", "Value has to be greater than or equal to {valid}."),
    ("contains", "Value has to contain {substring}."),
    ("icontains", "Value has to contain {substring}."),
    ("ncontains", "Value can't contain {substring}."),
];

pub(super) fn forbidden(what: &Forbidden) -> Wire {
    let reason = match what {
        Forbidden::Item | Forbidden::Action => {
            return Wire::new(&codes::FORBIDDEN, "You don't have permission to access this.");
        }
        Forbidden::Collection(name) => format!(
            "You don't have permission to access collection \"{name}\" or it does not exist. \
             Queried in root."
        ),
        Forbidden::Fields { collection, fields, path } => {
            let place = if path.is_empty() { "root".to_owned() } else { format!("\"{path}\"") };
            let (noun, verb) =
                if fields.len() == 1 { ("field", "it does") } else { ("fields", "they do") };
            format!(
                "You don't have permission to access {noun} {} in collection \"{collection}\" or \
                 {verb} not exist. Queried in {place}.",
                quoted(fields)
            )
        }
        Forbidden::Update { collection, fields } => format!(
            "You don't have permissions to perform \"update\" for the field(s) {} in collection \
             \"{collection}\" or it does not exist.",
            quoted(fields)
        ),
        Forbidden::Delete { collection } => format!(
            "You don't have permission to perform \"delete\" for collection \"{collection}\" or \
             it does not exist."
        ),
    };
    Wire::new(&codes::FORBIDDEN, reason.clone()).with("reason", reason)
}

pub(super) fn foreign_page() -> Wire {
    let reason = "Cookies are not accepted from a page of another origin. Add its origin to \
                  CORS_ORIGIN, with CORS_ENABLED=true, or send the token in the Authorization \
                  header.";
    Wire::new(&codes::FORBIDDEN, reason).with("reason", reason)
}

pub(super) fn unsupported_coding(name: &str) -> Wire {
    let message = format!(
        "Unsupported media type \"{name}\" in header \"Content-Encoding\". Compress the body with \
         one of {}, or send it uncompressed.",
        rest::ACCEPTED_CODINGS
    );
    Wire::new(&codes::UNSUPPORTED_MEDIA_TYPE, message)
        .with("mediaType", name)
        .with("where", "header \"Content-Encoding\"")
}

pub(super) fn foreign_key(collection: &str, field: Option<&str>) -> Wire {
    let place = field.map(|field| format!(" for field \"{field}\"")).unwrap_or_default();
    let mut wire = Wire::new(
        &codes::INVALID_FOREIGN_KEY,
        format!("Invalid foreign key{place} in collection \"{collection}\"."),
    )
    .with("collection", collection);
    if let Some(field) = field {
        wire = wire.with("field", field);
    }
    wire
}

pub(super) fn not_unique(collection: &str, field: &str, value: &str) -> Wire {
    let message = format!(
        "Value \"{value}\" for field \"{field}\" in collection \"{collection}\" has to be unique."
    );
    Wire::new(&codes::RECORD_NOT_UNIQUE, message)
        .with("collection", collection)
        .with("field", field)
        .with("value", value)
}

pub(super) fn too_long(value: &TooLong) -> Wire {
    let TooLong { collection, field, most } = value;
    let reason = format!("It may have at most {most} characters");
    let message = format!(
        "Value for field \"{field}\" in collection \"{collection}\" is too long. {reason}."
    );
    Wire::new(&codes::VALUE_TOO_LONG, message)
        .with("collection", *collection)
        .with("field", *field)
        .with("max_length", *most)
        .with("reason", reason)
}

pub(super) fn violated(violation: &Violation) -> Wire {
    let Violation { field, kind, details } = violation;
    let mut message = format!("Validation failed for field \"{field}\".");
    if let Some(demand) = demand(kind, details) {
        message = format!("{message} {demand}");
    }
    if let Some((_, Json::String(reason))) = details.iter().find(|(name, _)| *name == "reason") {
        message = format!("{message} {reason}");
    }
    let mut wire = Wire::new(&codes::FAILED_VALIDATION, message)
        .with("field", field.as_str())
        .with("path", Json::Array(Vec::new()))
        .with("type", *kind);
    for (name, value) in details {
        wire = wire.with(name, value.clone());
    }
    wire
}

/// Returns the demand of a broken rule, with the detail that it names.
fn demand(kind: &str, details: &[(&'static str, Json)]) -> Option<String> {
    let (_, text) = DEMANDS.iter().find(|(known, _)| *known == kind)?;
    let Some((before, rest)) = text.split_once('{') else { return Some((*text).to_owned()) };
    let (name, after) = rest.split_once('}')?;
    let (_, value) = details.iter().find(|(known, _)| *known == name)?;
    Some(format!("{before}{}{after}", in_words(value)))
}

/// Returns names in quotation marks, separated by commas.
fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

/// Returns a value, or each value of a list, in quotation marks.
fn in_words(value: &Json) -> String {
    match value {
        Json::Array(values) => values.iter().map(in_words).collect::<Vec<_>>().join(", "),
        Json::String(text) => format!("\"{text}\""),
        other => format!("\"{other}\""),
    }
}
