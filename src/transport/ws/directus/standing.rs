//! The auth state machine of a connection.
//!
//! Computes transitions from the given instants, without I/O. No failure keeps the previous
//! identity: each leads to no access or, where the socket is open to the public, to the public.

use std::time::Duration;

use tokio::time::Instant;

use crate::config::WebSocketAuth;

/// The auth state of one connection.
#[derive(Debug)]
pub struct Standing {
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
pub enum Becomes {
    /// A principal without access.
    Nobody,
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
pub struct Consequence {
    /// The new identity.
    pub becomes: Becomes,
    /// The reason in the error frame.
    pub reason: Reason,
    /// Whether the connection is closed.
    pub closes: bool,
}

impl Standing {
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

    /// Returns when [`Standing::expire`] is due, if at all. While a sign-in is being checked, only
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
    pub fn sign_out(&mut self) -> Becomes {
        self.stage = Stage::Unsigned;
        self.fallback()
    }

    /// Handles a failed sign-in or, in [`Standing::is_waiting`], any other first frame.
    pub fn refuse(&mut self) -> Consequence {
        if self.is_waiting() {
            return Consequence {
                becomes: Becomes::Nobody,
                reason: Reason::Handshake,
                closes: true,
            };
        }
        self.fall(Reason::Failed)
    }

    /// Handles the revocation of the credential behind the sign-in.
    pub fn lose(&mut self) -> Consequence {
        self.fall(Reason::Failed)
    }

    /// Handles the instant of [`Standing::due`].
    pub fn expire(&mut self, now: Instant) -> Consequence {
        match self.stage {
            Stage::Waiting { .. } => self.refuse(),
            Stage::Expired { .. } => self.fall(Reason::TimedOut),
            Stage::SignedIn { .. } | Stage::Unsigned => {
                let becomes = self.fallback();
                self.stage = match becomes {
                    Becomes::Public => Stage::Unsigned,
                    Becomes::Nobody => Stage::Expired { until: now + self.patience },
                };
                Consequence { becomes, reason: Reason::Expired, closes: false }
            }
        }
    }

    fn fall(&mut self, reason: Reason) -> Consequence {
        self.stage = Stage::Unsigned;
        let becomes = self.fallback();
        Consequence { becomes, reason, closes: becomes == Becomes::Nobody }
    }

    const fn fallback(&self) -> Becomes {
        match self.mode {
            WebSocketAuth::Public => Becomes::Public,
            WebSocketAuth::Handshake | WebSocketAuth::Strict => Becomes::Nobody,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);
    const TTL: Duration = Duration::from_mins(15);

    fn opened(mode: WebSocketAuth, now: Instant) -> Standing {
        Standing::new(mode, PATIENCE, false, None, now)
    }

    fn signed_in(mode: WebSocketAuth, now: Instant) -> Standing {
        Standing::new(mode, PATIENCE, true, Some(now + TTL), now)
    }

    #[test]
    fn a_handshake_waits_for_a_sign_in() {
        let now = Instant::now();
        let mut standing = opened(WebSocketAuth::Handshake, now);

        assert!(standing.is_waiting());
        assert_eq!(standing.due(false), Some(now + PATIENCE));
        assert_eq!(standing.due(true), None);

        standing.sign_in(None);

        assert!(standing.is_signed_in());
        assert_eq!(standing.due(false), None);
    }

    #[test]
    fn a_failed_or_late_handshake_is_closed() {
        let now = Instant::now();
        let end = Consequence { becomes: Becomes::Nobody, reason: Reason::Handshake, closes: true };

        assert_eq!(opened(WebSocketAuth::Handshake, now).refuse(), end);
        assert_eq!(opened(WebSocketAuth::Handshake, now).expire(now + PATIENCE), end);
    }

    #[test]
    fn a_public_socket_needs_no_sign_in() {
        let standing = opened(WebSocketAuth::Public, Instant::now());

        assert!(!standing.is_waiting());
        assert!(!standing.is_signed_in());
        assert_eq!(standing.due(false), None);
    }

    #[test]
    fn a_failed_sign_in_drops_the_previous_identity() {
        let now = Instant::now();
        for (mode, becomes, closes) in [
            (WebSocketAuth::Public, Becomes::Public, false),
            (WebSocketAuth::Handshake, Becomes::Nobody, true),
            (WebSocketAuth::Strict, Becomes::Nobody, true),
        ] {
            let mut standing = signed_in(mode, now);

            let consequence = standing.refuse();

            assert_eq!(consequence, Consequence { becomes, reason: Reason::Failed, closes });
            assert!(!standing.is_signed_in());
            assert_eq!(signed_in(mode, now).lose(), consequence);
        }
    }

    #[test]
    fn an_expired_token_allows_time_for_a_new_sign_in() {
        let now = Instant::now();
        let mut standing = signed_in(WebSocketAuth::Handshake, now);
        assert_eq!(standing.due(true), Some(now + TTL));

        let expired = standing.expire(now + TTL);

        assert_eq!(
            expired,
            Consequence { becomes: Becomes::Nobody, reason: Reason::Expired, closes: false }
        );
        assert_eq!(standing.due(false), Some(now + TTL + PATIENCE));
        assert_eq!(standing.due(true), None);
        assert_eq!(
            standing.expire(now + TTL + PATIENCE),
            Consequence { becomes: Becomes::Nobody, reason: Reason::TimedOut, closes: true }
        );
    }

    #[test]
    fn a_new_sign_in_after_expiry_stays_valid() {
        let now = Instant::now();
        let mut standing = signed_in(WebSocketAuth::Strict, now);

        standing.expire(now + TTL);
        standing.sign_in(None);

        assert_eq!(standing.due(false), None);
        assert!(standing.is_signed_in());
    }

    #[test]
    fn an_expired_token_makes_a_public_socket_anonymous() {
        let now = Instant::now();
        let mut standing = signed_in(WebSocketAuth::Public, now);

        let expired = standing.expire(now + TTL);

        assert_eq!(
            expired,
            Consequence { becomes: Becomes::Public, reason: Reason::Expired, closes: false }
        );
        assert_eq!(standing.due(false), None);
    }

    #[test]
    fn signing_out_keeps_the_connection_in_every_mode() {
        let now = Instant::now();
        for (mode, becomes) in [
            (WebSocketAuth::Public, Becomes::Public),
            (WebSocketAuth::Handshake, Becomes::Nobody),
            (WebSocketAuth::Strict, Becomes::Nobody),
        ] {
            let mut standing = signed_in(mode, now);

            assert_eq!(standing.sign_out(), becomes);
            assert!(!standing.is_signed_in());
            assert!(!standing.is_waiting());
            assert_eq!(standing.due(false), None);
        }
    }
}
