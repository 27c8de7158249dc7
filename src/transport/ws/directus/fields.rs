//! Reads the fields of a frame one by one, and builds the errors for invalid ones.

use std::collections::HashMap;
use std::fmt::Write;

use serde_json::value::RawValue;
use serde_json::{Map, Value as Json};

use crate::text::json;
use crate::text::json::Unfit;
use crate::transport::lone_surrogates;
use crate::transport::ws::directus::uid::Uid;

/// Maximum length of a `uid` in bytes: subscriptions store theirs.
const UID_MAX: usize = 1024;

/// A malformed frame: `INVALID_PAYLOAD`.
#[derive(Debug, PartialEq)]
pub struct Invalid {
    /// The area of the frame, which is the `type` of the error frame.
    pub area: &'static str,
    /// The reason, for the client.
    pub message: String,
    /// The client's identifier of the request, if it could be read.
    pub uid: Option<Uid>,
}

/// The fields of a frame that have not been read yet.
pub struct Fields {
    /// The area of the frame, which is the `type` of an error frame.
    pub area: &'static str,
    /// The client's identifier of the frame.
    pub uid: Option<Uid>,
    others: Map<String, Json>,
}

impl Fields {
    /// Parses the object of a frame and its optional `uid`.
    ///
    /// # Errors
    /// [`Invalid`], with the area `server`. Nesting deeper than `depth_max` and numbers that would
    /// be rounded are rejected as well.
    pub fn parse(text: &[u8], depth_max: usize) -> Result<Self, Invalid> {
        match json::check(text, depth_max) {
            Ok(()) => {}
            Err(Unfit::Deep(_)) => {
                let message = format!("Validation error: Nested deeper than {depth_max} levels");
                return Err(Invalid { area: "server", message, uid: None });
            }
            Err(Unfit::Number(_)) => check_beside_uid(text)?,
        }
        let mut json = lone_surrogates::from_slice::<Json>(text).map_err(|_| Invalid {
            area: "server",
            message: "Unable to parse the incoming message.".to_owned(),
            uid: None,
        })?;
        drop_prototypes(&mut json);
        let Json::Object(others) = json else {
            let message = mismatch("object", Some(&json), None);
            return Err(Invalid { area: "server", message, uid: None });
        };
        let mut fields = Self { area: "server", uid: None, others };
        let uid = fields.take("uid");
        fields.uid = read_uid(uid, text)?;
        Ok(fields)
    }

    /// Removes a field of any type.
    pub fn take(&mut self, name: &str) -> Option<Json> {
        self.others.remove(name)
    }

    /// Removes a required text field.
    ///
    /// # Errors
    /// [`Invalid`], with the current area.
    pub fn require_text(&mut self, name: &str) -> Result<String, Invalid> {
        match self.take(name) {
            Some(Json::String(text)) => Ok(text),
            other => Err(self.invalid("string", other.as_ref(), name)),
        }
    }

    /// Removes an optional text field.
    ///
    /// # Errors
    /// [`Invalid`], with the current area.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, Invalid> {
        match self.take(name) {
            None | Some(Json::Null) => Ok(None),
            Some(Json::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.invalid("string", Some(&other), name)),
        }
    }

    /// Removes an optional field that is the key of an item.
    ///
    /// # Errors
    /// [`Invalid`], with the current area.
    pub fn key(&mut self, name: &str) -> Result<Option<Json>, Invalid> {
        match self.take(name) {
            None | Some(Json::Null) => Ok(None),
            Some(key) if is_key(&key) => Ok(Some(key)),
            Some(other) => Err(self.invalid("string or number", Some(&other), name)),
        }
    }

    /// Removes the optional query, an object.
    ///
    /// # Errors
    /// [`Invalid`], with the current area.
    pub fn query(&mut self) -> Result<Option<Json>, Invalid> {
        match self.take("query") {
            None | Some(Json::Null) => Ok(None),
            Some(query @ Json::Object(_)) => Ok(Some(query)),
            Some(other) => Err(self.invalid("object", Some(&other), "query")),
        }
    }

    /// Returns the option with the text of a field.
    ///
    /// # Errors
    /// [`Invalid`], with the current area.
    pub fn choice<T: Copy>(
        &self,
        options: &[(&str, T)],
        value: &Json,
        name: &str,
    ) -> Result<T, Invalid> {
        let found = options.iter().find(|(text, _)| value == text);
        found.map(|(_, option)| *option).ok_or_else(|| {
            let texts: Vec<_> = options.iter().map(|(text, _)| format!("'{text}'")).collect();
            self.invalid(&format!("one of {}", texts.join(", ")), Some(value), name)
        })
    }

    /// Returns the error for an invalid field.
    pub fn invalid(&self, expected: &str, found: Option<&Json>, name: &str) -> Invalid {
        Invalid {
            area: self.area,
            message: mismatch(expected, found, Some(name)),
            uid: self.uid.clone(),
        }
    }
}

/// Reads the client's identifier of a frame.
fn read_uid(uid: Option<Json>, frame: &[u8]) -> Result<Option<Uid>, Invalid> {
    Ok(match uid {
        None => None,
        Some(Json::String(text)) if text.len() <= UID_MAX => Some(Uid::Text(text)),
        Some(Json::String(_)) => return Err(too_long()),
        Some(Json::Number(number)) if !number.is_f64() => Some(Uid::Number(number)),
        Some(Json::Number(_)) => Some(Uid::as_written(frame, UID_MAX).ok_or_else(too_long)?),
        Some(other) => {
            let message = mismatch("string or number", Some(&other), Some("uid"));
            return Err(Invalid { area: "server", message, uid: None });
        }
    })
}

/// Rejects a frame with a number that would be rounded, except in its `uid`, which is echoed as it
/// was written.
fn check_beside_uid(frame: &[u8]) -> Result<(), Invalid> {
    let mended = lone_surrogates::mend(frame);
    // Invalid JSON is rejected later.
    let Ok(fields) = serde_json::from_slice::<HashMap<String, &RawValue>>(&mended) else {
        return Ok(());
    };
    for (_, field) in fields.iter().filter(|(name, _)| *name != "uid") {
        if let Err(unfit) = json::check(field.get().as_bytes(), usize::MAX) {
            let uid = fields.get("uid").and_then(|uid| serde_json::from_str(uid.get()).ok());
            let message = format!("Validation error: {unfit}");
            let uid = read_uid(uid, frame).ok().flatten();
            return Err(Invalid { area: "server", message, uid });
        }
    }
    Ok(())
}

/// Returns the error for a `uid` that is too long.
fn too_long() -> Invalid {
    let message = format!("Validation error: Longer than {UID_MAX} bytes at \"uid\"");
    Invalid { area: "server", message, uid: None }
}

/// Describes the expected type, the received type, and the field.
fn mismatch(expected: &str, found: Option<&Json>, name: Option<&str>) -> String {
    let mut message = match found {
        None => format!("Validation error: Required, expected {expected}"),
        Some(found) => {
            format!("Validation error: Expected {expected}, received {}", kind(found, expected))
        }
    };
    if let Some(name) = name {
        // Writing to a string does not fail.
        let _ = write!(message, " at \"{name}\"");
    }
    message
}

/// Returns the type of a value, or a short text itself where one of several texts was expected.
fn kind(value: &Json, expected: &str) -> String {
    match value {
        Json::Null => "null".to_owned(),
        Json::Bool(_) => "boolean".to_owned(),
        Json::Number(_) => "number".to_owned(),
        Json::String(text) if expected.starts_with("one of") && text.len() <= 40 => {
            format!("'{text}'")
        }
        Json::String(_) => "string".to_owned(),
        Json::Array(_) => "array".to_owned(),
        Json::Object(_) => "object".to_owned(),
    }
}

/// Returns whether a value has the type of a key.
#[must_use]
pub const fn is_key(value: &Json) -> bool {
    matches!(value, Json::String(_) | Json::Number(_))
}

/// Drops keys that would change the prototype of a JavaScript object, so that none is stored.
fn drop_prototypes(value: &mut Json) {
    match value {
        Json::Object(fields) => {
            if fields.contains_key("__proto__") {
                fields.shift_remove("__proto__");
            }
            fields.values_mut().for_each(drop_prototypes);
        }
        Json::Array(values) => values.iter_mut().for_each(drop_prototypes),
        _ => {}
    }
}
