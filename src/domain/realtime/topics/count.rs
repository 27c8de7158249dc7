//! The number of connections: sent at once to a new connection, and soon to all others.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::realtime::topics::Topic;
use crate::domain::realtime::topics::Topics;
use crate::domain::realtime::topics::member::Attendee;

/// The minimum interval between two counts. When many connections join or leave at once, the others
/// are sent a few counts, not one for each.
const PAUSE: Duration = Duration::from_millis(100);

impl Topics {
    /// Adds a connection and sends it the count.
    pub(super) fn seat(&self, attendee: &Arc<Attendee>) {
        let mut attendees = self.attendees.lock();
        attendees.insert(attendee.seat.id, Arc::clone(attendee));
        let users = attendees.len();
        // Under the lock, so that no later count is sent before this one.
        attendee.tell_count(users, || (self.encode)(Topic::Session, &payload(users)));
        drop(attendees);
        self.moved.notify_one();
    }

    /// Removes a connection.
    pub(super) fn unseat(&self, attendee: &Attendee) {
        self.attendees.lock().remove(&attendee.seat.id);
        self.moved.notify_one();
    }

    /// Sends the count to all connections whenever it has changed.
    pub(super) async fn count(&self) {
        let telling = async {
            loop {
                self.moved.notified().await;
                let attendees = self.attendees();
                let frame = (self.encode)(Topic::Session, &payload(attendees.len()));
                for attendee in &attendees {
                    attendee.tell_count(attendees.len(), || frame.clone());
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        self.stopping.run_until_cancelled(telling).await;
    }
}

fn payload(users: usize) -> String {
    format!(r#"{{"users":{users}}}"#)
}
