//! The queue of a view that the other views do not wait for, and its worker.
//!
//! The queue is bounded, since the log has all events: those that do not fit are read from the log,
//! once for all subscriptions of the view, when the worker reaches them.

use std::sync::Arc;
use std::sync::Weak;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::domain::subscriptions::Hub;
use crate::domain::subscriptions::view::View;
use crate::model::Event;
use crate::store::StoreError;

/// The maximum number of queued events in memory. A longer queue would take memory and save little:
/// the log is read in pages, and the counts are queried once per page.
const QUEUE_MAX: usize = 256;
/// The number of events that are read at once.
const PAGE_EVENTS: u32 = 256;
/// The delay before a failed read of the log is retried.
const PATIENCE: Duration = Duration::from_millis(250);

/// The queue of a view that is not delivered together with others.
pub(super) struct ViewQueue {
    queue: mpsc::Sender<(Arc<Hub>, Arc<Event>)>,
    state: Mutex<State>,
}

/// The worker of a queue.
pub(super) struct Work {
    queue: mpsc::Receiver<(Arc<Hub>, Arc<Event>)>,
}

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
    pub(super) fn new() -> (Self, Work) {
        let (sender, queue) = mpsc::channel(QUEUE_MAX);
        (Self { queue: sender, state: Mutex::default() }, Work { queue })
    }

    /// Queues an event. Events must come in order.
    pub(super) fn push(&self, hub: &Arc<Hub>, event: &Arc<Event>) {
        let mut state = self.state.lock();
        if state.beyond.is_none() {
            if state.waiting == 0 {
                state.delivered = event.seq - 1;
            }
            if self.queue.try_send((Arc::clone(hub), Arc::clone(event))).is_ok() {
                state.waiting += 1;
                return;
            }
        }
        // The worker checks this once the queue is empty.
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
    fn advance(&self, seq: i64) -> Option<i64> {
        let mut state = self.state.lock();
        state.delivered = seq;
        state.waiting -= 1;
        state.beyond.filter(|_| state.waiting == 0)
    }

    /// Records the offset up to which the log was delivered. Returns the offset up to which there
    /// is more.
    fn advance_in_log(&self, seq: i64) -> Option<i64> {
        let mut state = self.state.lock();
        state.delivered = seq;
        state.beyond = state.beyond.filter(|beyond| *beyond > seq);
        state.beyond
    }
}

impl Work {
    /// Delivers the queued events to a view until it is gone or has no subscriptions.
    pub(super) async fn run(mut self, view: Weak<View>, stopping: CancellationToken) {
        while let Some(Some((hub, event))) = stopping.run_until_cancelled(self.queue.recv()).await {
            let Some(view) = view.upgrade() else { return };
            let Some(queue) = view.queue() else { return };
            view.tell(&hub, &event, None).await;
            let Some(mut beyond) = queue.advance(event.seq) else { continue };
            let mut delivered = event.seq;
            while let Some(went) =
                stopping.run_until_cancelled(read_on(&hub, &view, delivered, beyond)).await
            {
                let Some(more) = queue.advance_in_log(went) else { break };
                (delivered, beyond) = (went, more);
                if view.is_empty() {
                    return;
                }
            }
        }
    }
}

/// Delivers a page of the log to a view, and returns the last offset of the page.
async fn read_on(hub: &Arc<Hub>, view: &Arc<View>, delivered: i64, to: i64) -> i64 {
    loop {
        match hub.missing(delivered, to, PAGE_EVENTS).await {
            Ok(page) => {
                // The counts are current, as for live events. If they cannot be read, each event
                // reads its own.
                let counts = view.counts(&hub.items).await.ok().flatten();
                for event in &page.events {
                    view.tell(hub, event, counts).await;
                }
                return page.last;
            }
            Err(StoreError::Forgotten) => {
                // The subscriptions restart from a snapshot.
                view.fall_behind(hub, delivered);
                return to;
            }
            Err(error) => {
                tracing::warn!(error = %error, "cannot read the event log for a view");
                tokio::time::sleep(PATIENCE).await;
            }
        }
    }
}
