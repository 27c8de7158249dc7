//! Recovery of clients that keep no cursors: the unmodified SDK repeats its subscriptions after a
//! lost connection, and receives the events that it missed.
//!
//! The server keeps the position of such a client. Its subscriptions use three calls:
//! [`Recovery::position`] returns where one resumes, [`sent`] which positions the client reaches
//! with the frames sent so far, and [`Recovery::confirmed`] stores them once it has acknowledged
//! these frames. `store` keeps the positions, `identity_gap` the events that an account misses while
//! it is not signed in.

mod identity_gap;
mod key;
mod store;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::Mutex as AsyncMutex;
use uuid::Uuid;

pub(super) use identity_gap::{Access, IdentityGap, Shown};
pub(super) use key::RecoveryKey;

use crate::clock::{Clock, Timestamp};
use crate::domain::quota::Owner;
use crate::domain::subscriptions::recovery::store::Positions;
use crate::store::{Position, Store, StoreError};

/// The number of positions that are written in one transaction.
const SAVED_AT_ONCE: usize = 500;

/// The positions of all clients, in memory and in the database.
pub struct Recovery {
    store: Arc<Store>,
    clock: Clock,
    positions: Mutex<Positions>,
    /// The number of positions that one connection may store in its lifetime.
    of_connection_max: usize,
    /// Held while positions are written, so that a caller that finds nothing left to write knows
    /// that its position is on disk and not merely being written.
    saving: AsyncMutex<()>,
}

/// The positions of a connection's subscriptions at one moment; empty if none asked for recovery.
#[derive(Debug, Default)]
pub struct AckPoint(pub(super) Vec<Confirmed>);

/// A position that the client's answer to a ping acknowledges.
#[derive(Debug)]
pub(super) struct Confirmed {
    key: RecoveryKey,
    seq: i64,
    /// The start of the range up to `seq`, if nothing in it was withheld from any account.
    complete_from: Option<i64>,
}

/// The part of a connection in recovery.
#[derive(Default)]
pub(super) struct Client {
    /// The account that was signed in before the connection became anonymous. Only this account
    /// receives the events missed meanwhile.
    pub(super) left: Mutex<Option<Uuid>>,
    /// The number of positions that were stored for this connection.
    stored: AtomicUsize,
}

/// Returns the positions that a client reaches once it has received everything up to `position`,
/// all that was sent to a subscription: that of its account, and that of the account `left` that was
/// signed in before. Events withheld from the latter during the identity gap are not acknowledged
/// for it. `key_of` returns the key of the subscription for an account.
pub(super) fn sent<V: Access>(
    key_of: impl Fn(Option<Uuid>) -> Option<RecoveryKey>,
    user: Option<Uuid>,
    left: Option<Uuid>,
    position: i64,
    gap: Option<&IdentityGap<V>>,
) -> impl Iterator<Item = Confirmed> {
    let complete_from = gap.and_then(IdentityGap::complete_from);
    let now = key_of(user).map(|key| Confirmed { key, seq: position, complete_from });
    let before = gap.and_then(|gap| gap.position_of_own(position));
    let before = before.zip(left).and_then(|(seq, left)| {
        Some(Confirmed { key: key_of(Some(left))?, seq, complete_from: None })
    });
    now.into_iter().chain(before)
}

impl Recovery {
    /// Creates the recovery without positions: at most `all_max`, `of_one_max` for one account or
    /// address, and `of_connection_max` for one connection in its lifetime.
    pub(super) fn new(
        store: Arc<Store>,
        clock: Clock,
        all_max: usize,
        of_one_max: usize,
        of_connection_max: usize,
    ) -> Self {
        let positions = Mutex::new(Positions::new(all_max, of_one_max));
        Self { store, clock, positions, of_connection_max, saving: AsyncMutex::default() }
    }

    /// Loads the stored positions.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn load(&self) -> Result<(), StoreError> {
        let stored = self.store.positions().await?;
        self.positions.lock().load(stored);
        Ok(())
    }

    /// Drops the positions that were last confirmed before `since`, and writes all changes in small
    /// transactions. To be called every few seconds and at shutdown: after a restart, clients
    /// receive the events after their stored positions again.
    ///
    /// # Errors
    /// When the database fails; the next call tries again.
    pub async fn save(&self, since: Option<Timestamp>) -> Result<(), StoreError> {
        let _one = self.saving.lock().await;
        if let Some(since) = since {
            self.positions.lock().forget(since);
        }
        let (mut kept, mut gone) = self.positions.lock().changes();
        while !kept.is_empty() || !gone.is_empty() {
            let step = (last(&mut kept), last(&mut gone));
            let written = self.store.keep_positions(step.0.clone(), step.1.clone()).await;
            if let Err(error) = written {
                kept.extend(step.0);
                gone.extend(step.1);
                self.positions.lock().retry(kept, gone);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Returns the position at which a subscription resumes: that of its account or, for a page
    /// without one, the furthest position of the page.
    pub(super) fn position(&self, key: &RecoveryKey) -> Option<i64> {
        self.positions.lock().find(key)
    }

    /// Returns the position of exactly this account or page.
    pub(super) fn own_position(&self, key: &RecoveryKey) -> Option<i64> {
        self.positions.lock().find_own(key)
    }

    /// Stores the position at which a subscription of a client begins, until [`Recovery::save`] in
    /// memory only. Returns false if the client has begun too many.
    pub(super) fn begin(&self, client: &Client, key: RecoveryKey, seq: i64, by: Owner) -> bool {
        let may_store = client.may_store(self.of_connection_max);
        if may_store {
            self.positions.lock().begin(key, seq, by, self.clock.now());
        }
        may_store
    }

    /// Stores the positions that a client, charged to `by`, has acknowledged.
    pub(super) fn confirmed(&self, client: &Client, by: Owner, point: AckPoint) {
        let now = self.clock.now();
        let mut positions = self.positions.lock();
        for Confirmed { key, seq, complete_from } in point.0 {
            let is_known = positions.find_own(&key).is_some();
            if !is_known && !client.may_store(self.of_connection_max) {
                continue;
            }
            if let Some(from) = complete_from {
                positions.advance_accounts(&key, from, seq, now);
            }
            let by = key.owner().unwrap_or(by);
            positions.advance(key, seq, by, now);
        }
    }

    /// Stores that a page of topics is subscribed.
    pub(super) fn store_page(&self, key: RecoveryKey, by: Owner) {
        self.positions.lock().advance(key, self.store.position(), by, self.clock.now());
    }

    /// Removes the subscription of a page of topics.
    pub(super) fn drop_page(&self, key: &RecoveryKey) {
        self.positions.lock().drop_page(key);
    }
}

impl Client {
    /// Records the account that was signed in until now.
    pub(super) fn leave(&self, user: Option<Uuid>) {
        if user.is_some() {
            *self.left.lock() = user;
        }
    }

    /// Takes one of the `most` positions that a connection may store. Returns false if none is left.
    fn may_store(&self, most: usize) -> bool {
        self.stored.fetch_add(1, Ordering::Relaxed) < most
    }
}

/// Takes up to `SAVED_AT_ONCE` positions from the end of a list.
fn last(positions: &mut Vec<Position>) -> Vec<Position> {
    positions.split_off(positions.len().saturating_sub(SAVED_AT_ONCE))
}
