//! Rows to records: following the relations that a query needs.
//!
//! To-one relations are looked up in the directory, which keeps what is asked for often in memory;
//! so a list costs no join, and an event no query at all.

use std::collections::HashMap;
use std::sync::Arc;

use crate::domain::Error;
use crate::domain::directory::Directory;
use crate::model::Field;
use crate::model::Key;
use crate::model::Kind;
use crate::model::Record;
use crate::model::Related;
use crate::model::Row;
use crate::model::Value;
use crate::query::Filter;
use crate::query::Relations;
use crate::query::Scope;
use crate::query::Test;
use crate::store::Select;
use crate::store::Store;

/// How many keys the lists of one answer may have in all.
const LISTED_MAX: u64 = 10_000;

/// Makes records of rows, each with these relations attached.
///
/// # Errors
/// When the store fails.
pub async fn attach(
    directory: &Directory,
    rows: Vec<Arc<Row>>,
    relations: &Relations,
) -> Result<Vec<Record>, Error> {
    let mut records: Vec<Record> = rows.into_iter().map(Record::new).collect();
    for (field, behind) in &relations.0 {
        let Some(target) = field.target() else { continue };
        let mut keys: Vec<Key> =
            records.iter().filter_map(|record| record.value(field).as_key()).collect();
        keys.sort_unstable();
        keys.dedup();
        let found = directory.find_many(target, &keys).await?;
        // Behind a relation lies at most as much again; the depth is bounded by the query's.
        let related = Box::pin(attach(directory, found, behind)).await?;
        let related: HashMap<Key, Record> =
            related.into_iter().filter_map(|record| Some((record.row.key()?, record))).collect();
        for record in &mut records {
            let one = record.value(field).as_key().and_then(|key| related.get(&key)).cloned();
            record.attach(field, Related::One(one.map(Box::new)));
        }
    }
    Ok(records)
}

/// Attaches the keys of the items that point at the records, for fields that are lists of them: of
/// those within the scope, and of no more than 10,000 in all.
///
/// # Errors
/// When the store fails.
pub async fn attach_keys(
    store: &Store,
    records: &mut [Record],
    lists: impl Iterator<Item = (&'static Field, &Scope)>,
) -> Result<(), Error> {
    let keys: Vec<Key> = records.iter().filter_map(|record| record.row.key()).collect();
    if keys.is_empty() {
        return Ok(());
    }
    for (field, scope) in lists {
        let Kind::ToMany(other, back) = field.kind else { continue };
        let back = other.require(back);
        let mut pointing: HashMap<Key, Vec<Key>> = HashMap::new();
        let to = keys.iter().map(|key| Value::from(*key)).collect();
        let visible = scope.filter_for(&[back, other.key()]).unwrap_or(Filter::Or(Vec::new()));
        let filter = Filter::Field(back, Test::In(to)).and(visible);
        let select = Select { filter, limit: Some(LISTED_MAX), ..Select::default() };
        for row in store.read(scope, select).await? {
            if let (Some(to), Some(key)) = (row[back].as_key(), row.key()) {
                pointing.entry(to).or_default().push(key);
            }
        }
        for record in records.iter_mut() {
            let keys = record.row.key().and_then(|key| pointing.remove(&key)).unwrap_or_default();
            record.attach(field, Related::Keys(keys));
        }
    }
    Ok(())
}
