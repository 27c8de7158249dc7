//! The bus of a single machine: a bounded queue in memory, which loses nothing.

use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::sync::mpsc;

use crate::model::Event;

/// How many batches of events may wait. While it is full the publisher waits, and with it the
/// writer: delivery that cannot keep up slows writes down instead of losing events.
const BATCHES_MAX: usize = 1024;

/// Events of one transaction, in order.
pub type News = Arc<[Arc<Event>]>;

/// Carries committed events to whoever delivers them.
pub struct Bus {
    publisher: mpsc::Sender<News>,
    subscriber: Mutex<mpsc::Receiver<News>>,
}

impl Bus {
    /// Returns a bus that stays within this process.
    #[must_use]
    pub fn local() -> Self {
        let (publisher, subscriber) = mpsc::channel(BATCHES_MAX);
        Self { publisher, subscriber: Mutex::new(subscriber) }
    }

    /// Publishes committed events. Waits while the queue is full.
    pub async fn publish(&self, news: News) {
        // The receiver lives as long as the bus itself.
        let _ = self.publisher.send(news).await;
    }

    /// Returns the next events, in the order in which they were published. One task may ask.
    pub async fn next(&self) -> Option<News> {
        self.subscriber.lock().await.recv().await
    }
}
