//! How many are here: told at once to whoever comes, and soon to everybody else.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::realtime::topics::Topic;
use crate::domain::realtime::topics::Topics;
use crate::domain::realtime::topics::member::Attendee;

/// How long lies between two counts at least. When many come or go at once, each of the others is
/// told a few times, not as often as somebody came.
const PAUSE: Duration = Duration::from_millis(100);

impl Topics {
    /// Counts a connection in and tells it how many there are.
    pub(super) fn seat(&self, attendee: &Arc<Attendee>) {
        let mut attendees = self.attendees.lock();
        attendees.insert(attendee.seat.id, Arc::clone(attendee));
        let users = attendees.len();
        // Under the lock, so that no later count comes before this one.
        attendee.tell_count(users, || (self.encode)(Topic::Session, &payload(users)));
        drop(attendees);
        self.moved.notify_one();
    }

    /// Counts a connection out.
    pub(super) fn unseat(&self, attendee: &Attendee) {
        self.attendees.lock().remove(&attendee.seat.id);
        self.moved.notify_one();
    }

    /// Tells everybody whenever the number has changed.
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
