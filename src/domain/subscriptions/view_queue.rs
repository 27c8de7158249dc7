//! The queue of a view that the other views do not wait for. `view_task` delivers its events.
//!
//! The queue is bounded, since the log has all events: those that do not fit are read from the log,
//! once for all subscriptions of the view, when the task reaches them.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::model::Event;

/// The maximum number of queued events in memory. A longer queue would take memory and save little:
/// the log is read in pages, and the counts are queried once per page.
const QUEUE_MAX: usize = 256;

/// The queue of a view that is not delivered together with others.
pub(super) struct ViewQueue {
    queue: mpsc::Sender<Arc<Event>>,
    state: Mutex<State>,
}

/// The events of a queue.
pub(super) type QueuedEvents = mpsc::Receiver<Arc<Event>>;

#[derive(Default)]
struct State {
    /// The number of queued events that were not delivered yet.
    waiting: usize,
    /// The offset up to which the log has events that did not fit into the queue.
    beyond: Option<i64>,
    /// The offset up to which everything was delivered, while events wait.
    delivered: i64,
}

impl ViewQueue {
    pub(super) fn new() -> (Self, QueuedEvents) {
        let (queue, events) = mpsc::channel(QUEUE_MAX);
        (Self { queue, state: Mutex::default() }, events)
    }

    /// Queues an event. Events must come in order.
    pub(super) fn push(&self, event: &Arc<Event>) {
        let mut state = self.state.lock();
        if state.beyond.is_none() {
            if state.waiting == 0 {
                state.delivered = event.seq - 1;
            }
            if self.queue.try_send(Arc::clone(event)).is_ok() {
                state.waiting += 1;
                return;
            }
        }
        // The task checks this once the queue is empty.
        state.beyond = Some(event.seq);
    }

    /// Returns the offset up to which everything was delivered, if all relevant events up to
    /// `delivered` were queued.
    pub(super) fn delivered(&self, delivered: i64) -> i64 {
        let state = self.state.lock();
        if state.waiting == 0 && state.beyond.is_none() { delivered } else { state.delivered }
    }

    /// Records that a queued event was delivered. Returns the offset up to which the log has to be
    /// read now.
    pub(super) fn advance(&self, seq: i64) -> Option<i64> {
        let mut state = self.state.lock();
        state.delivered = seq;
        state.waiting -= 1;
        state.beyond.filter(|_| state.waiting == 0)
    }

    /// Records the offset up to which the log was delivered. Returns the offset up to which there
    /// is more.
    pub(super) fn advance_in_log(&self, seq: i64) -> Option<i64> {
        let mut state = self.state.lock();
        state.delivered = seq;
        state.beyond = state.beyond.filter(|beyond| *beyond > seq);
        state.beyond
    }
}
