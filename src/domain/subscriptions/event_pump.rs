//! The event pump: from the writer to the bus, and from the bus to the hub.
//!
//! The log is authoritative, the bus only a hint. Events that the bus delivers late, twice or not
//! at all are put in order from the log, so that each is delivered once, in the order of `seq`.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::bus::Bus;
use crate::domain::subscriptions::hub::Hub;
use crate::domain::subscriptions::reorder_buffer::{ReorderBuffer, Step};
use crate::model::Event;
use crate::store::StoreError;

/// The number of events of a gap that are read at once.
const PAGE_EVENTS: u32 = 256;
/// The time of silence on the bus after which the log is checked for events.
const SILENCE_MAX: Duration = Duration::from_secs(1);
/// The delay before a failed read of the log is retried.
const PATIENCE: Duration = Duration::from_millis(250);

/// Publishes the events that the writer commits and delivers those from the bus, until the writer
/// has stopped and everything it committed is delivered.
pub async fn run(hub: Arc<Hub>, bus: Bus, mut committed: mpsc::Receiver<Arc<[Arc<Event>]>>) {
    let publish = async {
        while let Some(events) = committed.recv().await {
            let done = events.is_empty();
            bus.publish(events).await;
            if done {
                break;
            }
        }
        // An empty batch marks the end.
        bus.publish(Arc::from([])).await;
    };
    let deliver = async {
        let mut order = ReorderBuffer::new(hub.delivered());
        loop {
            match tokio::time::timeout(SILENCE_MAX, bus.next()).await {
                Ok(Some(events)) if !events.is_empty() => order.hear(&events),
                Ok(_) => break,
                Err(_) => order.expect(hub.items.store.position()),
            }
            deliver(&hub, &mut order).await;
        }
    };
    tokio::join!(publish, deliver);
}

/// Delivers all available events. Nothing is delivered before a missing event, so the log is read
/// until the read succeeds.
async fn deliver(hub: &Arc<Hub>, order: &mut ReorderBuffer) {
    loop {
        match order.next() {
            Step::Deliver(event) => {
                hub.deliver(&event).await;
                // Gives the sockets time to be written before more is queued for them.
                tokio::task::yield_now().await;
            }
            Step::Pass(offset) => hub.pass(offset),
            Step::Read(after, to) => match hub.items.store.events(after, to, PAGE_EVENTS).await {
                Ok(page) => order.read(page),
                Err(StoreError::Forgotten) => {
                    tracing::error!("undelivered events are missing from the event log");
                    order.give_up(to);
                }
                Err(error) if error.is_closed() => return,
                Err(error) => {
                    tracing::error!(error = %error, "cannot read the event log, delivery waits");
                    tokio::time::sleep(PATIENCE).await;
                }
            },
            Step::Wait => return,
        }
    }
}
