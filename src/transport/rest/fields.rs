//! Validates the fields of a body: it is an object, required fields exist and are texts or email
//! addresses, and there are no unknown fields.
//!
//! Messages and order of the errors are those of Directus. The handlers interpret the fields.

use serde_json::Map;
use serde_json::Value as Json;

use crate::domain::Error;

/// Returns the fields of a body; none if there is no body.
///
/// # Errors
/// [`Error::InvalidPayload`] for a list.
pub fn object(body: Option<Json>) -> Result<Map<String, Json>, Error> {
    match body {
        None => Ok(Map::new()),
        Some(Json::Object(body)) => Ok(body),
        Some(_) => Err(not_an_object()),
    }
}

/// Returns the error for a body that is not an object.
#[must_use]
pub fn not_an_object() -> Error {
    Error::payload("\"value\" must be of type object")
}

/// Requires that there are no other fields than these.
///
/// # Errors
/// [`Error::InvalidPayload`], naming the first unknown field.
pub fn nothing_else(body: &Map<String, Json>, known: &[&str]) -> Result<(), Error> {
    match body.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(Error::payload(format!("\"{name}\" is not allowed"))),
    }
}

/// Returns a required text that must not be empty.
///
/// # Errors
/// [`Error::InvalidPayload`], naming the field.
pub fn require_text<'a>(body: &'a Map<String, Json>, name: &str) -> Result<&'a str, Error> {
    match require_text_even_empty(body, name)? {
        "" => Err(Error::payload(format!("\"{name}\" is not allowed to be empty"))),
        text => Ok(text),
    }
}

/// Returns a required text.
///
/// # Errors
/// [`Error::InvalidPayload`], naming the field.
pub fn require_text_even_empty<'a>(
    body: &'a Map<String, Json>,
    name: &str,
) -> Result<&'a str, Error> {
    match body.get(name) {
        None => Err(Error::payload(format!("\"{name}\" is required"))),
        Some(Json::String(text)) => Ok(text),
        Some(_) => Err(not_a_text(name)),
    }
}

/// Returns an optional text that may be null.
///
/// # Errors
/// [`Error::InvalidPayload`], naming the field.
pub fn optional_text<'a>(
    body: &'a Map<String, Json>,
    name: &str,
) -> Result<Option<&'a str>, Error> {
    match body.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => Ok(Some(text)),
        Some(_) => Err(not_a_text(name)),
    }
}

/// Returns the email address in `email`.
///
/// # Errors
/// [`Error::InvalidPayload`] if it is missing or malformed.
pub fn require_address(body: &Map<String, Json>) -> Result<&str, Error> {
    let email = require_text(body, "email")?;
    if looks_like_an_address(email) { Ok(email) } else { Err(not_an_address()) }
}

/// Returns whether a text has the form of an email address.
#[must_use]
pub fn looks_like_an_address(email: &str) -> bool {
    let parts = email.rsplit_once('@');
    parts.is_some_and(|(name, host)| {
        !name.is_empty() && !host.is_empty() && !email.contains(char::is_whitespace)
    })
}

/// Returns the error for a malformed `email`.
#[must_use]
pub fn not_an_address() -> Error {
    Error::payload("\"email\" must be a valid email")
}

fn not_a_text(name: &str) -> Error {
    Error::payload(format!("\"{name}\" must be a string"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body(json: Json) -> Map<String, Json> {
        object(Some(json)).unwrap()
    }

    fn reason<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
        match result {
            Err(Error::InvalidPayload(reason)) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_error_names_the_invalid_field() {
        assert_eq!(reason(object(Some(json!([])))), "\"value\" must be of type object");
        assert_eq!(
            reason(require_text(&body(json!({"otp": ""})), "otp")),
            "\"otp\" is not allowed to be empty"
        );
        assert_eq!(
            reason(require_text_even_empty(&body(json!({"otp": null})), "otp")),
            "\"otp\" must be a string"
        );
        assert_eq!(
            reason(require_address(&body(json!({"email": "x"})))),
            "\"email\" must be a valid email"
        );
        assert_eq!(
            reason(optional_text(&body(json!({"first_name": 7})), "first_name")),
            "\"first_name\" must be a string"
        );
        assert_eq!(
            reason(nothing_else(&body(json!({"email": 1, "role": 2})), &["email"])),
            "\"role\" is not allowed"
        );
        assert_eq!(optional_text(&body(json!({"x": null})), "x").unwrap(), None);
        assert_eq!(require_text_even_empty(&body(json!({"x": ""})), "x").unwrap(), "");
        assert_eq!(object(None).unwrap(), Map::new());
    }
}
