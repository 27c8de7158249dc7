//! Re-evaluates the connections whose account, session or permissions an event has changed: their
//! identity, and the access of their subscriptions.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use crate::domain::auth::{Credential, Identity};
use crate::domain::permissions::Concern;
use crate::domain::subscriptions::connection::ConnectionState;
use crate::domain::subscriptions::hub::{Change, Hub};
use crate::domain::subscriptions::state::{Input, Leaving};
use crate::domain::subscriptions::view_index::Charge;
use crate::model::schema::{SESSIONS, USERS};
use crate::model::{Actor, Event, EventAction, Key};

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
        let rights = concern != Concern::None;
        if !rights && ![&USERS, &SESSIONS].contains(&event.collection) {
            // Most events are messages, which do not justify a search through all connections.
            return;
        }
        let concerned = |identity: &Identity| {
            if *event.collection == USERS {
                named(identity.actor.user)
            } else if *event.collection == SESSIONS && event.action == EventAction::Delete {
                matches!(identity.credential, Credential::Session(session) if named(Some(session)))
            } else {
                match &concern {
                    Concern::None => false,
                    Concern::Accounts(accounts) => {
                        identity.actor.user.is_some_and(|user| accounts.contains(&user))
                    }
                    Concern::All => true,
                }
            }
        };
        let connections =
            self.connections.select(|connection| concerned(&connection.identity.lock()));
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
                    tracing::warn!(error = %error, "cannot read the account of a connection");
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
        if identity.is_denied() {
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
            let actor = Arc::new(Actor::denied());
            *connection.identity.lock() =
                Identity { actor, credential: Credential::Nothing, expires: None };
            let subscriptions = connection.subscriptions.lock().clone();
            for subscription in subscriptions {
                subscription.prepare_to_leave(self.delivered(), Leaving::SignedOut);
                subscription.on(Input::Lost { defers_error: false });
                self.view_index.leave(&subscription);
            }
            connection.recovery.leave(identity.actor.user);
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
        let actor = connection.actor();
        let subscriptions = connection.subscriptions.lock().clone();
        let delivered = self.delivered();
        let leaving = match change {
            Change::Loss | Change::Expiry => Leaving::SignedOut,
            Change::Rights if actor.user.is_some() => Leaving::SignedIn,
            Change::Rights => Leaving::Reauthorized,
        };
        for subscription in subscriptions {
            let had_view = subscription.view.lock().is_some();
            let resumed = subscription.prepare_to_leave(delivered, leaving);
            let subject = self.subject(&actor, &subscription);
            let entered =
                subject.and_then(|subject| self.enter(&subscription, subject, bound, resumed));
            match entered {
                Ok(()) if !had_view && subscription.is_buffering() => {
                    self.begin_later(subscription);
                }
                Ok(()) => {}
                Err(error) => {
                    let defers_error = had_view && change == Change::Expiry;
                    subscription.on(Input::Lost { defers_error });
                    self.view_index.leave(&subscription);
                    if had_view && !defers_error {
                        connection.outbox.push(subscription.request.encoder.encode_error(&error));
                    }
                }
            }
        }
    }
}
