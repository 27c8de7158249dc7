//! The global limit for unread frames. When it is exceeded, the connections with the largest
//! backlog are closed.
//!
//! A frame for several connections counts once, until it has been sent to the last of them.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::delivery::ByteBudget;
use crate::domain::delivery::outbox::Unsent;
use crate::domain::subscriptions::Hub;
use crate::domain::subscriptions::peer::ConnectionState;

/// The time that delivery pauses while the limit is exceeded and no socket is known to be blocked:
/// the writers may only be late.
const PATIENCE: Duration = Duration::from_millis(100);
/// The minimum interval between searches through all connections by callers that do not wait.
const PAUSE: Duration = Duration::from_millis(10);

impl Hub {
    /// Creates a budget for the answers of one connection; they count towards the global limit.
    #[must_use]
    pub fn budget(&self, bytes_max: usize) -> ByteBudget {
        self.unsent.part(bytes_max)
    }

    /// When the global limit is exceeded, closes the connections with the largest backlog among
    /// those with blocked sockets.
    pub(super) fn shed_load(&self) {
        if self.unsent.has_capacity() {
            return;
        }
        // This searches through all connections, so it is not repeated for each frame.
        let now = Instant::now();
        if let Some(mut looked) = self.shedding.try_lock()
            && looked.is_none_or(|at| now.duration_since(at) >= PAUSE)
        {
            *looked = Some(now);
            self.disconnect_largest(|unsent| unsent.is_stuck);
        }
    }

    /// When the global limit is exceeded, closes blocked connections. If that frees too little,
    /// waits briefly and then closes the connections with the largest backlog.
    pub(super) async fn wait_for_capacity(&self) {
        if self.unsent.has_capacity() || self.disconnect_largest(|unsent| unsent.is_stuck) {
            return;
        }
        let capacity = async {
            while !self.unsent.has_capacity() {
                self.unsent.less().await;
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
        let mut largest: Vec<(Unsent, Arc<ConnectionState>)> = Vec::new();
        for connection in self.connections.lock().values() {
            let unsent = connection.outbox.unsent();
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
            going += connection.outbox.give_up();
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
