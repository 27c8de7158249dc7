//! One transaction: its writes, their events, and the counters.
//!
//! Mutations of items are in `mutations`, writes that take several transactions in `steps`.

use std::collections::HashSet;
use std::sync::Arc;

use sqlx::{Connection, Sqlite, SqliteConnection, Transaction};
use uuid::Uuid;

use crate::model::{Collection, Event, Key, Row};
use crate::store::StoreError;
use crate::store::activity;
use crate::store::erasure;
use crate::store::event_log;
use crate::store::maintenance::Maintenance;
use crate::store::write::{IdempotencyKey, Mutation, ROW_OVERHEAD, Write};
use crate::store::writer::State;
use crate::store::writer::administrators;
use crate::store::writer::idempotency::Idempotency;
use crate::store::writer::steps::Progress;

/// A transaction in progress. Dropping it without [`Batch::commit`] rolls it back.
pub(super) struct Batch<'c> {
    pub(super) transaction: Transaction<'c, Sqlite>,
    pub(super) state: State,
    /// The offset of the last event before this transaction.
    pub(super) head: i64,
    pub(super) events: Vec<Arc<Event>>,
    /// The offsets of the events of referential actions, in order. Activity has no rows for them.
    pub(super) implied: Vec<i64>,
    /// Whether a referential action is in progress.
    pub(super) implying: bool,
    /// Creates with assigned keys and events, waiting to be inserted in one statement.
    pub(super) creates: Vec<Row>,
    /// Items that are being deleted: referential actions skip them.
    pub(super) deleting: Vec<(&'static Collection, HashSet<Key>)>,
    /// Accounts to be erased from the log once the rows of all writes are in it, each with the
    /// offset up to which that is done.
    pub(super) erased: Vec<(Uuid, i64)>,
    /// Rows and bytes touched so far.
    pub(super) touched: Touched,
    /// The remaining budget for consequences of the current write.
    pub(super) left: Step,
    pub(super) bounds: Bounds,
}

/// Rows and text bytes that a batch has touched: items before and after their changes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Touched {
    pub(super) rows: usize,
    pub(super) text_bytes: usize,
}

/// The limits of one write.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Bounds {
    /// Size limit of the items that it updates or deletes by key, in bytes.
    pub(in crate::store) mutation_bytes_max: usize,
    /// Budget of its consequences in one transaction, and the size limit of their events.
    pub(in crate::store) step: Step,
}

/// A budget: a number of items, and of the bytes of their texts.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Step {
    pub(in crate::store) rows: usize,
    pub(in crate::store) bytes: usize,
}

impl Step {
    /// Takes the size of these items from the budget.
    pub(super) fn take(&mut self, rows: &[Row]) {
        self.rows = self.rows.saturating_sub(rows.len());
        let bytes: usize = rows.iter().map(Row::text_bytes).sum();
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// Returns whether the budget is used up.
    pub(in crate::store) const fn is_spent(&self) -> bool {
        self.rows == 0 || self.bytes == 0
    }
}

/// A savepoint: the state of a batch before a write, for a rollback.
pub(super) struct Savepoint {
    state: State,
    events: usize,
    implied: usize,
    erased: usize,
    touched: Touched,
}

/// The progress of a write.
#[derive(Debug)]
pub(super) enum Ran {
    /// The write is done.
    Whole,
    /// Some consequences are done; the same write must run again.
    Again,
    /// The write is done; these consequences must follow.
    Left(Vec<Mutation>),
}

impl<'c> Batch<'c> {
    pub(super) async fn begin(
        connection: &'c mut SqliteConnection,
        state: State,
        bounds: Bounds,
    ) -> Result<Self, StoreError> {
        let transaction = connection.begin_with("begin immediate").await?;
        Ok(Self {
            transaction,
            head: state.counters.seq(),
            state,
            events: Vec::new(),
            implied: Vec::new(),
            implying: false,
            creates: Vec::new(),
            deleting: Vec::new(),
            erased: Vec::new(),
            touched: Touched::default(),
            left: bounds.step,
            bounds,
        })
    }

    /// Returns the approximate memory taken so far, in bytes.
    pub(super) const fn bytes(&self) -> usize {
        self.touched.text_bytes + self.touched.rows * ROW_OVERHEAD
    }

    /// Returns the events so far.
    pub(super) fn events(&self) -> &[Arc<Event>] {
        &self.events
    }

    /// Looks up which of these idempotency keys were used before.
    pub(super) async fn recall(
        &mut self,
        keys: impl Iterator<Item = &IdempotencyKey>,
    ) -> Result<Idempotency, StoreError> {
        Idempotency::load(&mut self.transaction, keys).await
    }

    /// Runs a write, or as much of it as one transaction should hold.
    pub(super) async fn run(&mut self, write: &Write) -> Result<Ran, StoreError> {
        let takes = write.ops.iter().any(administrators::may_take_away);
        if takes {
            self.insert().await?;
        }
        let had_one = takes && administrators::exist(&mut self.transaction).await?;
        let begin = self.touched;
        self.left = self.bounds.step;
        let mut left = Vec::new();
        for (place, op) in write.ops.iter().enumerate() {
            match self.run_op(write, op, begin).await? {
                Progress::Whole => {}
                Progress::Left(op) => left.push(op),
                Progress::Again => {
                    self.rehearse(write, &write.ops[place + 1..], begin, had_one).await?;
                    return Ok(Ran::Again);
                }
            }
        }
        self.require_administrator(had_one).await?;
        Ok(if left.is_empty() { Ran::Whole } else { Ran::Left(left) })
    }

    /// Runs one operation of a write. `begin` is the amount that was touched before the write.
    async fn run_op(
        &mut self,
        write: &Write,
        op: &Mutation,
        begin: Touched,
    ) -> Result<Progress, StoreError> {
        match op {
            Mutation::Create { collection, rows } => self.create(write, collection, rows).await?,
            Mutation::Update { collection, keys, set, precondition } => {
                let most = self.mutation_left(keys, begin);
                self.update(write, collection, keys, set, precondition, most).await?;
            }
            Mutation::Delete { collection, keys, precondition, text_keys } => {
                let most = self.mutation_left(keys, begin);
                let before = self.matching(collection, keys, precondition, most).await?;
                return self.delete_or_begin(write, collection, before, text_keys).await;
            }
            Mutation::DeleteWhere { collection, filter } => {
                return self.delete_where(write, collection, filter).await;
            }
            Mutation::Finish { collection, keys } => {
                return self.finish(write, collection, keys).await;
            }
            Mutation::Erase { user, items } => return self.erase(write, *user, *items).await,
            Mutation::ProjectActivity => activity::append_owed(&mut self.transaction).await?,
        }
        Ok(Progress::Whole)
    }

    /// Runs the operations after a step and rolls them back: a step is committed only if its write
    /// would not be refused.
    async fn rehearse(
        &mut self,
        write: &Write,
        ops: &[Mutation],
        begin: Touched,
        had_one: bool,
    ) -> Result<(), StoreError> {
        self.insert().await?;
        let savepoint = self.savepoint().await?;
        for op in ops {
            self.run_op(write, op, begin).await?;
        }
        self.insert().await?;
        self.require_administrator(had_one).await?;
        self.rollback_to(savepoint).await
    }

    /// Refuses a write that removes the last administrator.
    async fn require_administrator(&mut self, had_one: bool) -> Result<(), StoreError> {
        if had_one && !administrators::exist(&mut self.transaction).await? {
            return Err(StoreError::NoAdministrator);
        }
        Ok(())
    }

    /// Returns the size limit of the items with these keys, in bytes. `begin` is the amount that
    /// was touched before the write. A single item has no limit, since there is no smaller change.
    const fn mutation_left(&self, keys: &[Key], begin: Touched) -> usize {
        if self.touched.rows == begin.rows && keys.len() <= 1 {
            return usize::MAX;
        }
        let touched = self.touched.text_bytes - begin.text_bytes;
        self.bounds.mutation_bytes_max.saturating_sub(touched)
    }

    /// Creates a savepoint. No create may be waiting to be inserted.
    pub(super) async fn savepoint(&mut self) -> Result<Savepoint, StoreError> {
        sqlx::query("savepoint one").execute(&mut *self.transaction).await?;
        Ok(Savepoint {
            state: self.state.clone(),
            events: self.events.len(),
            implied: self.implied.len(),
            erased: self.erased.len(),
            touched: self.touched,
        })
    }

    /// Releases a savepoint and keeps the changes since.
    pub(super) async fn release(&mut self, _: Savepoint) -> Result<(), StoreError> {
        sqlx::query("release one").execute(&mut *self.transaction).await?;
        Ok(())
    }

    /// Rolls back to a savepoint.
    pub(super) async fn rollback_to(&mut self, savepoint: Savepoint) -> Result<(), StoreError> {
        sqlx::query("rollback to one").execute(&mut *self.transaction).await?;
        sqlx::query("release one").execute(&mut *self.transaction).await?;
        self.state = savepoint.state;
        self.events.truncate(savepoint.events);
        self.implied.truncate(savepoint.implied);
        self.creates.clear();
        self.erased.truncate(savepoint.erased);
        self.touched = savepoint.touched;
        Ok(())
    }

    /// Runs a maintenance write.
    pub(super) async fn maintain(&mut self, maintenance: &Maintenance) -> Result<(), StoreError> {
        maintenance.run(&mut self.transaction).await
    }

    /// Commits, and returns the new state of the writer.
    pub(super) async fn commit(mut self, done: &Idempotency) -> Result<State, StoreError> {
        self.insert().await?;
        if !self.events.is_empty() {
            let events = self.events.iter().map(Arc::as_ref);
            event_log::append(&mut self.transaction, events).await?;
            let events = self.events.iter().map(Arc::as_ref);
            let asked_for = events.filter(|event| self.implied.binary_search(&event.seq).is_err());
            activity::append(&mut self.transaction, asked_for).await?;
            self.state.counters.save(&mut self.transaction).await?;
            done.save(&mut self.transaction).await?;
        }
        for (user, after) in &self.erased {
            let to = self.state.counters.seq();
            erasure::strip(&mut self.transaction, *user, *after, to).await?;
            erasure::forget_some(&mut self.transaction, *user, usize::MAX).await?;
        }
        self.transaction.commit().await?;
        Ok(self.state)
    }
}
