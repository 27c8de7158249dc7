//! The queue of a view that nobody waits for, and its task.
//!
//! The log has all events, so the queue need not: what does not fit into it is read again, once for
//! all who listen, when the view has got that far.

use std::sync::Arc;
use std::sync::Weak;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::domain::realtime::Hub;
use crate::domain::realtime::view::View;
use crate::model::Event;
use crate::store::StoreError;

/// How many events wait in memory. More would take memory and save nothing that is dear: the log is read
/// by pages, and what a page needs is asked for once.
const QUEUE_MAX: usize = 256;
/// How many events are read at once.
const PAGE_EVENTS: u32 = 256;
/// How long to wait before the log is read again that could not be.
const PATIENCE: Duration = Duration::from_millis(250);

/// The events on their way to a view that takes its time.
pub(super) struct Lane {
    queue: mpsc::Sender<(Arc<Hub>, Arc<Event>)>,
    state: Mutex<State>,
}

/// What a lane is to work off.
pub(super) struct Work {
    queue: mpsc::Receiver<(Arc<Hub>, Arc<Event>)>,
}

#[derive(Default)]
struct State {
    /// How many events of the queue were not told yet.
    waiting: usize,
    /// Up to where there is more in the log than the queue had room for.
    beyond: Option<i64>,
    /// Up to where everything was told, while anything waits.
    told: i64,
}

impl Lane {
    pub(super) fn new() -> (Self, Work) {
        let (sender, queue) = mpsc::channel(QUEUE_MAX);
        (Self { queue: sender, state: Mutex::default() }, Work { queue })
    }

    /// Takes an event. Events must come in order.
    pub(super) fn push(&self, hub: &Arc<Hub>, event: &Arc<Event>) {
        let mut state = self.state.lock();
        if state.beyond.is_none() {
            if state.waiting == 0 {
                state.told = event.seq - 1;
            }
            if self.queue.try_send((Arc::clone(hub), Arc::clone(event))).is_ok() {
                state.waiting += 1;
                return;
            }
        }
        // Whoever works the queue off looks at this once it is empty.
        state.beyond = Some(event.seq);
    }

    /// Returns up to where everything was told, if all up to `delivered` was pushed that is of interest.
    pub(super) fn told(&self, delivered: i64) -> i64 {
        let state = self.state.lock();
        if state.waiting == 0 && state.beyond.is_none() { delivered } else { state.told }
    }

    /// Notes that an event of the queue was told. Returns up to where the log has to be read now.
    fn advance(&self, seq: i64) -> Option<i64> {
        let mut state = self.state.lock();
        state.told = seq;
        state.waiting -= 1;
        state.beyond.filter(|_| state.waiting == 0)
    }

    /// Notes up to where the log was told. Returns up to where there is more.
    fn advance_in_log(&self, seq: i64) -> Option<i64> {
        let mut state = self.state.lock();
        state.told = seq;
        state.beyond = state.beyond.filter(|beyond| *beyond > seq);
        state.beyond
    }
}

impl Work {
    /// Tells a view what waits, until nobody listens any more.
    pub(super) async fn run(mut self, view: Weak<View>, stopping: CancellationToken) {
        while let Some(Some((hub, event))) = stopping.run_until_cancelled(self.queue.recv()).await {
            let Some(view) = view.upgrade() else { return };
            let Some(lane) = view.lane() else { return };
            view.tell(&hub, &event, None).await;
            let Some(mut beyond) = lane.advance(event.seq) else { continue };
            let mut told = event.seq;
            while let Some(went) =
                stopping.run_until_cancelled(read_on(&hub, &view, told, beyond)).await
            {
                let Some(more) = lane.advance_in_log(went) else { break };
                (told, beyond) = (went, more);
                if view.is_empty() {
                    return;
                }
            }
        }
    }
}

/// Tells a view a page of the log, and returns up to where that reaches.
async fn read_on(hub: &Arc<Hub>, view: &Arc<View>, told: i64, to: i64) -> i64 {
    loop {
        match hub.missing(told, to, PAGE_EVENTS).await {
            Ok(page) => {
                // They are of this moment, as in the news itself. What fails is tried again for each.
                let counts = view.counts(&hub.items).await.ok().flatten();
                for event in &page.events {
                    view.tell(hub, event, counts).await;
                }
                return page.last;
            }
            Err(StoreError::Forgotten) => {
                // Whoever listens begins anew.
                view.fall_behind(hub, told, None);
                return to;
            }
            Err(error) => {
                tracing::warn!(error = %error, "the log could not be read for a view");
                tokio::time::sleep(PATIENCE).await;
            }
        }
    }
}
