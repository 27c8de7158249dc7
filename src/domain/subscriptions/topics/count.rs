//! The number of connections: sent at once to a new connection, and soon to all others.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::subscriptions::topics::subscriber::Subscriber;
use crate::domain::subscriptions::topics::{Topic, Topics};

/// The minimum interval between two counts. When many connections join or leave at once, the others
/// are sent a few counts, not one for each.
const PAUSE: Duration = Duration::from_millis(100);

impl Topics {
    /// Adds a connection and sends it the count.
    pub(super) fn add(&self, subscriber: &Arc<Subscriber>) {
        let mut subscribers = self.subscribers.lock();
        subscribers.insert(subscriber.connection.id, Arc::clone(subscriber));
        let users = subscribers.len();
        // Under the lock, so that no later count is sent before this one.
        subscriber.send_count(users, || (self.encode)(Topic::Session, &payload(users)));
        drop(subscribers);
        self.moved.notify_one();
    }

    /// Removes a connection.
    pub(super) fn remove(&self, subscriber: &Subscriber) {
        self.subscribers.lock().remove(&subscriber.connection.id);
        self.moved.notify_one();
    }

    /// Sends the count to all connections whenever it has changed.
    pub(super) async fn count(&self) {
        let counting = async {
            loop {
                self.moved.notified().await;
                let subscribers = self.subscribers();
                let frame = (self.encode)(Topic::Session, &payload(subscribers.len()));
                for subscriber in &subscribers {
                    subscriber.send_count(subscribers.len(), || frame.clone());
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        self.stopping.run_until_cancelled(counting).await;
    }
}

fn payload(users: usize) -> String {
    format!(r#"{{"users":{users}}}"#)
}
