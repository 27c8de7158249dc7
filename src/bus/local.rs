//! The bus of a single machine: a bounded in-memory queue that loses no events.

use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::sync::mpsc;

use crate::model::Event;

/// Maximum number of queued batches. While the queue is full, the publisher waits and the writer
/// with it: slow delivery causes back-pressure on writes instead of a loss of events.
const BATCHES_MAX: usize = 1024;

/// The events of one transaction, in order. An empty batch marks the end.
pub type CommittedEvents = Arc<[Arc<Event>]>;

/// Carries committed events from the writer to the subscriber that delivers them.
pub struct Bus {
    publisher: mpsc::Sender<CommittedEvents>,
    subscriber: Mutex<mpsc::Receiver<CommittedEvents>>,
}

impl Bus {
    /// Creates a bus within this process.
    #[must_use]
    pub fn local() -> Self {
        let (publisher, subscriber) = mpsc::channel(BATCHES_MAX);
        Self { publisher, subscriber: Mutex::new(subscriber) }
    }

    /// Publishes committed events. Waits while the queue is full.
    pub async fn publish(&self, events: CommittedEvents) {
        // The receiver lives as long as the bus itself.
        let _ = self.publisher.send(events).await;
    }

    /// Receives the next batch, in publishing order. There must be only one consumer.
    pub async fn next(&self) -> Option<CommittedEvents> {
        self.subscriber.lock().await.recv().await
    }
}
