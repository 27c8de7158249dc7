//! One stored item: the values of all fields of its collection, in the order of the schema.

use std::ops::Index;

use crate::model::collection::Collection;
use crate::model::collection::Field;
use crate::model::value::Key;
use crate::model::value::Value;

/// One stored item. To-many fields (`Kind::ToMany`) are null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    collection: &'static Collection,
    values: Box<[Value]>,
}

impl Row {
    /// Returns a row with every field null.
    #[must_use]
    pub fn empty(collection: &'static Collection) -> Self {
        Self { collection, values: vec![Value::Null; collection.fields.len()].into() }
    }

    /// Returns the collection the row belongs to.
    #[must_use]
    pub const fn collection(&self) -> &'static Collection {
        self.collection
    }

    /// Returns the value of the named field; null if the collection has no such field.
    #[must_use]
    pub fn value(&self, field: &str) -> &Value {
        self.collection.field(field).map_or(&Value::Null, |field| &self[field])
    }

    /// Sets the value of a field of the row's collection.
    pub fn set(&mut self, field: &'static Field, value: Value) {
        self.values[field.index] = value;
    }

    /// Returns this row with the named field set; unchanged if the collection has no such field.
    #[must_use]
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        if let Some(field) = self.collection.field(field) {
            self.set(field, value.into());
        }
        self
    }

    /// Returns the total size of its texts and documents in bytes.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        self.values.iter().map(Value::text_bytes).sum()
    }

    /// Returns the key, or `None` before the writer has assigned one.
    #[must_use]
    pub fn key(&self) -> Option<Key> {
        self[self.collection.key()].as_key()
    }
}

impl Index<&'static Field> for Row {
    type Output = Value;

    fn index(&self, field: &'static Field) -> &Value {
        &self.values[field.index]
    }
}
