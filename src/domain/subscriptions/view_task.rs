//! The task of a queued view: delivers the events of its queue and, beyond them, those of the log.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::domain::subscriptions::fanout::Fanout;
use crate::domain::subscriptions::hub::Hub;
use crate::domain::subscriptions::view_queue::QueuedEvents;
use crate::store::StoreError;

/// The number of events that are read at once.
const PAGE_EVENTS: u32 = 256;
/// The delay before a failed read of the log is retried.
const PATIENCE: Duration = Duration::from_millis(250);

/// Delivers queued events to the subscriptions of a view until it is gone or has none.
pub(super) async fn run(
    hub: Weak<Hub>,
    fanout: Weak<Fanout>,
    mut events: QueuedEvents,
    stopping: CancellationToken,
) {
    while let Some(Some(event)) = stopping.run_until_cancelled(events.recv()).await {
        let (Some(hub), Some(fanout)) = (hub.upgrade(), fanout.upgrade()) else { return };
        let Some(queue) = &fanout.view.queue else { return };
        hub.start_replays(fanout.send(&event, None).await);
        let Some(mut beyond) = queue.advance(event.seq) else { continue };
        let mut delivered = event.seq;
        while let Some(went) =
            stopping.run_until_cancelled(read_on(&hub, &fanout, delivered, beyond)).await
        {
            let Some(more) = queue.advance_in_log(went) else { break };
            (delivered, beyond) = (went, more);
            if fanout.is_empty() {
                return;
            }
        }
    }
}

/// Delivers a page of the log, and returns the last offset of the page.
async fn read_on(hub: &Arc<Hub>, fanout: &Fanout, delivered: i64, to: i64) -> i64 {
    loop {
        match hub.items.store.events(delivered, to, PAGE_EVENTS).await {
            Ok(page) => {
                // The counts are current, as for live events. If they cannot be read, each event
                // reads its own.
                let counts = fanout.view.counts().await.ok().flatten();
                for event in &page.events {
                    hub.start_replays(fanout.send(event, counts).await);
                }
                return page.last;
            }
            Err(StoreError::Forgotten) => {
                // The subscriptions restart from a snapshot.
                hub.start_replays(fanout.fall_behind(delivered));
                return to;
            }
            Err(error) => {
                tracing::warn!(error = %error, "cannot read the event log for a view");
                tokio::time::sleep(PATIENCE).await;
            }
        }
    }
}
