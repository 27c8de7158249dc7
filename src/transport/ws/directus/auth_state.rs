//! The auth state machine of a connection.
//!
//! Computes transitions from the given instants, without I/O. No failure keeps the previous
//! identity: each leads to no access or, where the socket is open to the public, to the public.

use std::time::Duration;

use tokio::time::Instant;

use crate::config::WebSocketAuth;

/// The auth state of one connection.
#[derive(Debug)]
pub struct AuthState {
    mode: WebSocketAuth,
    patience: Duration,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The first frame has to be a sign-in, and has to arrive by then.
    Waiting { until: Instant },
    /// It may act without a sign-in, under the fallback identity.
    Unsigned,
    /// It is signed in, without a time limit or until a token expires.
    SignedIn { until: Option<Instant> },
    /// Its token has expired; a new sign-in has to arrive by then.
    Expired { until: Instant },
}

/// The identity a connection falls back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    /// A principal without access.
    Denied,
    /// The public.
    Public,
}

/// The reason that is sent to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The first frame was not a valid sign-in, or did not arrive in time.
    Handshake,
    /// A later sign-in failed, or the credential behind the current one was revoked.
    Failed,
    /// The token has expired.
    Expired,
    /// No new sign-in arrived in time after the expiry.
    TimedOut,
}

/// A transition. Its steps are applied in this order: identity, error frame, close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// The new identity.
    pub fallback: Fallback,
    /// The reason in the error frame.
    pub reason: Reason,
    /// Whether the connection is closed.
    pub closes: bool,
}

impl AuthState {
    /// Returns the state of a new connection. `signed_in` tells whether the upgrade had valid
    /// credentials, and `expires` when they expire.
    #[must_use]
    pub fn new(
        mode: WebSocketAuth,
        patience: Duration,
        signed_in: bool,
        expires: Option<Instant>,
        now: Instant,
    ) -> Self {
        let stage = match (signed_in, mode) {
            (true, _) => Stage::SignedIn { until: expires },
            (false, WebSocketAuth::Public) => Stage::Unsigned,
            // Strict mode has refused such an upgrade already, so this is handshake mode.
            (false, _) => Stage::Waiting { until: now + patience },
        };
        Self { mode, patience, stage }
    }

    /// Returns whether only a sign-in is accepted, as the first frame.
    #[must_use]
    pub const fn is_waiting(&self) -> bool {
        matches!(self.stage, Stage::Waiting { .. })
    }

    /// Returns whether the connection is signed in.
    #[must_use]
    pub const fn is_signed_in(&self) -> bool {
        matches!(self.stage, Stage::SignedIn { .. })
    }

    /// Returns when [`AuthState::expire`] is due, if at all. While a sign-in is being checked, only
    /// the expiry of the current token counts: the client has sent its credentials in time.
    #[must_use]
    pub fn due(&self, checking: bool) -> Option<Instant> {
        match self.stage {
            Stage::SignedIn { until } => until,
            Stage::Waiting { until } | Stage::Expired { until } => (!checking).then_some(until),
            Stage::Unsigned => None,
        }
    }

    /// Records a successful sign-in, and when its token expires.
    pub const fn sign_in(&mut self, until: Option<Instant>) {
        self.stage = Stage::SignedIn { until };
    }

    /// Records a sign-out. The connection stays open in every mode, which allows another sign-in.
    pub fn sign_out(&mut self) -> Fallback {
        self.stage = Stage::Unsigned;
        self.fallback()
    }

    /// Handles a failed sign-in or, in [`AuthState::is_waiting`], any other first frame.
    pub fn refuse(&mut self) -> Transition {
        if self.is_waiting() {
            return Transition {
                fallback: Fallback::Denied,
                reason: Reason::Handshake,
                closes: true,
            };
        }
        self.fall(Reason::Failed)
    }

    /// Handles the revocation of the credential behind the sign-in.
    pub fn lose(&mut self) -> Transition {
        self.fall(Reason::Failed)
    }

    /// Handles the instant of [`AuthState::due`].
    pub fn expire(&mut self, now: Instant) -> Transition {
        match self.stage {
            Stage::Waiting { .. } => self.refuse(),
            Stage::Expired { .. } => self.fall(Reason::TimedOut),
            Stage::SignedIn { .. } | Stage::Unsigned => {
                let fallback = self.fallback();
                self.stage = match fallback {
                    Fallback::Public => Stage::Unsigned,
                    Fallback::Denied => Stage::Expired { until: now + self.patience },
                };
                Transition { fallback, reason: Reason::Expired, closes: false }
            }
        }
    }

    fn fall(&mut self, reason: Reason) -> Transition {
        self.stage = Stage::Unsigned;
        let fallback = self.fallback();
        Transition { fallback, reason, closes: fallback == Fallback::Denied }
    }

    const fn fallback(&self) -> Fallback {
        match self.mode {
            WebSocketAuth::Public => Fallback::Public,
            WebSocketAuth::Handshake | WebSocketAuth::Strict => Fallback::Denied,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);
    const TTL: Duration = Duration::from_mins(15);

    fn opened(mode: WebSocketAuth, now: Instant) -> AuthState {
        AuthState::new(mode, PATIENCE, false, None, now)
    }

    fn signed_in(mode: WebSocketAuth, now: Instant) -> AuthState {
        AuthState::new(mode, PATIENCE, true, Some(now + TTL), now)
    }

    #[test]
    fn a_handshake_waits_for_a_sign_in() {
        let now = Instant::now();
        let mut auth_state = opened(WebSocketAuth::Handshake, now);

        assert!(auth_state.is_waiting());
        assert_eq!(auth_state.due(false), Some(now + PATIENCE));
        assert_eq!(auth_state.due(true), None);

        auth_state.sign_in(None);

        assert!(auth_state.is_signed_in());
        assert_eq!(auth_state.due(false), None);
    }

    #[test]
    fn a_failed_or_late_handshake_is_closed() {
        let now = Instant::now();
        let end =
            Transition { fallback: Fallback::Denied, reason: Reason::Handshake, closes: true };

        assert_eq!(opened(WebSocketAuth::Handshake, now).refuse(), end);
        assert_eq!(opened(WebSocketAuth::Handshake, now).expire(now + PATIENCE), end);
    }

    #[test]
    fn a_public_socket_needs_no_sign_in() {
        let auth_state = opened(WebSocketAuth::Public, Instant::now());

        assert!(!auth_state.is_waiting());
        assert!(!auth_state.is_signed_in());
        assert_eq!(auth_state.due(false), None);
    }

    #[test]
    fn a_failed_sign_in_drops_the_previous_identity() {
        let now = Instant::now();
        for (mode, fallback, closes) in [
            (WebSocketAuth::Public, Fallback::Public, false),
            (WebSocketAuth::Handshake, Fallback::Denied, true),
            (WebSocketAuth::Strict, Fallback::Denied, true),
        ] {
            let mut auth_state = signed_in(mode, now);

            let transition = auth_state.refuse();

            assert_eq!(transition, Transition { fallback, reason: Reason::Failed, closes });
            assert!(!auth_state.is_signed_in());
            assert_eq!(signed_in(mode, now).lose(), transition);
        }
    }

    #[test]
    fn an_expired_token_allows_time_for_a_new_sign_in() {
        let now = Instant::now();
        let mut auth_state = signed_in(WebSocketAuth::Handshake, now);
        assert_eq!(auth_state.due(true), Some(now + TTL));

        let expired = auth_state.expire(now + TTL);

        assert_eq!(
            expired,
            Transition { fallback: Fallback::Denied, reason: Reason::Expired, closes: false }
        );
        assert_eq!(auth_state.due(false), Some(now + TTL + PATIENCE));
        assert_eq!(auth_state.due(true), None);
        assert_eq!(
            auth_state.expire(now + TTL + PATIENCE),
            Transition { fallback: Fallback::Denied, reason: Reason::TimedOut, closes: true }
        );
    }

    #[test]
    fn a_new_sign_in_after_expiry_stays_valid() {
        let now = Instant::now();
        let mut auth_state = signed_in(WebSocketAuth::Strict, now);

        auth_state.expire(now + TTL);
        auth_state.sign_in(None);

        assert_eq!(auth_state.due(false), None);
        assert!(auth_state.is_signed_in());
    }

    #[test]
    fn an_expired_token_makes_a_public_socket_anonymous() {
        let now = Instant::now();
        let mut auth_state = signed_in(WebSocketAuth::Public, now);

        let expired = auth_state.expire(now + TTL);

        assert_eq!(
            expired,
            Transition { fallback: Fallback::Public, reason: Reason::Expired, closes: false }
        );
        assert_eq!(auth_state.due(false), None);
    }

    #[test]
    fn signing_out_keeps_the_connection_in_every_mode() {
        let now = Instant::now();
        for (mode, fallback) in [
            (WebSocketAuth::Public, Fallback::Public),
            (WebSocketAuth::Handshake, Fallback::Denied),
            (WebSocketAuth::Strict, Fallback::Denied),
        ] {
            let mut auth_state = signed_in(mode, now);

            assert_eq!(auth_state.sign_out(), fallback);
            assert!(!auth_state.is_signed_in());
            assert!(!auth_state.is_waiting());
            assert_eq!(auth_state.due(false), None);
        }
    }
}
