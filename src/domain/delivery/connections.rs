//! All connections of this process, and the global limit for the frames that they have yet to read.
//!
//! When the limit is exceeded, the connections with the largest backlog are closed. A frame for
//! several connections counts once, until it has been sent to the last of them.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::domain::delivery::byte_budget::ByteBudget;
use crate::domain::delivery::outbox::{Closing, Outbox, Unsent};

/// The time that delivery pauses while the limit is exceeded and no socket is known to be blocked:
/// the writers may only be late.
const PATIENCE: Duration = Duration::from_millis(100);
/// The minimum interval between searches through all connections by callers that do not wait.
const PAUSE: Duration = Duration::from_millis(10);

/// The open connections, by id. `C` is a connection, which has an outbox.
pub(in crate::domain) struct Connections<C> {
    all: Mutex<HashMap<u64, Arc<C>>>,
    /// The budget for the unsent frames of all connections.
    unsent: ByteBudget,
    /// When [`Connections::shed_load`] last searched for the largest backlogs.
    searched: Mutex<Option<Instant>>,
}

impl<C: AsRef<Outbox>> Connections<C> {
    /// Creates the set without connections. `bytes_max` is the limit for their unsent frames.
    pub(in crate::domain) fn new(bytes_max: usize) -> Self {
        let unsent = ByteBudget::new(bytes_max);
        Self { all: Mutex::default(), unsent, searched: Mutex::default() }
    }

    /// Returns the budget for the unsent frames of all connections.
    pub(in crate::domain) const fn unsent(&self) -> &ByteBudget {
        &self.unsent
    }

    /// Adds a connection.
    pub(in crate::domain) fn add(&self, id: u64, connection: Arc<C>) {
        self.all.lock().insert(id, connection);
    }

    /// Removes a connection.
    pub(in crate::domain) fn remove(&self, id: u64) {
        self.all.lock().remove(&id);
    }

    /// Returns the number of connections.
    pub(in crate::domain) fn len(&self) -> usize {
        self.all.lock().len()
    }

    /// Returns the connections that a condition accepts.
    pub(in crate::domain) fn select(&self, accepts: impl Fn(&C) -> bool) -> Vec<Arc<C>> {
        self.all.lock().values().filter(|connection| accepts(connection)).cloned().collect()
    }

    /// Closes all connections once their queued frames are sent.
    pub(in crate::domain) fn close_all(&self, closing: Closing) {
        for connection in self.all.lock().values() {
            C::as_ref(connection).close(closing);
        }
    }

    /// When the global limit is exceeded, closes the connections with the largest backlog among
    /// those with blocked sockets.
    pub(in crate::domain) fn shed_load(&self) {
        if self.unsent.has_capacity() {
            return;
        }
        // This searches through all connections, so it is not repeated for each frame.
        let now = Instant::now();
        if let Some(mut searched) = self.searched.try_lock()
            && searched.is_none_or(|at| now.duration_since(at) >= PAUSE)
        {
            *searched = Some(now);
            self.disconnect_largest(|unsent| unsent.is_stuck);
        }
    }

    /// When the global limit is exceeded, closes blocked connections. If that frees too little,
    /// waits briefly and then closes the connections with the largest backlog.
    pub(in crate::domain) async fn wait_for_capacity(&self) {
        if self.unsent.has_capacity() || self.disconnect_largest(|unsent| unsent.is_stuck) {
            return;
        }
        let capacity = async {
            while !self.unsent.has_capacity() {
                self.unsent.released().await;
            }
        };
        if tokio::time::timeout(PATIENCE, capacity).await.is_err() {
            self.disconnect_largest(|_| true);
        }
    }

    /// Closes connections that `may_go` accepts, blocked ones and large backlogs first, until an
    /// eighth of the limit is free. Returns whether that is reached, counting the connections that
    /// are being closed.
    fn disconnect_largest(&self, may_go: impl Fn(&Unsent) -> bool) -> bool {
        let enough = self.unsent.bytes_max() / 8 * 7;
        let mut going = 0;
        let mut largest: Vec<(Unsent, Arc<C>)> = Vec::new();
        for connection in self.all.lock().values() {
            let unsent = C::as_ref(connection).unsent();
            going += unsent.going;
            if unsent.going == 0 && unsent.bytes > 0 && may_go(&unsent) {
                largest.push((unsent, Arc::clone(connection)));
            }
        }
        largest.sort_unstable_by_key(|(unsent, _)| Reverse(*unsent));
        let is_enough = |going: usize| self.unsent.bytes().saturating_sub(going) <= enough;
        let mut closed = 0;
        for (_, connection) in largest {
            if is_enough(going) {
                break;
            }
            going += C::as_ref(&connection).give_up();
            closed += 1;
        }
        if closed > 0 {
            tracing::warn!(
                connections = closed,
                "disconnected the connections with the largest backlogs"
            );
        }
        is_enough(going)
    }
}
