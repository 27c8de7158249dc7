//! The value of one field, and the key of one item.

use std::fmt;
use std::sync::Arc;

use serde_json::Value as Json;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::model::collection::DefaultValue;

/// The value of one field of one item.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Value {
    /// Null.
    Null,
    /// True or false.
    Boolean(bool),
    /// A 64-bit integer.
    Integer(i64),
    /// Text. Shared, since the same content is sent to many readers.
    Text(Arc<str>),
    /// The identifier of an account, role, policy, access row or session.
    Uuid(Uuid),
    /// A timestamp.
    Timestamp(Timestamp),
    /// A JSON document, unchanged.
    Json(Arc<Json>),
}

impl Value {
    /// Returns a text value.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::Text(Arc::from(text))
    }

    /// Returns whether this is null.
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

    /// Returns the size of its text, or of its document as text, in bytes; zero for other types.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Json(document) => document.to_string().len(),
            _ => 0,
        }
    }

    /// Returns the UUID, if this is one.
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

    /// Returns whether this is true, if this is a Boolean.
    #[must_use]
    pub const fn as_boolean(&self) -> Option<bool> {
        match self {
            Self::Boolean(flag) => Some(*flag),
            _ => None,
        }
    }

    /// Returns the document, if this is one.
    #[must_use]
    pub fn as_json(&self) -> Option<&Json> {
        match self {
            Self::Json(document) => Some(document),
            _ => None,
        }
    }

    /// Returns the timestamp, if this is one.
    #[must_use]
    pub const fn as_timestamp(&self) -> Option<Timestamp> {
        match self {
            Self::Timestamp(at) => Some(*at),
            _ => None,
        }
    }

    /// Returns the JSON representation for clients.
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

    /// Returns the value as a key, if it has a key type.
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

impl From<DefaultValue> for Value {
    fn from(value: DefaultValue) -> Self {
        match value {
            DefaultValue::Null => Self::Null,
            DefaultValue::Boolean(flag) => Self::Boolean(flag),
            DefaultValue::Text(text) => Self::text(text),
        }
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
    /// Of messages and permissions: assigned by the server in ascending order.
    Integer(i64),
    /// Of all other collections.
    Uuid(Uuid),
}

impl From<Uuid> for Key {
    fn from(id: Uuid) -> Self {
        Self::Uuid(id)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(number) => number.fmt(f),
            Self::Uuid(id) => id.fmt(f),
        }
    }
}
