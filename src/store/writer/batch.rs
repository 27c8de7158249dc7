//! One transaction: changes, their events, the counters.

use std::collections::HashMap;
use std::sync::Arc;

use sea_query::Expr;
use sea_query::Query as Sql;
use sea_query::SqliteQueryBuilder;
use sea_query_sqlx::SqlxBinder;
use serde_json::Value as Json;
use sqlx::AssertSqlSafe;
use sqlx::Connection;
use sqlx::Row as _;
use sqlx::Sqlite;
use sqlx::SqliteConnection;
use sqlx::Transaction;
use uuid::Uuid;

use crate::model::Change;
use crate::model::Collection;
use crate::model::Event;
use crate::model::EventAction;
use crate::model::Field;
use crate::model::Key;
use crate::model::Record;
use crate::model::Row;
use crate::model::Value;
use crate::query::Filter;
use crate::query::Test;
use crate::store::StoreError;
use crate::store::activity;
use crate::store::chore::Chore;
use crate::store::compile;
use crate::store::dialect;
use crate::store::erasure;
use crate::store::event_log;
use crate::store::read;
use crate::store::read::Select;
use crate::store::rows;
use crate::store::write::Guard;
use crate::store::write::Once;
use crate::store::write::Op;
use crate::store::write::ROW_OVERHEAD;
use crate::store::write::Write;
use crate::store::writer::addresses;
use crate::store::writer::administrators;
use crate::store::writer::counters::Counters;
use crate::store::writer::dates;
use crate::store::writer::failure;
use crate::store::writer::idempotency::Idempotency;

/// A transaction under way. Dropped without [`Batch::commit`] it leaves nothing behind.
pub(super) struct Batch<'c> {
    transaction: Transaction<'c, Sqlite>,
    counters: Counters,
    events: Vec<Arc<Event>>,
    /// Creates that were given their keys and events and wait to be inserted in one statement.
    creates: Vec<Row>,
    /// Accounts that nothing in the log shall be about any more, once the lines of all writes are in
    /// it.
    forgotten: Vec<Uuid>,
    /// What was touched so far.
    touched: Touched,
    /// How many bytes one write may touch that changes or deletes several items.
    mutation_bytes_max: usize,
}

/// How much a batch has touched: items as they were and as they are.
#[derive(Debug, Clone, Copy, Default)]
struct Touched {
    rows: usize,
    text_bytes: usize,
}

/// What a batch was before a write, to go back to.
pub(super) struct Mark {
    counters: Counters,
    events: usize,
    forgotten: usize,
    touched: Touched,
}

impl<'c> Batch<'c> {
    pub(super) async fn begin(
        connection: &'c mut SqliteConnection,
        counters: Counters,
        mutation_bytes_max: usize,
    ) -> Result<Self, StoreError> {
        let transaction = connection.begin_with("begin immediate").await?;
        Ok(Self {
            transaction,
            counters,
            events: Vec::new(),
            creates: Vec::new(),
            forgotten: Vec::new(),
            touched: Touched::default(),
            mutation_bytes_max,
        })
    }

    /// Returns about how many bytes of memory it takes so far.
    pub(super) const fn bytes(&self) -> usize {
        self.touched.text_bytes + self.touched.rows * ROW_OVERHEAD
    }

    /// Returns the events so far.
    pub(super) fn events(&self) -> &[Arc<Event>] {
        &self.events
    }

    /// Returns what has been done under these keys before.
    pub(super) async fn recall(
        &mut self,
        keys: impl Iterator<Item = &Once>,
    ) -> Result<Idempotency, StoreError> {
        Idempotency::load(&mut self.transaction, keys).await
    }

    pub(super) async fn run(&mut self, write: &Write) -> Result<(), StoreError> {
        let takes = write.ops.iter().any(administrators::may_take_away);
        if takes {
            self.insert().await?;
        }
        let had_one = takes && administrators::exist(&mut self.transaction).await?;
        let begin = self.touched;
        for op in &write.ops {
            self.run_op(write, op, begin).await?;
        }
        if had_one && !administrators::exist(&mut self.transaction).await? {
            return Err(StoreError::NoAdministrator);
        }
        Ok(())
    }

    /// Does one thing of a write that began when so much had been touched.
    async fn run_op(&mut self, write: &Write, op: &Op, begin: Touched) -> Result<(), StoreError> {
        match op {
            Op::Create { collection, rows } => self.create(write, collection, rows).await,
            Op::Update { collection, keys, set, guard } => {
                let most = self.left(keys, begin);
                self.update(write, collection, keys, set, guard, most).await
            }
            Op::Delete { collection, keys, guard, text_keys } => {
                let most = self.left(keys, begin);
                let before = self.guarded(collection, keys, guard, most).await?;
                self.delete(write, collection, before, text_keys).await
            }
            Op::CatchUp => activity::append_owed(&mut self.transaction).await,
            Op::DeleteWhere { collection, filter } => {
                self.insert().await?;
                let select = Select { filter: filter.clone(), ..Select::default() };
                let before = read::read(&mut self.transaction, collection, &select).await?;
                self.delete(write, collection, before, &Arc::default()).await
            }
            Op::Forget { user } => {
                self.forgotten.push(*user);
                Ok(())
            }
        }
    }

    /// Returns how many bytes the items with these keys may have, in a write that began when so much
    /// had been touched. One item alone may have as many as it likes: there is no less to change.
    const fn left(&self, keys: &[Key], begin: Touched) -> usize {
        if self.touched.rows == begin.rows && keys.len() <= 1 {
            return usize::MAX;
        }
        self.mutation_bytes_max.saturating_sub(self.touched.text_bytes - begin.text_bytes)
    }

    /// Remembers what the batch is now. Nothing may wait to be inserted.
    pub(super) async fn mark(&mut self) -> Result<Mark, StoreError> {
        sqlx::query("savepoint one").execute(&mut *self.transaction).await?;
        let (events, forgotten) = (self.events.len(), self.forgotten.len());
        let touched = self.touched;
        Ok(Mark { counters: self.counters.clone(), events, forgotten, touched })
    }

    /// Keeps what was done since.
    pub(super) async fn keep(&mut self, _: Mark) -> Result<(), StoreError> {
        sqlx::query("release one").execute(&mut *self.transaction).await?;
        Ok(())
    }

    /// Undoes what was done since.
    pub(super) async fn undo(&mut self, mark: Mark) -> Result<(), StoreError> {
        sqlx::query("rollback to one").execute(&mut *self.transaction).await?;
        sqlx::query("release one").execute(&mut *self.transaction).await?;
        self.counters = mark.counters;
        self.events.truncate(mark.events);
        self.creates.clear();
        self.forgotten.truncate(mark.forgotten);
        self.touched = mark.touched;
        Ok(())
    }

    /// Does what no event tells of.
    pub(super) async fn keep_house(&mut self, chore: &Chore) -> Result<(), StoreError> {
        chore.run(&mut self.transaction).await
    }

    /// Commits, and returns the counters that are in force from now on.
    pub(super) async fn commit(mut self, done: &Idempotency) -> Result<Counters, StoreError> {
        self.insert().await?;
        if !self.events.is_empty() {
            let events = self.events.iter().map(Arc::as_ref);
            event_log::append(&mut self.transaction, events).await?;
            let events = self.events.iter().map(Arc::as_ref);
            activity::append(&mut self.transaction, events).await?;
            self.counters.save(&mut self.transaction).await?;
            done.save(&mut self.transaction).await?;
        }
        for user in &self.forgotten {
            erasure::forget(&mut self.transaction, *user).await?;
        }
        self.transaction.commit().await?;
        Ok(self.counters)
    }

    async fn create(
        &mut self,
        write: &Write,
        collection: &'static Collection,
        rows: &[Row],
    ) -> Result<(), StoreError> {
        if self.creates.first().is_some_and(|first| first.collection() != collection) {
            self.insert().await?;
        }
        for row in rows {
            let mut row = row.clone();
            let key = match row.key() {
                Some(key) => {
                    if let Key::Integer(number) = key {
                        self.counters.choose(collection, number);
                    }
                    key
                }
                None => self.next_key(collection).await?,
            };
            row.set(collection.key(), Value::from(key));
            dates::stamp_new(&mut row, self.counters.date(write.at));
            let after = Some(Arc::new(rows::mask(&row)));
            self.note(
                write,
                collection,
                EventAction::Create,
                vec![Change { key, before: None, after }],
                Arc::default(),
            );
            self.creates.push(row);
        }
        Ok(())
    }

    async fn next_key(&mut self, collection: &'static Collection) -> Result<Key, StoreError> {
        loop {
            let (key, may_be_taken) = self.counters.next_key(collection);
            if !may_be_taken {
                return Ok(Key::Integer(key));
            }
            self.insert().await?;
            if self.present(collection, &[Key::Integer(key)], usize::MAX).await?.is_empty() {
                return Ok(Key::Integer(key));
            }
        }
    }

    /// Inserts the creates that wait.
    pub(super) async fn insert(&mut self) -> Result<(), StoreError> {
        let creates = std::mem::take(&mut self.creates);
        match self.insert_rows(&creates).await {
            // Which of them it is shows when they come one at a time. What was inserted meanwhile
            // goes with the transaction.
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

    async fn update(
        &mut self,
        write: &Write,
        collection: &'static Collection,
        keys: &[Key],
        set: &[(&'static Field, Value)],
        guard: &Guard,
        most: usize,
    ) -> Result<(), StoreError> {
        let before = self.guarded(collection, keys, guard, most).await?;
        if before.is_empty() {
            return Ok(());
        }
        let set = dates::stamp_changes(set, self.counters.date(write.at));
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
            addresses::check(&mut self.transaction, &before, &after).await?;
            let mut statement = Sql::update();
            statement.table(collection.name).and_where(one_of(collection, &before));
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
        self.note(write, collection, EventAction::Update, changes, Arc::default());
        Ok(())
    }

    async fn delete(
        &mut self,
        write: &Write,
        collection: &'static Collection,
        before: Vec<Row>,
        text_keys: &Arc<[Key]>,
    ) -> Result<(), StoreError> {
        if before.is_empty() {
            return Ok(());
        }
        let mut statement = Sql::delete();
        statement.from_table(collection.name).and_where(one_of(collection, &before));
        let (sql, values) = statement.build_sqlx(SqliteQueryBuilder);
        sqlx::query_with(AssertSqlSafe(sql), values)
            .execute(&mut *self.transaction)
            .await
            .map_err(|error| failure::name(error, collection, &before))?;
        let changes = before
            .iter()
            .filter_map(|row| {
                let before = Some(Arc::new(rows::mask(row)));
                Some(Change { key: row.key()?, before, after: None })
            })
            .collect();
        self.note(write, collection, EventAction::Delete, changes, Arc::clone(text_keys));
        Ok(())
    }

    /// Returns the items as they are, in the order of the keys, each once, if the guard lets them.
    async fn guarded(
        &mut self,
        collection: &'static Collection,
        keys: &[Key],
        guard: &Guard,
        most: usize,
    ) -> Result<Vec<Row>, StoreError> {
        self.insert().await?;
        let mut found = self.present(collection, keys, most).await?;
        let places: HashMap<Key, usize> =
            keys.iter().enumerate().map(|(place, key)| (*key, place)).collect();
        found.sort_by_cached_key(|row| row.key().and_then(|key| places.get(&key).copied()));
        if let Guard::Every(filter) = guard
            && (found.len() < places.len() || !self.fit(collection, &found, filter).await?)
        {
            return Err(StoreError::Refused);
        }
        Ok(found)
    }

    async fn present(
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
        StoreError::TooMuch { bytes_max: self.mutation_bytes_max }
    }

    /// Returns whether all these rows fit the filter.
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

    fn note(
        &mut self,
        write: &Write,
        collection: &'static Collection,
        action: EventAction,
        changes: Vec<Change>,
        text_keys: Arc<[Key]>,
    ) {
        let (seq, at) = (self.counters.next_seq(), self.counters.date(write.at));
        let actor = write.actor;
        for row in changes.iter().flat_map(|change| change.before.iter().chain(&change.after)) {
            self.touched.rows += 1;
            self.touched.text_bytes += row.text_bytes();
        }
        let event = Event { seq, collection, action, changes, actor, at, text_keys };
        self.events.push(Arc::new(event));
    }
}

fn keyed(collection: &'static Collection, keys: impl Iterator<Item = Key>) -> Filter {
    Filter::Field(collection.key(), Test::In(keys.map(Value::from).collect()))
}

fn one_of(collection: &'static Collection, rows: &[Row]) -> Expr {
    let keys = rows.iter().filter_map(Row::key);
    dialect::is_in(Expr::col(collection.key().name), &rows::pack_keys(keys))
}
