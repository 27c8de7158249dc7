//! Conversion of rows to records, which follows the relations that a query needs.
//!
//! To-one relations are looked up in `row_cache`, which caches frequently read rows, so a list
//! needs no join and an event no query. Lists take one query for each level.

use std::collections::HashMap;
use std::sync::Arc;

use crate::domain::Error;
use crate::domain::items::Items;
use crate::domain::items::project::{Column, List, Projection};
use crate::model::{Collection, Field, Key, Record, Related, Row};
use crate::query::Relations;

/// The maximum number of items that a query or a rule may read through one relation, for all its
/// records together. Nested relations multiply, as lists do.
const LOOKED_AT_MAX: usize = 100_000;

/// The maximum number of items in all lists of one answer. Nested lists multiply: a short query
/// could ask for more than fits into memory.
const LISTED_MAX: usize = 100_000;

impl Items {
    /// Makes records of rows, with all data that a projection shows and with the relations `more`.
    pub(in crate::domain) async fn records(
        &self,
        projection: &Projection,
        rows: impl IntoIterator<Item = impl Into<Arc<Row>>>,
        more: Relations,
    ) -> Result<Vec<Record>, Error> {
        let mut relations = projection.relations();
        relations.merge(more);
        let rows = rows.into_iter().map(Into::into).collect();
        let rows = self.redact(&projection.past, rows).await?;
        let mut records = self.attach(rows, &relations).await?;
        self.attach_lists(projection, records.iter_mut().collect()).await?;
        Ok(records)
    }

    /// Makes records of rows, each with these relations attached.
    pub(super) async fn attach(
        &self,
        rows: Vec<Arc<Row>>,
        relations: &Relations,
    ) -> Result<Vec<Record>, Error> {
        let mut records: Vec<Record> = rows.into_iter().map(Record::new).collect();
        for (field, behind) in &relations.0 {
            // Each relation adds at most the same number again; the query limits the depth.
            if let Some((other, back)) = field.pointing() {
                let keys = keys(records.iter().filter_map(|record| record.row.key()));
                let found =
                    self.store.pointing(other, back, &keys, Some(LOOKED_AT_MAX as u64 + 1)).await?;
                if found.len() > LOOKED_AT_MAX {
                    return Err(looks_at_too_much());
                }
                let found = found.into_iter().map(Arc::new).collect();
                let mut pointing = by(back, Box::pin(self.attach(found, behind)).await?);
                for record in &mut records {
                    let key = record.row.key();
                    let many = key.and_then(|key| pointing.remove(&key)).unwrap_or_default();
                    record.attach(field, Related::Many(many));
                }
            } else if let Some(target) = field.target() {
                let related = self.behind(&records, field, target, behind).await?;
                let mut left = LOOKED_AT_MAX;
                for record in &mut records {
                    let key = record.value(field).as_key();
                    let one = key.and_then(|key| related.get(&key));
                    let size = one.map_or(0, |(size, _)| *size);
                    left = left.checked_sub(size).ok_or_else(looks_at_too_much)?;
                    let one = one.map(|(_, record)| Box::new(record.clone()));
                    record.attach(field, Related::One(one));
                }
            }
        }
        Ok(records)
    }

    /// Returns the records behind a to-one relation, each with its size in records.
    async fn behind(
        &self,
        records: &[Record],
        field: &'static Field,
        target: &'static Collection,
        relations: &Relations,
    ) -> Result<HashMap<Key, (usize, Record)>, Error> {
        let keys = keys(records.iter().filter_map(|record| record.value(field).as_key()));
        let found = self.row_cache.find_many(target, &keys).await?;
        let found = Box::pin(self.attach(found, relations)).await?;
        let found = found.into_iter();
        Ok(found.filter_map(|one| Some((one.row.key()?, (one.size(), one)))).collect())
    }

    /// Attaches the lists of a projection to the records and to the records behind them.
    async fn attach_lists(
        &self,
        projection: &Projection,
        mut records: Vec<&mut Record>,
    ) -> Result<(), Error> {
        for column in &projection.columns {
            match column {
                Column::Term(..) => {}
                Column::One(_, field, nested, _) => {
                    let behind = records.iter_mut().filter_map(|record| record.one_mut(field));
                    Box::pin(self.attach_lists(nested, behind.collect())).await?;
                }
                Column::Many(_, list) => self.attach_list(list, &mut records).await?,
            }
        }
        Ok(())
    }

    async fn attach_list(&self, list: &List, records: &mut [&mut Record]) -> Result<(), Error> {
        let keys = keys(records.iter().filter_map(|record| record.row.key()));
        if keys.is_empty() || list.select.limit == Some(0) {
            return Ok(());
        }
        let scope = list.projection.scope();
        let rows = self.store.read_of_each(scope, list.back, &keys, list.select.clone()).await?;
        let found = Box::pin(self.records(&list.projection, rows, Relations::default())).await?;
        let pointing = by(list.back, found);
        let weights: HashMap<Key, usize> = pointing
            .iter()
            .map(|(key, records)| (*key, records.iter().map(Record::weight).sum()))
            .collect();
        let mut left = LISTED_MAX;
        for record in records {
            let Some(key) = record.row.key() else { continue };
            let weight = weights.get(&key).copied().unwrap_or_default();
            left = left.checked_sub(weight).ok_or_else(|| {
                Error::InvalidQuery(format!(
                    "The nested lists in the response would have more than {LISTED_MAX} items; \
                     lower \"limit\", or \"_limit\" in \"deep\""
                ))
            })?;
            // The same item can be behind several records.
            record.attach_list(list.number, pointing.get(&key).cloned().unwrap_or_default());
        }
        Ok(())
    }
}

fn looks_at_too_much() -> Error {
    Error::InvalidQuery(format!(
        "A filter or a permission rule would read more than {LOOKED_AT_MAX} items through its \
         relations"
    ))
}

/// Returns the keys, sorted and without duplicates.
fn keys(all: impl Iterator<Item = Key>) -> Vec<Key> {
    let mut keys: Vec<Key> = all.collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// Groups records by the item that their field `back` points at, and keeps their order.
fn by(back: &'static Field, records: Vec<Record>) -> HashMap<Key, Vec<Record>> {
    let mut pointing: HashMap<Key, Vec<Record>> = HashMap::new();
    for record in records {
        if let Some(key) = record.value(back).as_key() {
            pointing.entry(key).or_default().push(record);
        }
    }
    pointing
}
