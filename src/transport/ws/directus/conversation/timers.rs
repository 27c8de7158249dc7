//! The timers of a connection: expiry of its sign-in, rate limit, heartbeat, acknowledgements.

use tokio::time::Instant;

use crate::transport::ws::directus::ack_tracker::PingKind;
use crate::transport::ws::directus::answers;
use crate::transport::ws::directus::conversation::{Conversation, Kind};
use crate::transport::ws::directus::heartbeat::Beat;
use crate::transport::ws::encode;

impl Conversation<'_> {
    /// Returns whether a sign-in is being checked.
    pub(super) fn is_checking(&self) -> bool {
        self.kind == Kind::Check
    }

    /// Returns when [`Conversation::tick`] is due.
    pub(super) fn due(&self) -> Instant {
        let auth_state = self.auth_state.due(self.is_checking());
        // While a sign-in is being checked, its result decides.
        let deferred = self.deferred_errors_until.filter(|_| !self.is_checking());
        let others = [auth_state, self.rate_limited_until, deferred, self.ack_tracker.due()];
        others.into_iter().flatten().fold(self.heartbeat.due(), Instant::min)
    }

    /// Acts on all timers that are due.
    pub(super) async fn tick(&mut self) {
        let now = Instant::now();
        self.rate_limited_until = self.rate_limited_until.filter(|until| *until > now);
        if self.auth_state.due(self.is_checking()).is_some_and(|due| due <= now) {
            let transition = self.auth_state.expire(now);
            self.apply(transition, None).await;
        }
        if self.deferred_errors_until.is_some_and(|until| until <= now) && !self.is_checking() {
            self.deferred_errors_until = None;
            self.connection.peer.send_deferred_errors();
        }
        if self.heartbeat.due() <= now {
            match self.heartbeat.beat(now, self.is_busy()) {
                Beat::Ask => self.ask(now),
                Beat::Gone => self.close(),
            }
        }
        if self.ack_tracker.due().is_some_and(|due| due <= now) {
            self.ask(now);
        }
    }

    /// Returns whether a frame of the client is being handled, or may be unread because the backlog
    /// or the budget of unread responses is full.
    pub(super) fn is_busy(&self) -> bool {
        !self.running.is_empty() || !self.backlog.has_capacity() || !self.budget.has_capacity()
    }

    /// Sends a ping. Its answer proves liveness and acknowledges all frames that were sent before.
    pub(super) fn ask(&mut self, now: Instant) {
        let kind = self.ping_kind();
        // Taken before the ping is sent: events after this point may be sent after the ping.
        self.ack_tracker.ask(kind, self.connection.peer.sent(), now);
        self.send(match kind {
            PingKind::Frame => answers::ping(),
            PingKind::Protocol => encode::ping(),
        });
    }

    /// Stores the positions that the answer to a ping acknowledges.
    pub(super) fn confirm(&mut self, kind: PingKind) {
        if let Some(point) = self.ack_tracker.answer(kind) {
            self.connection.peer.confirmed(point);
        }
    }

    /// Returns the kind of ping to send. Clients answer ping frames only after their sign-in.
    /// Before that, while a sign-in is being checked, and where heartbeats are disabled, protocol
    /// pings are sent, which browsers answer on their own.
    pub(super) fn ping_kind(&self) -> PingKind {
        let shown = self.connection.context.config.websockets.heartbeat && !self.is_checking();
        if shown && self.auth_state.is_signed_in() { PingKind::Frame } else { PingKind::Protocol }
    }
}
