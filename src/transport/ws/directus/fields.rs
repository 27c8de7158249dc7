//! The fields of a frame, one by one, and the words for what is wrong with them.

use std::collections::HashMap;
use std::fmt::Write;

use serde_json::Map;
use serde_json::Value as Json;
use serde_json::value::RawValue;

use crate::text::json;
use crate::text::json::Unfit;
use crate::transport::lone_surrogates;
use crate::transport::ws::directus::uid::Uid;

/// How long a client's name for something may be, in bytes: subscriptions keep theirs.
const UID_MAX: usize = 1024;

/// A frame that makes no sense: `INVALID_PAYLOAD`.
#[derive(Debug, PartialEq)]
pub struct Invalid {
    /// What the frame was about, as errors name it in their `type`.
    pub area: &'static str,
    /// Why, for the client.
    pub message: String,
    /// The client's name for the request, where it can be told.
    pub uid: Option<Uid>,
}

/// The fields of a frame that have not been looked at yet.
pub struct Fields {
    /// What the frame is about, as errors name it in their `type`.
    pub area: &'static str,
    /// The client's name for it.
    pub uid: Option<Uid>,
    others: Map<String, Json>,
}

impl Fields {
    /// Reads the object that a frame has to be, and the name it may have.
    ///
    /// # Errors
    /// [`Invalid`], about the `server`, also if it nests deeper than `depth_max` or has numbers that would be
    /// rounded.
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

    /// Takes a field out, whatever it is.
    pub fn take(&mut self, name: &str) -> Option<Json> {
        self.others.remove(name)
    }

    /// Takes out a field that has to be there and text.
    ///
    /// # Errors
    /// [`Invalid`], about this area.
    pub fn require_text(&mut self, name: &str) -> Result<String, Invalid> {
        match self.take(name) {
            Some(Json::String(text)) => Ok(text),
            other => Err(self.invalid("string", other.as_ref(), name)),
        }
    }

    /// Takes out a field that is text, or nothing.
    ///
    /// # Errors
    /// [`Invalid`], about this area.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, Invalid> {
        match self.take(name) {
            None | Some(Json::Null) => Ok(None),
            Some(Json::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.invalid("string", Some(&other), name)),
        }
    }

    /// Takes out a field that is the key of an item, or nothing.
    ///
    /// # Errors
    /// [`Invalid`], about this area.
    pub fn key(&mut self, name: &str) -> Result<Option<Json>, Invalid> {
        match self.take(name) {
            None | Some(Json::Null) => Ok(None),
            Some(key) if is_key(&key) => Ok(Some(key)),
            Some(other) => Err(self.invalid("string or number", Some(&other), name)),
        }
    }

    /// Takes out the query, an object or nothing.
    ///
    /// # Errors
    /// [`Invalid`], about this area.
    pub fn query(&mut self) -> Result<Option<Json>, Invalid> {
        match self.take("query") {
            None | Some(Json::Null) => Ok(None),
            Some(query @ Json::Object(_)) => Ok(Some(query)),
            Some(other) => Err(self.invalid("object", Some(&other), "query")),
        }
    }

    /// Returns what is wrong with a field.
    pub fn invalid(&self, expected: &str, found: Option<&Json>, name: &str) -> Invalid {
        Invalid {
            area: self.area,
            message: mismatch(expected, found, Some(name)),
            uid: self.uid.clone(),
        }
    }
}

/// Returns the client's name for a frame.
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

/// Refuses a frame with a number that would be rounded, unless that is its `uid`, which comes back as it
/// was written.
fn check_beside_uid(frame: &[u8]) -> Result<(), Invalid> {
    let mended = lone_surrogates::mend(frame);
    // What is no JSON is refused later.
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

/// Returns what is wrong with a client's name that is too long.
fn too_long() -> Invalid {
    let message = format!("Validation error: Longer than {UID_MAX} bytes at \"uid\"");
    Invalid { area: "server", message, uid: None }
}

/// Says what was expected, what came, and in which field.
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

/// Returns what a value is, or a short text itself where one of a few texts was expected.
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

/// Returns whether this has the type of a key.
#[must_use]
pub const fn is_key(value: &Json) -> bool {
    matches!(value, Json::String(_) | Json::Number(_))
}

/// Drops what would change the prototype of an object in JavaScript, so that it is never stored.
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
