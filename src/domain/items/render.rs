//! Rendering of records as the JSON that their reader may see. It is written directly as text,
//! since a tree of values for each item would cost more than the rest of the request.

use crate::domain::Error;
use crate::domain::items::json_writer::{JsonText, JsonWriter};
use crate::domain::items::project::{Column, Projection};
use crate::model::{Record, Value};
use crate::query::{Aggregation, Term};
use crate::store::AggregateValue;

impl Projection {
    /// Writes the records as a JSON list.
    #[must_use]
    pub fn list<'r>(&self, records: impl IntoIterator<Item = &'r Record>) -> JsonText {
        JsonWriter::written(|json| json.list(records, |json, record| self.write(record, json)))
    }

    /// Writes the records as a JSON list of at most `most` bytes.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`] if it would be longer.
    pub fn list_within<'r>(
        &self,
        records: impl IntoIterator<Item = &'r Record>,
        most: usize,
    ) -> Result<JsonText, Error> {
        let mut json = JsonWriter::within(most);
        json.list(records, |json, record| self.write(record, json));
        json.finish_within()
    }

    /// Writes the first records as a JSON list of at most `most` bytes. A record that alone is
    /// longer is reduced to its key. Also returns whether records were left out or reduced.
    pub fn list_that_fits<'r>(
        &self,
        records: impl IntoIterator<Item = &'r Record>,
        most: usize,
    ) -> (JsonText, bool) {
        let mut json = JsonWriter::within(most);
        let truncated = json.list_that_fits(
            records,
            |json, record| self.write(record, json),
            |json, record| self.write_key(record, json),
        );
        (json.finish(), truncated)
    }

    /// Writes all records as a JSON list. Records are reduced to their keys where the list would
    /// otherwise be longer than `most` bytes.
    pub fn list_of_all<'r>(
        &self,
        records: impl IntoIterator<Item = &'r Record>,
        most: usize,
    ) -> JsonText {
        let mut json = JsonWriter::within(most);
        json.list_of_all(
            records,
            |json, record| self.write(record, json),
            |json, record| self.write_key(record, json),
        );
        json.finish()
    }

    /// Returns the number of leading records that fit into a JSON list of `most` bytes.
    #[must_use]
    pub fn count_that_fit(&self, records: &[Record], most: usize) -> usize {
        let mut bytes = "[]".len();
        let fitting = records.iter().take_while(|record| {
            bytes += self.object(record).get().len();
            let fits = bytes <= most;
            bytes += ",".len();
            fits
        });
        fitting.count()
    }

    /// Writes one record as a JSON object of at most `most` bytes.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`] if it would be longer.
    pub fn object_within(&self, record: &Record, most: usize) -> Result<JsonText, Error> {
        let mut json = JsonWriter::within(most);
        self.write(record, &mut json);
        json.finish_within()
    }

    /// Writes one record as a JSON object with only its key, if its reader may see the key.
    #[must_use]
    pub fn object_of_key(&self, record: &Record) -> JsonText {
        JsonWriter::written(|json| self.write_key(record, json))
    }

    /// Writes one record as a JSON object.
    #[must_use]
    pub fn object(&self, record: &Record) -> JsonText {
        JsonWriter::written(|json| self.write(record, json))
    }

    /// Returns the output columns, each as the path of names that leads to it.
    #[must_use]
    pub fn names(&self) -> Vec<Vec<String>> {
        let mut names = Vec::new();
        for column in &self.columns {
            let name = column.name().to_owned();
            match column {
                Column::One(_, _, nested, _) => {
                    let behind = nested.names().into_iter();
                    names.extend(behind.map(|rest| [vec![name.clone()], rest].concat()));
                }
                Column::Term(..) | Column::Many(..) => names.push(vec![name]),
            }
        }
        names
    }

    /// Writes an object with only the key of a record, if its reader may see the key.
    fn write_key(&self, record: &Record, json: &mut JsonWriter) {
        let key = record.row.collection().key();
        let shown = [key];
        let shown = if self.shows_key(record) { &shown[..] } else { &[] };
        json.object(shown, |key| key.name, |json, key| json.value(record.value(key)));
    }

    fn write(&self, record: &Record, json: &mut JsonWriter) {
        let varies = self.scope().varies();
        json.object(&self.columns, Column::name, |json, column| {
            if varies && !self.scope().shows(record, column.field()) {
                return json.null();
            }
            match column {
                Column::Term(_, Term { field, part: None }) => {
                    json.field(field, record.value(field));
                }
                Column::Term(_, term) => json.value(&term.of(record.value(term.field))),
                Column::One(_, field, nested, filter) => match record.one(field) {
                    Some(behind) if nested.fits(behind) && filter.matches(behind) => {
                        nested.write(behind, json);
                    }
                    _ => json.null(),
                },
                Column::Many(_, list) => {
                    let records = record.list(list.number);
                    json.list(records, |json, record| {
                        if list.bare {
                            json.value(record.value(record.row.collection().key()));
                        } else {
                            list.projection.write(record, json);
                        }
                    });
                }
            }
        });
    }
}

/// Writes keys as a JSON list.
#[must_use]
pub fn keys(keys: &[Value]) -> JsonText {
    JsonWriter::written(|json| json.list(keys, JsonWriter::value))
}

/// Writes one key as JSON.
#[must_use]
pub fn key(key: &Value) -> JsonText {
    JsonWriter::written(|json| json.value(key))
}

/// Writes groups and their totals as a JSON list: `[{"content":"a","count":1,"max":{"id":5}}]`.
pub(super) fn groups(totals: &Aggregation, groups: &[Vec<AggregateValue>]) -> JsonText {
    let layout = layout(totals);
    let mut json = JsonWriter::default();
    json.list(groups, |json, values| {
        json.object(
            &layout,
            |(name, _)| name,
            |json, (_, layout)| match layout {
                Layout::One(index) => json.aggregate_value(values, *index),
                Layout::Named(named) => {
                    json.object(
                        named,
                        |(name, _)| name,
                        |json, (_, index)| json.aggregate_value(values, *index),
                    );
                }
            },
        );
    });
    json.finish()
}

/// Returns the columns of groups, each as the path of names that leads to it.
pub(super) fn group_names(totals: &Aggregation) -> Vec<Vec<String>> {
    let mut names = Vec::new();
    for (name, layout) in layout(totals) {
        match layout {
            Layout::One(_) => names.push(vec![name]),
            Layout::Named(aggregates) => {
                names.extend(aggregates.into_iter().map(|(rest, _)| vec![name.clone(), rest]));
            }
        }
    }
    names
}

/// The positions of the aggregate values in the row of a group.
enum Layout {
    One(usize),
    Named(Vec<(String, usize)>),
}

/// Returns the layout of a group: first the fields that items are grouped by, then the totals,
/// nested by operation. The total of an operation without a field is not nested if it is the only
/// one of this operation.
fn layout(totals: &Aggregation) -> Vec<(String, Layout)> {
    let mut layout: Vec<(String, Layout)> = Vec::new();
    for (index, (name, _)) in totals.groups.iter().enumerate() {
        layout.push((name.to_string(), Layout::One(index)));
    }
    let groups = totals.groups.len();
    for (index, total) in totals.totals.iter().enumerate() {
        let index = groups + index;
        let operation = total.operation.name();
        let alone =
            totals.totals.iter().filter(|one| one.operation == total.operation).count() == 1;
        let name = match total.of {
            None if alone => {
                layout.push((operation.to_owned(), Layout::One(index)));
                continue;
            }
            None => "*".to_owned(),
            Some(term) => term.name().into_owned(),
        };
        let known = layout[groups..].iter_mut().find(|(known, _)| known == operation);
        match known {
            Some((_, Layout::Named(named))) => named.push((name, index)),
            _ => layout.push((operation.to_owned(), Layout::Named(vec![(name, index)]))),
        }
    }
    layout
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::schema::MESSAGES;
    use crate::query::{Operation, Total};

    fn total(operation: Operation, field: Option<&str>) -> Total {
        Total { operation, of: field.map(|name| Term::from(MESSAGES.field(name).unwrap())) }
    }

    fn written(groups: &[&str], asked: Vec<Total>, values: Vec<AggregateValue>) -> String {
        let groups = groups.iter().map(|name| {
            let term = Term::from(MESSAGES.field(name).unwrap());
            (term.name(), term)
        });
        let totals = Aggregation { groups: groups.collect(), totals: asked, sort: Vec::new() };
        super::groups(&totals, &[values]).get().to_owned()
    }

    fn number(number: i64) -> AggregateValue {
        AggregateValue::Value(Value::Integer(number))
    }

    #[test]
    fn totals_are_keyed_by_operation_and_field() {
        let count = || total(Operation::Count, None);
        let of = |operation, name| total(operation, Some(name));
        for (groups, asked, values, expected) in [
            (vec![], vec![count()], vec![number(13)], r#"[{"count":13}]"#),
            (
                vec![],
                vec![total(Operation::CountAll, None)],
                vec![number(13)],
                r#"[{"countAll":13}]"#,
            ),
            (
                vec![],
                vec![of(Operation::Count, "id"), of(Operation::Count, "content")],
                vec![number(13), number(11)],
                r#"[{"count":{"id":13,"content":11}}]"#,
            ),
            (
                vec![],
                vec![of(Operation::Min, "id"), of(Operation::Avg, "id"), of(Operation::Sum, "id")],
                vec![number(1), AggregateValue::Real(1.5), AggregateValue::Real(3.0)],
                r#"[{"min":{"id":1},"avg":{"id":1.5},"sum":{"id":3}}]"#,
            ),
            (
                vec!["content"],
                vec![count()],
                vec![AggregateValue::Value(Value::Null), number(1)],
                r#"[{"content":null,"count":1}]"#,
            ),
            (
                vec![],
                vec![count(), of(Operation::Count, "id")],
                vec![number(2), number(2)],
                r#"[{"count":{"*":2,"id":2}}]"#,
            ),
        ] {
            assert_eq!(written(&groups, asked, values), expected);
        }
    }
}
