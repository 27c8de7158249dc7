//! Typed request bodies: required fields exist, texts and email addresses are such, and there are
//! no unknown fields.
//!
//! A body is declared once, as an object type of poem-openapi, which documents it. Messages and
//! order of the errors are those of Directus.

use poem_openapi::registry::MetaSchema;
use poem_openapi::types::Type;
use serde_json::{Map, Value as Json};

use crate::domain::Error;
use crate::transport::rest::openapi::docs::formats;

/// A request body.
pub trait Body: Type + Sized {
    /// The names of its fields.
    const NAMES: &'static [&'static str];

    /// Reads the fields in their order.
    ///
    /// # Errors
    /// [`Error::InvalidPayload`] for the first invalid field.
    fn read(body: &Map<String, Json>) -> Result<Self, Error>;
}

/// Declares request bodies: object types of poem-openapi that implement [`Body`].
macro_rules! body {
    ($(
        $(#[$about:meta])*
        $visibility:vis struct $name:ident {
            $($(#[$doc:meta])* $field:ident: $type:ty,)*
        }
    )*) => {$(
        $(#[$about])*
        #[derive(::poem_openapi::Object)]
        $visibility struct $name {
            $($(#[$doc])* $field: $type,)*
        }

        impl $crate::transport::rest::fields::Body for $name {
            const NAMES: &'static [&'static str] = &[$(stringify!($field)),*];

            fn read(
                body: &::serde_json::Map<String, ::serde_json::Value>,
            ) -> Result<Self, $crate::domain::Error> {
                use $crate::transport::rest::fields::Field;
                Ok(Self { $($field: {
                    let name = stringify!($field);
                    Field::read(body.get(name), name)?
                },)* })
            }
        }
    )*};
}
pub(super) use body;

/// The type of a field of a request body.
pub trait Field: Sized {
    /// Reads the value of the field with this name.
    ///
    /// # Errors
    /// [`Error::InvalidPayload`], naming the field.
    fn read(value: Option<&Json>, name: &str) -> Result<Self, Error>;
}

formats! {
    /// A text that may be empty.
    Text(String) = MetaSchema::new("string");
    /// An email address.
    Address(String) = MetaSchema::new("string");
}

impl Field for Text {
    fn read(value: Option<&Json>, name: &str) -> Result<Self, Error> {
        match value {
            None => Err(Error::payload(format!("\"{name}\" is required"))),
            Some(Json::String(text)) => Ok(Self(text.clone())),
            Some(_) => Err(not_a_text(name)),
        }
    }
}

/// A required text that must not be empty.
impl Field for String {
    fn read(value: Option<&Json>, name: &str) -> Result<Self, Error> {
        match Text::read(value, name)?.0 {
            text if text.is_empty() => {
                Err(Error::payload(format!("\"{name}\" is not allowed to be empty")))
            }
            text => Ok(text),
        }
    }
}

/// An optional text that may be null.
impl Field for Option<String> {
    fn read(value: Option<&Json>, name: &str) -> Result<Self, Error> {
        match value {
            None | Some(Json::Null) => Ok(None),
            Some(Json::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(not_a_text(name)),
        }
    }
}

impl Field for Address {
    fn read(value: Option<&Json>, name: &str) -> Result<Self, Error> {
        let email = String::read(value, name)?;
        if looks_like_an_address(&email) { Ok(Self(email)) } else { Err(not_an_address()) }
    }
}

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

    body! {
        struct Sample {
            email: Address,
            otp: String,
            string: Text,
            first_name: Option<String>,
        }
    }

    fn reason<T>(result: Result<T, Error>) -> String {
        match result {
            Err(Error::InvalidPayload(reason)) => reason,
            Err(other) => panic!("{other:?}"),
            Ok(_) => panic!("this should have been refused"),
        }
    }

    #[test]
    fn an_error_names_the_first_invalid_field() {
        assert_eq!(reason(object(Some(json!([])))), "\"value\" must be of type object");
        for (body, expected) in [
            (json!({}), "\"email\" is required"),
            (json!({"email": 7}), "\"email\" must be a string"),
            (json!({"email": ""}), "\"email\" is not allowed to be empty"),
            (json!({"email": "x"}), "\"email\" must be a valid email"),
            (json!({"email": "a@b.c"}), "\"otp\" is required"),
            (json!({"email": "a@b.c", "otp": ""}), "\"otp\" is not allowed to be empty"),
            (json!({"email": "a@b.c", "otp": "1"}), "\"string\" is required"),
            (json!({"email": "a@b.c", "otp": "1", "string": null}), "\"string\" must be a string"),
            (
                json!({"email": "a@b.c", "otp": "1", "string": "", "first_name": 7}),
                "\"first_name\" must be a string",
            ),
        ] {
            assert_eq!(reason(Sample::read(body.as_object().unwrap())), expected, "{body}");
        }
    }

    #[test]
    fn optional_texts_may_be_null_and_some_texts_empty() {
        let body = json!({"email": "a@b.c", "otp": "1", "string": "", "first_name": null});
        let sample = Sample::read(body.as_object().unwrap()).unwrap();

        assert_eq!((sample.email.0, sample.otp), ("a@b.c".to_owned(), "1".to_owned()));
        assert_eq!((sample.string.0, sample.first_name), (String::new(), None));
        assert_eq!(object(None).unwrap(), Map::new());
    }

    #[test]
    fn unknown_fields_can_be_refused() {
        let body = json!({"email": 1, "role": 2});
        let body = body.as_object().unwrap();

        assert_eq!(reason(nothing_else(body, &["email"])), "\"role\" is not allowed");
        assert!(nothing_else(body, &["email", "role"]).is_ok());
    }
}
