//! The start of a connection: the client data of its upgrade.

use tokio::time::Instant;

use crate::clock::Clock;
use crate::domain::auth::{ClientInfo, Identity};
use crate::transport::ws::context::Context;
use crate::transport::ws::directus::auth_state::AuthState;

/// The client data of an upgrade.
#[derive(Debug)]
pub struct Entry {
    /// The identity of the credentials in the upgrade, `None` without credentials.
    pub identity: Option<Identity>,
    /// Address and user agent of the client.
    pub client: ClientInfo,
    /// The `Origin` header of the page, as sent by browsers.
    pub page: Option<String>,
}

/// Returns the initial auth state of a connection.
pub(super) fn auth_state(context: &Context, identity: Option<&Identity>) -> AuthState {
    let until = identity.and_then(|identity| expiry(identity, &context.services.clock));
    AuthState::new(
        context.config.websockets.auth,
        context.config.websockets.auth_timeout,
        identity.is_some(),
        until,
        Instant::now(),
    )
}

/// Returns when an identity expires, on the monotonic clock; `None` for never.
pub fn expiry(identity: &Identity, clock: &Clock) -> Option<Instant> {
    Instant::now().checked_add(clock.now().until(identity.expires?))
}
