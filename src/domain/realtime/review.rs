//! Re-evaluates the connections whose account, session or permissions an event has changed: their
//! identity, and the access of their subscriptions.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use crate::domain::auth::Credential;
use crate::domain::auth::Identity;
use crate::domain::permissions::Concern;
use crate::domain::realtime::Hub;
use crate::domain::realtime::audience::Charge;
use crate::domain::realtime::hub::Change;
use crate::domain::realtime::peer::ConnectionState;
use crate::model::Actor;
use crate::model::Event;
use crate::model::EventAction;
use crate::model::Key;
use crate::model::schema::SESSIONS;
use crate::model::schema::USERS;

/// The time for which failed lookups of the identities that an event concerns are retried. Nothing
/// is delivered meanwhile. A connection whose identity is unknown by then loses its access.
const RENEWAL_PATIENCE: Duration = Duration::from_secs(5);
/// The pause between two attempts.
const RENEWAL_PAUSE: Duration = Duration::from_millis(250);

impl Hub {
    /// Renews the identities of the connections that an event concerns.
    pub(super) async fn review(self: &Arc<Self>, event: &Event) {
        let named = |id: Option<Uuid>| {
            id.is_some_and(|id| event.changes.iter().any(|change| change.key == Key::Uuid(id)))
        };
        let concern = Concern::of(event);
        let rights = concern != Concern::Nobody;
        if !rights && ![&USERS, &SESSIONS].contains(&event.collection) {
            // Most events are messages, which do not justify a search through all connections.
            return;
        }
        let concerned = |identity: &Identity| {
            if *event.collection == USERS {
                named(identity.actor.user)
            } else if *event.collection == SESSIONS && event.action == EventAction::Delete {
                matches!(identity.basis, Credential::Session(session) if named(Some(session)))
            } else {
                match &concern {
                    Concern::Nobody => false,
                    Concern::Accounts(accounts) => {
                        identity.actor.user.is_some_and(|user| accounts.contains(&user))
                    }
                    Concern::Everybody => true,
                }
            }
        };
        let connections: Vec<Arc<ConnectionState>> = self
            .connections
            .lock()
            .values()
            .filter(|connection| concerned(&connection.identity.lock()))
            .cloned()
            .collect();
        let until = Instant::now() + RENEWAL_PATIENCE;
        for connection in connections {
            self.renew(&connection, rights, until).await;
        }
    }

    /// Renews an identity; failed lookups are retried until an instant.
    async fn look_up(&self, identity: &Identity, until: Instant) -> Option<Identity> {
        loop {
            match self.auth.renew(identity).await {
                Ok(renewed) => return renewed,
                Err(error) => {
                    tracing::warn!(error = %error, "who somebody is cannot be read");
                    if Instant::now() >= until {
                        return None;
                    }
                }
            }
            tokio::time::sleep(RENEWAL_PAUSE).await;
        }
    }

    async fn renew(
        self: &Arc<Self>,
        connection: &Arc<ConnectionState>,
        rights: bool,
        until: Instant,
    ) {
        let _one = connection.changing.lock().await;
        let identity = connection.identity.lock().clone();
        if identity.is_nobody() {
            return;
        }
        if let Some(renewed) = self.look_up(&identity, until).await {
            let changed = rights || renewed.actor != identity.actor;
            *connection.identity.lock() = renewed;
            if changed {
                self.rescope(connection, Change::Rights, Charge::Anyway).await;
            }
        } else {
            // An identity that cannot be confirmed does not hold.
            let actor = Arc::new(Actor::nobody());
            *connection.identity.lock() =
                Identity { actor, basis: Credential::Nothing, expires: None };
            let listeners = connection.listeners.lock().clone();
            for listener in listeners {
                let delivered = self.delivered();
                listener.begin_lapse(delivered);
                listener.fall_behind(delivered);
                self.audience.leave(&listener);
            }
            connection.leave(identity.actor.user);
            connection.lost.notify_one();
        }
    }

    /// Re-evaluates every subscription of a connection with the current access of its actor.
    pub(super) async fn rescope(
        self: &Arc<Self>,
        connection: &Arc<ConnectionState>,
        change: Change,
        bound: Charge,
    ) {
        let _between_events = self.order.read().await;
        let actor = Arc::clone(&connection.identity.lock().actor);
        let listeners = connection.listeners.lock().clone();
        let delivered = self.delivered();
        for listener in listeners {
            let was_told = listener.view.lock().is_some();
            listener.set_moving(true);
            if change != Change::Rights {
                listener.begin_lapse(delivered);
            }
            let goes_back = actor.user.is_some() && listener.end_lapse(delivered);
            listener.leave_lane(delivered);
            let place = listener.position(delivered);
            let begins = listener.is_held();
            let subject = self.subject(&actor, &listener);
            match subject.and_then(|subject| self.enter(&listener, subject, bound)) {
                Ok(()) => {
                    listener.see_lapsed(place);
                    if goes_back {
                        listener.note_whole();
                    }
                    listener.set_moving(false);
                    if begins && listener.is_held() && !was_told {
                        self.begin_later(listener);
                    } else {
                        self.catch_up(&listener);
                    }
                }
                Err(error) => {
                    listener.fall_behind(delivered);
                    self.audience.leave(&listener);
                    listener.see_lapsed(place);
                    listener.set_moving(false);
                    if was_told && change == Change::Expiry {
                        listener.leave_unsaid();
                    } else if was_told {
                        connection.outbox.push(listener.ask.envelope.fail(&error));
                    }
                }
            }
        }
    }
}
