//! Sign-in and sign-out during a conversation, and the loss of a sign-in.
//!
//! `auth_state` computes the transitions, and this module applies them. Credentials are verified by
//! the domain.

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::domain::Error;
use crate::transport::ws::directus::answers;
use crate::transport::ws::directus::auth::Credentials;
use crate::transport::ws::directus::auth_state::{Reason, Transition};
use crate::transport::ws::directus::connection::Granted;
use crate::transport::ws::directus::conversation::expiry;
use crate::transport::ws::directus::conversation::{Conversation, Kind, Outcome};
use crate::transport::ws::directus::uid::Uid;

impl Conversation<'_> {
    /// Starts to verify credentials.
    pub(super) fn sign_in(&mut self, credentials: Credentials, uid: Option<Uid>) {
        let connection = self.connection;
        self.kind = Kind::Check;
        self.launch(async move { Outcome::Checked(connection.check(credentials).await, uid) });
    }

    /// Signs out, without a response. Ends the session only if this connection created or
    /// refreshed it. A session that was presented by an access token or a cookie belongs to another
    /// client.
    pub(super) async fn sign_out(&mut self) {
        let connection = self.connection;
        let identity = connection.peer.identity();
        let fallback = self.auth_state.sign_out();
        connection.fall_back(fallback).await;
        connection.peer.forget();
        if std::mem::take(&mut self.owns_session) {
            self.launch(async move {
                connection.end_session(identity).await;
                Outcome::Answer(None)
            });
        }
    }

    /// Applies a successful sign-in.
    pub(super) async fn grant(&mut self, granted: Granted, uid: Option<&Uid>) {
        let connection = self.connection;
        let until = expiry(&granted.identity, &connection.context.services.clock);
        if !connection.identify(granted.identity).await {
            return self.deny(&Error::InvalidCredentials, uid).await;
        }
        self.auth_state.sign_in(until);
        self.deferred_errors_until = None;
        self.owns_session = granted.owns_session;
        self.send(answers::signed_in(uid, granted.refresh_token.as_deref()));
    }

    /// Responds to a sign-in that failed or could not be checked.
    pub(super) async fn deny(&mut self, error: &Error, uid: Option<&Uid>) {
        let transition = self.auth_state.refuse();
        match error {
            // The credentials may be valid: the error tells the client that it may try again, or
            // that a one-time password is missing or wrong.
            Error::InvalidOtp
            | Error::RequestsExceeded(_)
            | Error::ProviderUnavailable(_)
            | Error::Unavailable(_)
            | Error::Store(_)
            | Error::TooBusy { .. } => {
                let frame = answers::failed("auth", error, uid);
                self.suffer_with(transition, frame).await;
            }
            _ => self.apply(transition, uid).await,
        }
    }

    /// Applies a transition with its default error frame.
    pub(super) fn apply(&mut self, transition: Transition, uid: Option<&Uid>) -> BoxFuture<'_, ()> {
        let frame = answers::not_signed_in(transition.reason, uid);
        self.suffer_with(transition, frame).boxed()
    }

    /// Applies a transition: identity, error frame, close. In this order, no frame is handled under
    /// the previous identity.
    async fn suffer_with(&mut self, transition: Transition, frame: Bytes) {
        self.owns_session = false;
        if transition.reason == Reason::Expired {
            self.connection.expire(transition.fallback).await;
            // The errors of subscriptions that lost access are deferred until the time for a new
            // sign-in is over.
            let patience = self.connection.context.config.websockets.auth_timeout;
            self.deferred_errors_until = Some(Instant::now() + patience);
        } else {
            self.connection.fall_back(transition.fallback).await;
        }
        self.send(frame);
        if transition.closes {
            self.close();
        }
    }
}
