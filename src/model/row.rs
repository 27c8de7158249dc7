//! One stored item: the values of all fields of its collection, in the order of the schema.

use std::ops::Index;

use crate::model::collection::Collection;
use crate::model::collection::Field;
use crate::model::value::Key;
use crate::model::value::Value;

/// One item as it is stored. Fields that are lists of other items (`Kind::ToMany`) are null here.
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

    /// Returns the value of the field with this name; null for a field the collection lacks.
    #[must_use]
    pub fn value(&self, field: &str) -> &Value {
        self.collection.field(field).map_or(&Value::Null, |field| &self[field])
    }

    /// Sets the value of a field of the row's own collection.
    pub fn set(&mut self, field: &'static Field, value: Value) {
        self.values[field.index] = value;
    }

    /// Returns this row with the named field set; a name the collection lacks changes nothing.
    #[must_use]
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        if let Some(field) = self.collection.field(field) {
            self.set(field, value.into());
        }
        self
    }

    /// Returns how many bytes its texts and documents have together.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        self.values.iter().map(Value::text_bytes).sum()
    }

    /// Returns the key, or `None` while the writer has not given one yet.
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
