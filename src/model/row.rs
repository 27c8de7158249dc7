//! One stored item: the values of all fields of its collection, in the order of the schema.

use std::ops::Index;

use crate::model::collection::{Collection, Field};
use crate::model::column::{Cell, Column, IntoValue};
use crate::model::value::{Key, Value};

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

    /// Returns a row with the default values of a new item.
    #[must_use]
    pub fn new(collection: &'static Collection) -> Self {
        let mut row = Self::empty(collection);
        for field in collection.fields {
            row.set(field, Value::from(field.default));
        }
        row
    }

    /// Returns the value of a column of the row's collection; `None` for null.
    #[must_use]
    pub fn get<T: Cell + ?Sized>(&self, column: &Column<T>) -> Option<T::Read<'_>> {
        T::read(&self[column.field()])
    }

    /// Sets the value of a field of the row's collection.
    pub fn set(&mut self, field: &'static Field, value: Value) {
        debug_assert!(self.collection.fields.get(field.index) == Some(field), "{field:?}");
        self.values[field.index] = value;
    }

    /// Returns this row with a column of its collection set.
    #[must_use]
    pub fn with<T: ?Sized>(mut self, column: &Column<T>, value: impl IntoValue<T>) -> Self {
        self.set(column.field(), value.into_value());
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
        debug_assert!(self.collection.fields.get(field.index) == Some(field), "{field:?}");
        &self.values[field.index]
    }
}
