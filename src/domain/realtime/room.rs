//! How much all connections together may leave unread: whoever leaves most of it makes room for the
//! others.
//!
//! Frames count once, however many connections they are for, until the last of them has been sent it.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::realtime::Hub;
use crate::domain::realtime::Meter;
use crate::domain::realtime::outbox::Unsent;
use crate::domain::realtime::peer::Seat;

/// How long nothing is delivered while there is no room and no socket is known to take nothing: those
/// that write them may only be late.
const PATIENCE: Duration = Duration::from_millis(100);
/// How long all connections are not looked at again, where nobody waits for room.
const PAUSE: Duration = Duration::from_millis(10);

impl Hub {
    /// Returns a meter for the answers of one connection, which count together with all else.
    #[must_use]
    pub fn meter(&self, bytes_max: usize) -> Meter {
        self.unsent.part(bytes_max)
    }

    /// Closes, if too much is unsent, those connections of which most is and whose sockets take no more.
    pub(super) fn make_room(&self) {
        if self.unsent.has_room() {
            return;
        }
        // All connections are looked at for that: not for each frame anew.
        let now = Instant::now();
        if let Some(mut looked) = self.making_room.try_lock()
            && looked.is_none_or(|at| now.duration_since(at) >= PAUSE)
        {
            *looked = Some(now);
            self.close_greediest(|unsent| unsent.is_stuck);
        }
    }

    /// Waits, if too much is unsent, until it is not any more: a moment, then who leaves most of it
    /// goes.
    pub(super) async fn wait_for_room(&self) {
        if self.unsent.has_room() || self.close_greediest(|unsent| unsent.is_stuck) {
            return;
        }
        let room = async {
            while !self.unsent.has_room() {
                self.unsent.less().await;
            }
        };
        if tokio::time::timeout(PATIENCE, room).await.is_err() {
            self.close_greediest(|_| true);
        }
    }

    /// Closes such connections until an eighth of the room is free, and returns whether it is, or will be
    /// once those are gone that are being closed.
    fn close_greediest(&self, may_go: impl Fn(&Unsent) -> bool) -> bool {
        let enough = self.unsent.bytes_max() / 8 * 7;
        let mut going = 0;
        let mut greedy: Vec<(Unsent, Arc<Seat>)> = Vec::new();
        for seat in self.seats.lock().values() {
            let unsent = seat.outbox.unsent();
            going += unsent.going;
            if unsent.going == 0 && unsent.bytes > 0 && may_go(&unsent) {
                greedy.push((unsent, Arc::clone(seat)));
            }
        }
        greedy.sort_unstable_by_key(|(unsent, _)| Reverse(*unsent));
        let is_enough = |going: usize| self.unsent.bytes().saturating_sub(going) <= enough;
        let mut closed = 0;
        for (_, seat) in greedy {
            if is_enough(going) {
                break;
            }
            going += seat.outbox.give_up();
            closed += 1;
        }
        if closed > 0 {
            tracing::warn!(connections = closed, "closed those that left most unread");
        }
        is_enough(going)
    }
}
