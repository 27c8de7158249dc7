//! Writes with more consequences than one transaction should hold, carried out in steps.
//!
//! A step is one transaction with its own events; writes of other flows are committed in between. A
//! deletion that takes several steps is recorded (`deletions`) by the first, which decides it: the
//! items are retired, later writes cannot refer to them or change them, and a restart resumes it.

use uuid::Uuid;

use crate::model::schema;
use crate::model::schema::USERS;
use crate::model::{Collection, Key, Row, Value};
use crate::query::{Filter, Test};
use crate::store::StoreError;
use crate::store::erasure;
use crate::store::event_log;
use crate::store::read;
use crate::store::write::{Mutation, Write};
use crate::store::writer::batch::{Batch, Step};
use crate::store::writer::deletions::Erasure;

/// Maximum number of deletions carried out at a time, since statements that look for references
/// list their keys.
const FINISHED_AT_ONCE: usize = 64;

/// Multiple of the budget of a step that an erasure may visit in the log.
const STRIPPED: usize = 4;

/// The progress of an operation of a write.
#[derive(Debug)]
pub(super) enum Progress {
    /// The operation is done.
    Whole,
    /// One step is done, and the whole write must run again.
    Again,
    /// The operation is decided, and the remaining operation must follow.
    Left(Mutation),
}

impl Batch<'_> {
    /// Deletes the matching items that fit into one step.
    pub(super) async fn delete_where(
        &mut self,
        write: &Write,
        collection: &'static Collection,
        filter: &Filter,
    ) -> Result<Progress, StoreError> {
        let (found, more) = self.take_some(collection, filter).await?;
        let whole = self.delete(write, collection, &found, &[]).await? && !more;
        Ok(if whole { Progress::Whole } else { Progress::Again })
    }

    /// Deletes items, or records their deletion if the references to them exceed one step.
    pub(super) async fn delete_or_begin(
        &mut self,
        write: &Write,
        collection: &'static Collection,
        items: Vec<Row>,
        text_keys: &[Key],
    ) -> Result<Progress, StoreError> {
        let is_begun =
            |row: &Row| row.key().is_some_and(|key| self.state.deletions.contains(collection, key));
        let (begun, fresh): (Vec<Row>, Vec<Row>) = items.into_iter().partition(is_begun);
        let mut left: Vec<Key> = begun.iter().filter_map(Row::key).collect();
        if !self.delete(write, collection, &fresh, text_keys).await? {
            self.begin_deletion(write, collection, &fresh, None).await?;
            left.extend(fresh.iter().filter_map(Row::key));
        }
        Ok(rest(collection, left))
    }

    /// Continues deletions that were begun.
    pub(super) async fn finish(
        &mut self,
        write: &Write,
        collection: &'static Collection,
        keys: &[Key],
    ) -> Result<Progress, StoreError> {
        self.insert().await?;
        let mut left = keys;
        while !left.is_empty() && !self.left.is_spent() {
            let (some, others) = left.split_at(left.len().min(FINISHED_AT_ONCE));
            let is_begun = |key: &Key| self.state.deletions.contains(collection, *key);
            let begun: Vec<Key> = some.iter().copied().filter(is_begun).collect();
            if !self.finish_some(write, collection, &begun).await? {
                break;
            }
            left = others;
        }
        Ok(rest(collection, left.to_vec()))
    }

    /// Erases an account, or records the erasure if it exceeds one step.
    pub(super) async fn erase(
        &mut self,
        write: &Write,
        user: Uuid,
        items: bool,
    ) -> Result<Progress, StoreError> {
        self.insert().await?;
        let key = Key::Uuid(user);
        let account = self.present(&USERS, &[key], usize::MAX).await?;
        if account.is_empty() {
            return Ok(Progress::Whole);
        }
        self.state.deletions.add(&USERS, key, Some(Erasure { items, stripped: 0 }));
        if self.finish_some(write, &USERS, &[key]).await? {
            return Ok(Progress::Whole);
        }
        let erasure = self.state.deletions.erasure(user);
        self.begin_deletion(write, &USERS, &account, erasure).await?;
        Ok(rest(&USERS, vec![key]))
    }

    /// Records the deletion of items, and retires them.
    async fn begin_deletion(
        &mut self,
        write: &Write,
        collection: &'static Collection,
        items: &[Row],
        erasure: Option<Erasure>,
    ) -> Result<(), StoreError> {
        let keys: Vec<Key> = items.iter().filter_map(Row::key).collect();
        self.state
            .deletions
            .begin(&mut self.transaction, collection, &keys, write, erasure)
            .await?;
        self.set(write, collection, items, &schema::retired(collection)).await
    }

    /// Continues some deletions. Returns whether the items are deleted.
    async fn finish_some(
        &mut self,
        write: &Write,
        collection: &'static Collection,
        keys: &[Key],
    ) -> Result<bool, StoreError> {
        let erased: Vec<Uuid> = keys
            .iter()
            .filter_map(|key| match key {
                Key::Uuid(user) if *collection == USERS => Some(*user),
                _ => None,
            })
            .filter(|user| self.state.deletions.erasure(*user).is_some())
            .collect();
        for user in &erased {
            if !self.delete_authored(write, *user).await? {
                return Ok(false);
            }
        }
        let items = self.present(collection, keys, usize::MAX).await?;
        if !self.detach(write, collection, &items).await? {
            return Ok(false);
        }
        for user in &erased {
            if !self.strip_some(*user).await? {
                return Ok(false);
            }
        }
        self.left.take(&items);
        self.delete_rows(write, collection, &items, &[]).await?;
        for user in erased {
            let stripped = self.state.deletions.erasure(user).map_or(0, |erasure| erasure.stripped);
            self.erased.push((user, stripped));
        }
        self.state.deletions.end(&mut self.transaction, collection, keys).await?;
        Ok(true)
    }

    /// Deletes items that an account created, if the erasure includes them. Returns whether no such
    /// item is left.
    async fn delete_authored(&mut self, write: &Write, user: Uuid) -> Result<bool, StoreError> {
        if !self.state.deletions.erasure(user).is_some_and(|erasure| erasure.items) {
            return Ok(true);
        }
        for (collection, author) in schema::authored() {
            let filter = Filter::Field(author, Test::Eq(Value::Uuid(user)));
            if !matches!(self.delete_where(write, collection, &filter).await?, Progress::Whole) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Erases an account from a part of the log. Returns whether only the last part is left, which
    /// [`Batch::commit`] handles.
    async fn strip_some(&mut self, user: Uuid) -> Result<bool, StoreError> {
        // Most rows are about other accounts, and visiting those is cheap.
        let Step { rows, bytes } = self.bounds.step;
        let step = Step { rows: rows * STRIPPED, bytes: bytes * STRIPPED };
        if !erasure::forget_some(&mut self.transaction, user, step.rows).await? {
            return Ok(false);
        }
        let Some(erasure) = self.state.deletions.erasure(user) else { return Ok(true) };
        let from = erasure.stripped;
        let to = event_log::reach(&mut self.transaction, from, self.head, step).await?;
        if to == self.head {
            return Ok(true);
        }
        erasure::strip(&mut self.transaction, user, from, to).await?;
        self.state.deletions.note_stripped(&mut self.transaction, user, to).await?;
        Ok(false)
    }

    /// Returns matching items within the remaining budget of this step, and whether there are more.
    pub(super) async fn take_some(
        &mut self,
        collection: &'static Collection,
        filter: &Filter,
    ) -> Result<(Vec<Row>, bool), StoreError> {
        self.insert().await?;
        let Self { transaction, left, .. } = self;
        let found = read::read_some(transaction, collection, filter, left.rows, left.bytes).await?;
        left.take(&found.0);
        Ok(found)
    }
}

/// Returns the progress of an operation that leaves these deletions unfinished.
fn rest(collection: &'static Collection, keys: Vec<Key>) -> Progress {
    if keys.is_empty() {
        Progress::Whole
    } else {
        Progress::Left(Mutation::Finish { collection, keys })
    }
}
