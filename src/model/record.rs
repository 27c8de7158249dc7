//! A row together with the related rows that a query asks for.

use std::sync::Arc;

use crate::model::row::Row;
use crate::model::schema::Field;
use crate::model::value::Key;
use crate::model::value::Value;

/// A row and, for each relation that was followed, what lies behind it.
#[derive(Debug, Clone)]
pub struct Record {
    /// The row itself.
    pub row: Arc<Row>,
    related: Vec<(usize, Related)>,
}

/// What lies behind a relation.
#[derive(Debug, Clone)]
pub enum Related {
    /// The one related item; `None` where the relation is null or points nowhere.
    One(Option<Box<Record>>),
    /// The keys of the items that point here.
    Keys(Vec<Key>),
}

impl Record {
    /// Returns a record that follows no relation yet.
    #[must_use]
    pub fn new(row: Arc<Row>) -> Self {
        Self { row, related: Vec::new() }
    }

    /// Attaches what lies behind a relation of this row.
    pub fn attach(&mut self, field: &'static Field, related: Related) {
        self.related.push((field.index, related));
    }

    /// Returns what lies behind a relation, or `None` if it was not followed.
    #[must_use]
    pub fn related(&self, field: &'static Field) -> Option<&Related> {
        self.related.iter().find(|(index, _)| *index == field.index).map(|(_, related)| related)
    }

    /// Returns the related item of a to-one relation, if it was followed and is there.
    #[must_use]
    pub fn one(&self, field: &'static Field) -> Option<&Record> {
        match self.related(field) {
            Some(Related::One(Some(record))) => Some(record),
            _ => None,
        }
    }

    /// Returns the value of a field of the row.
    #[must_use]
    pub fn value(&self, field: &'static Field) -> &Value {
        &self.row[field]
    }
}

impl From<Row> for Record {
    fn from(row: Row) -> Self {
        Self::new(Arc::new(row))
    }
}
