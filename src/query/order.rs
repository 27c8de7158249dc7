//! Sorting in memory: the order of items within one event.
//!
//! It must agree with the SQL that `store::compile` generates for the same order: null sorts first,
//! texts by bytes.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::model::{Record, Value};
use crate::query::{Relations, Sort, Term};

/// Sorts records; ties by key. Relations that the order follows must be attached (see
/// [`relations`]).
pub fn sort(records: &mut [&Record], keys: &[Sort]) {
    let last = keys.last().is_some_and(|key| key.descending);
    records.sort_by(|one, other| {
        let by = |key: &Sort| {
            let order = compare(&value(key, one), &value(key, other));
            if key.descending { order.reverse() } else { order }
        };
        let order = keys.iter().map(by).find(|order| order.is_ne());
        order.unwrap_or_else(|| {
            let order = one.row.key().cmp(&other.row.key());
            if last { order.reverse() } else { order }
        })
    });
}

/// Returns the relations that an order follows.
#[must_use]
pub fn relations(keys: &[Sort]) -> Relations {
    let mut relations = Relations::default();
    for key in keys {
        key.path.iter().fold(&mut relations, |level, field| level.open(field));
    }
    relations
}

fn value<'r>(key: &Sort, record: &'r Record) -> Cow<'r, Value> {
    let mut found = Some(record);
    for field in &key.path {
        found = found.and_then(|record| record.one(field));
    }
    let term = Term { field: key.field, part: key.part };
    found.map_or(Cow::Owned(Value::Null), |record| term.of(record.value(key.field)))
}

fn compare(one: &Value, other: &Value) -> Ordering {
    match (one, other) {
        (Value::Boolean(one), Value::Boolean(other)) => one.cmp(other),
        (Value::Integer(one), Value::Integer(other)) => one.cmp(other),
        (Value::Timestamp(one), Value::Timestamp(other)) => one.cmp(other),
        (Value::Text(one), Value::Text(other)) => one.as_bytes().cmp(other.as_bytes()),
        (Value::Uuid(one), Value::Uuid(other)) => one.cmp(other),
        _ => other.is_null().cmp(&one.is_null()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::clock::Timestamp;
    use crate::model::schema::MESSAGES;
    use crate::model::schema::messages;
    use crate::model::{Actor, Key, Row};
    use crate::query::{Environment, Limits, Query};

    #[test]
    fn nulls_come_first_and_ties_are_sorted_by_key() {
        let contents = [Some("b"), None, Some("a"), Some("b"), Some("B")];
        let records: Vec<Record> = (1..)
            .zip(contents)
            .map(|(id, content)| {
                let row = Row::empty(&MESSAGES).with(&messages::id, id);
                Record::from(row.with(&messages::content, content))
            })
            .collect();
        for (order, expected) in [
            ("content", [2, 5, 3, 1, 4]),
            ("-content", [4, 1, 3, 5, 2]),
            ("-id", [5, 4, 3, 2, 1]),
            ("content,-id", [2, 5, 3, 4, 1]),
        ] {
            let actor = Actor::denied();
            let environment = Environment::new(&actor, Timestamp::from_millis(0));
            let query = json!({"sort": order});
            let query = Query::parse(&MESSAGES, &query, &environment, &Limits::default()).unwrap();
            let mut sorted: Vec<&Record> = records.iter().collect();
            sort(&mut sorted, &query.select.sort);
            let ids: Vec<_> = sorted.iter().filter_map(|one| one.row.key()).collect();
            assert_eq!(ids, expected.map(Key::Integer), "{order}");
        }
    }
}
