//! A row joined with its related rows.

use std::sync::Arc;

use crate::model::collection::Field;
use crate::model::row::Row;
use crate::model::value::Value;

/// A row with the related rows of each relation that was followed.
#[derive(Debug, Clone)]
pub struct Record {
    /// The row itself.
    pub row: Arc<Row>,
    related: Vec<(usize, Related)>,
    lists: Vec<(usize, Vec<Record>)>,
}

/// The related rows of a relation.
#[derive(Debug, Clone)]
pub enum Related {
    /// The related item of a to-one relation; `None` if it is null or dangling.
    One(Option<Box<Record>>),
    /// All items that reference this one.
    Many(Vec<Record>),
}

impl Record {
    /// Creates a record without relations.
    #[must_use]
    pub fn new(row: Arc<Row>) -> Self {
        Self { row, related: Vec::new(), lists: Vec::new() }
    }

    /// Attaches the related rows of a relation of this row.
    pub fn attach(&mut self, field: &'static Field, related: Related) {
        self.related.push((field.index, related));
    }

    /// Returns the related rows of a relation, or `None` if it was not followed.
    #[must_use]
    pub fn related(&self, field: &'static Field) -> Option<&Related> {
        self.related.iter().find(|(index, _)| *index == field.index).map(|(_, related)| related)
    }

    /// Returns the item of a to-one relation, if it was followed and exists.
    #[must_use]
    pub fn one(&self, field: &'static Field) -> Option<&Record> {
        match self.related(field) {
            Some(Related::One(Some(record))) => Some(record),
            _ => None,
        }
    }

    /// Like [`Record::one`], but mutable.
    #[must_use]
    pub fn one_mut(&mut self, field: &'static Field) -> Option<&mut Record> {
        match self.related.iter_mut().find(|(index, _)| *index == field.index) {
            Some((_, Related::One(Some(record)))) => Some(record),
            _ => None,
        }
    }

    /// Returns the items of a to-many relation, or `None` if it was not followed.
    #[must_use]
    pub fn many(&self, field: &'static Field) -> Option<&[Record]> {
        match self.related(field) {
            Some(Related::Many(records)) => Some(records),
            _ => None,
        }
    }

    /// Attaches items of a to-many relation under a list number, since a query can request a
    /// relation several times.
    pub fn attach_list(&mut self, number: usize, records: Vec<Record>) {
        self.lists.push((number, records));
    }

    /// Returns the items of the list with this number.
    #[must_use]
    pub fn list(&self, number: usize) -> &[Record] {
        let list = self.lists.iter().find(|(known, _)| *known == number);
        list.map_or(&[], |(_, records)| records)
    }

    /// Returns the number of records behind relations on all levels, including this one.
    #[must_use]
    pub fn size(&self) -> usize {
        let behind = self.related.iter().map(|(_, related)| match related {
            Related::One(record) => record.as_ref().map_or(0, |record| record.size()),
            Related::Many(records) => records.iter().map(Self::size).sum(),
        });
        1 + behind.sum::<usize>()
    }

    /// Returns the number of records in lists on all levels, including this one.
    #[must_use]
    pub fn weight(&self) -> usize {
        let behind = self.related.iter().filter_map(|(_, related)| match related {
            Related::One(Some(record)) => Some(record.weight() - 1),
            Related::One(None) | Related::Many(_) => None,
        });
        let lists = self.lists.iter().flat_map(|(_, records)| records).map(Self::weight);
        1 + behind.sum::<usize>() + lists.sum::<usize>()
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
