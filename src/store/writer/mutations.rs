//! The mutations of a transaction and their events: creates, updates, deletes.

use std::collections::HashMap;
use std::sync::Arc;

use sea_query::{Expr, Query as Sql, SqliteQueryBuilder};
use sea_query_sqlx::SqlxBinder;
use serde_json::Value as Json;
use sqlx::{AssertSqlSafe, Row as _};

use crate::model::{Change, Collection, Event, EventAction, Field, Key, Record, Row, Value};
use crate::query::{Filter, Select, Test};
use crate::store::StoreError;
use crate::store::compile;
use crate::store::dialect;
use crate::store::read;
use crate::store::rows;
use crate::store::write::{Precondition, Write};
use crate::store::writer::addresses;
use crate::store::writer::batch::Batch;
use crate::store::writer::dates;
use crate::store::writer::failure;

impl Batch<'_> {
    /// Creates items. The statement that inserts them may be deferred.
    pub(super) async fn create(
        &mut self,
        write: &Write,
        collection: &'static Collection,
        rows: &[Row],
    ) -> Result<(), StoreError> {
        if self.creates.first().is_some_and(|first| first.collection() != collection) {
            self.insert().await?;
        }
        for row in rows {
            self.require_targets(row)?;
            let mut row = row.clone();
            let key = match row.key() {
                Some(key) => {
                    if let Key::Integer(number) = key {
                        self.state.counters.choose(collection, number);
                    }
                    key
                }
                None => self.next_key(collection).await?,
            };
            row.set(collection.key(), Value::from(key));
            dates::stamp_new(&mut row, self.state.counters.date(write.at));
            let after = Some(Arc::new(rows::mask(&row)));
            self.note(
                write,
                collection,
                EventAction::Create,
                vec![Change { key, before: None, after }],
                &[],
            );
            self.creates.push(row);
        }
        Ok(())
    }

    async fn next_key(&mut self, collection: &'static Collection) -> Result<Key, StoreError> {
        loop {
            let (key, may_be_taken) = self.state.counters.next_key(collection);
            if !may_be_taken {
                return Ok(Key::Integer(key));
            }
            self.insert().await?;
            if self.present(collection, &[Key::Integer(key)], usize::MAX).await?.is_empty() {
                return Ok(Key::Integer(key));
            }
        }
    }

    /// Inserts the deferred creates.
    pub(super) async fn insert(&mut self) -> Result<(), StoreError> {
        let creates = std::mem::take(&mut self.creates);
        match self.insert_rows(&creates).await {
            // Inserting one row at a time finds the violating one. The rows inserted before it are
            // rolled back with the transaction.
            Err(StoreError::NotUnique { .. }) if creates.len() > 1 => {
                for row in &creates {
                    self.insert_rows(std::slice::from_ref(row)).await?;
                }
                Ok(())
            }
            outcome => outcome,
        }
    }

    async fn insert_rows(&mut self, creates: &[Row]) -> Result<(), StoreError> {
        let Some(first) = creates.first() else { return Ok(()) };
        let collection = first.collection();
        addresses::check(&mut self.transaction, &[], creates).await?;
        let packed = Json::Array(creates.iter().map(rows::pack).collect()).to_string();
        sqlx::query(AssertSqlSafe(dialect::insert(collection)))
            .bind(packed)
            .execute(&mut *self.transaction)
            .await
            .map_err(|error| failure::name(error, collection, creates))?;
        Ok(())
    }

    /// Sets fields of items. Items with an unfinished deletion count as missing.
    pub(super) async fn update(
        &mut self,
        write: &Write,
        collection: &'static Collection,
        keys: &[Key],
        set: &[(&'static Field, Value)],
        precondition: &Precondition,
        most: usize,
    ) -> Result<(), StoreError> {
        let deletions = &self.state.deletions;
        let is_gone = |key: &Key| deletions.contains(collection, *key);
        if keys.iter().any(is_gone) {
            if let Precondition::All(_) = precondition {
                return Err(StoreError::Refused);
            }
            let live: Vec<Key> = keys.iter().copied().filter(|key| !is_gone(key)).collect();
            return Box::pin(self.update(write, collection, &live, set, precondition, most)).await;
        }
        let values = set.iter().fold(Row::empty(collection), |mut row, (field, value)| {
            row.set(field, value.clone());
            row
        });
        self.require_targets(&values)?;
        let before = self.matching(collection, keys, precondition, most).await?;
        self.set_within(write, collection, &before, set, most).await
    }

    /// Sets fields of these items, without a size limit.
    pub(super) async fn set(
        &mut self,
        write: &Write,
        collection: &'static Collection,
        before: &[Row],
        set: &[(&'static Field, Value)],
    ) -> Result<(), StoreError> {
        if set.is_empty() {
            return Ok(());
        }
        self.set_within(write, collection, before, set, usize::MAX).await
    }

    async fn set_within(
        &mut self,
        write: &Write,
        collection: &'static Collection,
        before: &[Row],
        set: &[(&'static Field, Value)],
        most: usize,
    ) -> Result<(), StoreError> {
        if before.is_empty() {
            return Ok(());
        }
        let set = dates::stamp_changes(set, self.state.counters.date(write.at));
        let after: Vec<Row> = before
            .iter()
            .map(|row| {
                let mut row = row.clone();
                for (field, value) in &set {
                    row.set(field, value.clone());
                }
                row
            })
            .collect();
        if before.iter().chain(&after).map(Row::text_bytes).sum::<usize>() > most {
            return Err(self.too_much());
        }
        if !set.is_empty() {
            addresses::check(&mut self.transaction, before, &after).await?;
            let mut statement = Sql::update();
            statement.table(collection.name).and_where(one_of(collection, before));
            for (field, value) in &set {
                statement.value(field.name, rows::bind(value));
            }
            let (sql, values) = statement.build_sqlx(SqliteQueryBuilder);
            sqlx::query_with(AssertSqlSafe(sql), values)
                .execute(&mut *self.transaction)
                .await
                .map_err(|error| failure::name(error, collection, &after))?;
        }
        let changes = before
            .iter()
            .zip(&after)
            .filter_map(|(before, after)| {
                Some(Change {
                    key: before.key()?,
                    before: Some(Arc::new(rows::mask(before))),
                    after: Some(Arc::new(rows::mask(after))),
                })
            })
            .collect();
        self.note(write, collection, EventAction::Update, changes, &[]);
        Ok(())
    }

    /// Deletes items to which no references are left.
    pub(super) async fn delete_rows(
        &mut self,
        write: &Write,
        collection: &'static Collection,
        before: &[Row],
        text_keys: &[Key],
    ) -> Result<(), StoreError> {
        if before.is_empty() {
            return Ok(());
        }
        let mut statement = Sql::delete();
        statement.from_table(collection.name).and_where(one_of(collection, before));
        let (sql, values) = statement.build_sqlx(SqliteQueryBuilder);
        sqlx::query_with(AssertSqlSafe(sql), values)
            .execute(&mut *self.transaction)
            .await
            .map_err(|error| failure::name(error, collection, before))?;
        let changes = before
            .iter()
            .filter_map(|row| {
                let before = Some(Arc::new(rows::mask(row)));
                Some(Change { key: row.key()?, before, after: None })
            })
            .collect();
        self.note(write, collection, EventAction::Delete, changes, text_keys);
        Ok(())
    }

    /// Returns the current items in the order of the keys, each once, if they meet the
    /// precondition.
    pub(super) async fn matching(
        &mut self,
        collection: &'static Collection,
        keys: &[Key],
        precondition: &Precondition,
        most: usize,
    ) -> Result<Vec<Row>, StoreError> {
        self.insert().await?;
        let mut found = self.present(collection, keys, most).await?;
        let places: HashMap<Key, usize> =
            keys.iter().enumerate().map(|(place, key)| (*key, place)).collect();
        found.sort_by_cached_key(|row| row.key().and_then(|key| places.get(&key).copied()));
        if let Precondition::All(filter) = precondition
            && (found.len() < places.len() || !self.fit(collection, &found, filter).await?)
        {
            return Err(StoreError::Refused);
        }
        Ok(found)
    }

    /// Returns the existing items with these keys, in no particular order.
    pub(super) async fn present(
        &mut self,
        collection: &'static Collection,
        keys: &[Key],
        most: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let select =
            Select { filter: keyed(collection, keys.iter().copied()), ..Select::default() };
        let found = read::read_bounded(&mut self.transaction, collection, &select, most).await;
        found.map_err(|error| match error {
            StoreError::TooLong => self.too_much(),
            other => other,
        })
    }

    const fn too_much(&self) -> StoreError {
        StoreError::TooMuch { bytes_max: self.bounds.mutation_bytes_max }
    }

    /// Returns whether all these rows match the filter.
    async fn fit(
        &mut self,
        collection: &'static Collection,
        found: &[Row],
        filter: &Filter,
    ) -> Result<bool, StoreError> {
        if filter.relations().is_empty() {
            return Ok(found.iter().all(|row| filter.matches(&Record::from(row.clone()))));
        }
        let filter = keyed(collection, found.iter().filter_map(Row::key)).and(filter.clone());
        let select = Select { filter, ..Select::default() };
        let (sql, values) =
            compile::count(collection, &select, None).build_sqlx(SqliteQueryBuilder);
        let row =
            sqlx::query_with(AssertSqlSafe(sql), values).fetch_one(&mut *self.transaction).await?;
        Ok(usize::try_from(row.try_get::<i64, _>(0)?) == Ok(found.len()))
    }

    /// Refuses a row that refers to an item with an unfinished deletion.
    fn require_targets(&self, row: &Row) -> Result<(), StoreError> {
        match self.state.deletions.referred_by(row) {
            None => Ok(()),
            field => Err(StoreError::NoSuchTarget { collection: row.collection().name, field }),
        }
    }

    /// Records the events of changes. `text_keys` are in ascending order.
    fn note(
        &mut self,
        write: &Write,
        collection: &'static Collection,
        action: EventAction,
        changes: Vec<Change>,
        text_keys: &[Key],
    ) {
        for change in &changes {
            self.touched.rows += change.before.iter().chain(&change.after).count();
            self.touched.text_bytes += change.text_bytes();
        }
        let (actor, at) = (write.actor, self.state.counters.date(write.at));
        for changes in Event::split(changes) {
            let seq = self.state.counters.next_seq();
            if self.implying {
                self.implied.push(seq);
            }
            let mut text_keys: Vec<Key> = changes
                .iter()
                .map(|change| change.key)
                .filter(|key| text_keys.binary_search(key).is_ok())
                .collect();
            text_keys.sort_unstable();
            let text_keys = text_keys.into();
            let event = Event { seq, collection, action, changes, actor, at, text_keys };
            self.events.push(Arc::new(event));
        }
    }
}

fn keyed(collection: &'static Collection, keys: impl Iterator<Item = Key>) -> Filter {
    Filter::Field(collection.key(), Test::In(keys.map(Value::from).collect()))
}

fn one_of(collection: &'static Collection, rows: &[Row]) -> Expr {
    let keys = rows.iter().filter_map(Row::key);
    dialect::is_in(Expr::col(collection.key().name), &rows::pack_keys(keys))
}
