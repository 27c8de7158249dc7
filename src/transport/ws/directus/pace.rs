//! Message rate limits: per connection, and per account over all of its connections. Connections
//! without an account share the limit of their address.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::domain::rate::Rate;
use crate::transport::ws::context::Context;
use crate::transport::ws::users::Who;

/// The rate limits of a connection.
#[derive(Debug)]
pub struct Pace {
    own: Rate,
    /// The current principal and its token bucket, shared by all of its connections.
    shared: Option<(Who, Arc<Mutex<Rate>>)>,
}

impl Pace {
    /// Creates the limits of a new connection.
    #[must_use]
    pub fn new(context: &Context, now: Instant) -> Self {
        Self { own: Rate::new(context.config.messages_per_second, now.into_std()), shared: None }
    }

    /// Takes a token for a message.
    ///
    /// # Errors
    /// The remaining wait, if the message came too early.
    pub fn take(
        &mut self,
        context: &Context,
        who: Option<Who>,
        now: Instant,
    ) -> Result<(), Duration> {
        if !context.is_paced {
            return Ok(());
        }
        self.own.take(now.into_std(), Duration::ZERO)?;
        match self.shared(context, who, now) {
            Some(rate) => rate.lock().take(now.into_std(), Duration::ZERO).map(drop),
            None => Ok(()),
        }
    }

    /// Takes `count` tokens, in advance if there are too few. Returns the wait before the next one.
    pub fn spend(
        &mut self,
        context: &Context,
        who: Option<Who>,
        count: usize,
        now: Instant,
    ) -> Duration {
        if !context.is_paced {
            return Duration::ZERO;
        }
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let own = self.own.spend(count, now.into_std());
        let shared = self.shared(context, who, now);
        shared.map_or(own, |rate| rate.lock().spend(count, now.into_std()).max(own))
    }

    fn shared(
        &mut self,
        context: &Context,
        who: Option<Who>,
        now: Instant,
    ) -> Option<&Mutex<Rate>> {
        if self.shared.as_ref().map(|(who, _)| *who) != who {
            let most = context.config.user_messages_per_second;
            self.shared = who.map(|who| (who, context.users.rate(who, most, now)));
        }
        self.shared.as_ref().map(|(_, rate)| rate.as_ref())
    }
}
