//! The value of one field, and the key of one item.

use std::fmt;
use std::sync::Arc;

use serde_json::Value as Json;
use uuid::Uuid;

use crate::clock::Timestamp;

/// The value of one field of one item.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Value {
    /// Nothing.
    Null,
    /// True or false.
    Boolean(bool),
    /// A 64-bit integer.
    Integer(i64),
    /// Text. Shared, since the same content goes to many readers.
    Text(Arc<str>),
    /// The identifier of an account, role, policy, access row or session.
    Uuid(Uuid),
    /// An instant.
    Timestamp(Timestamp),
    /// A JSON document, kept as it was given.
    Json(Arc<Json>),
}

impl Value {
    /// Returns a text value.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::Text(Arc::from(text))
    }

    /// Returns whether this is nothing.
    #[must_use]
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Returns the text, if this is text.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns how many bytes its text has, or its document as text; none if it is neither.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Json(document) => document.to_string().len(),
            _ => 0,
        }
    }

    /// Returns the identifier, if this is one.
    #[must_use]
    pub const fn as_uuid(&self) -> Option<Uuid> {
        match self {
            Self::Uuid(id) => Some(*id),
            _ => None,
        }
    }

    /// Returns the integer, if this is one.
    #[must_use]
    pub const fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// Returns whether this is `true`; anything else is not.
    #[must_use]
    pub const fn is_true(&self) -> bool {
        matches!(self, Self::Boolean(true))
    }

    /// Returns the instant, if this is one.
    #[must_use]
    pub const fn as_timestamp(&self) -> Option<Timestamp> {
        match self {
            Self::Timestamp(at) => Some(*at),
            _ => None,
        }
    }

    /// Returns the JSON form that clients see.
    #[must_use]
    pub fn to_json(&self) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Boolean(flag) => Json::Bool(*flag),
            Self::Integer(number) => Json::from(*number),
            Self::Text(text) => Json::String(text.to_string()),
            Self::Uuid(id) => Json::String(id.to_string()),
            Self::Timestamp(at) => Json::String(at.to_string()),
            Self::Json(document) => Json::clone(document),
        }
    }

    /// Returns the key this value is, if it can be one.
    #[must_use]
    pub const fn as_key(&self) -> Option<Key> {
        match self {
            Self::Integer(number) => Some(Key::Integer(*number)),
            Self::Uuid(id) => Some(Key::Uuid(*id)),
            _ => None,
        }
    }
}

impl From<Option<Uuid>> for Value {
    fn from(id: Option<Uuid>) -> Self {
        id.map_or(Self::Null, Self::Uuid)
    }
}

impl From<Key> for Value {
    fn from(key: Key) -> Self {
        match key {
            Key::Integer(number) => Self::Integer(number),
            Key::Uuid(id) => Self::Uuid(id),
        }
    }
}

/// The primary key of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// Of messages and permissions: counted up by the server.
    Integer(i64),
    /// Of everything else.
    Uuid(Uuid),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(number) => number.fmt(f),
            Self::Uuid(id) => id.fmt(f),
        }
    }
}
