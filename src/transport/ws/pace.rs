//! Message rate limits: per connection, and per account over all of its connections. Connections
//! without an account share the limit of their address.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::config::RateLimit;
use crate::domain::quota::Owner;
use crate::domain::token_bucket::{TokenBucket, TokenBuckets};
use crate::transport::ws::context::Context;

/// The rate limits of a connection.
#[derive(Debug)]
pub struct Pace {
    own: TokenBucket,
    /// The current owner and its token bucket, shared by all of its connections.
    shared: Option<(Owner, Arc<Mutex<TokenBucket>>)>,
}

impl Pace {
    /// Creates the limits of a new connection.
    #[must_use]
    pub fn new(context: &Context, now: Instant) -> Self {
        let limit = RateLimit::per_second(context.config.websockets.messages_per_second);
        Self { own: TokenBucket::new(limit, now.into_std()), shared: None }
    }

    /// Takes a token for a message.
    ///
    /// # Errors
    /// The remaining wait, if the message came too early.
    pub fn take(&mut self, context: &Context, owner: Owner, now: Instant) -> Result<(), Duration> {
        let Some(rates) = &context.message_rates else { return Ok(()) };
        self.own.take(now.into_std(), Duration::ZERO)?;
        match self.shared(rates, owner, now) {
            Some(bucket) => bucket.lock().take(now.into_std(), Duration::ZERO).map(drop),
            None => Ok(()),
        }
    }

    /// Takes `count` tokens, in advance if there are too few. Returns the wait before the next one.
    pub fn spend(
        &mut self,
        context: &Context,
        owner: Owner,
        count: usize,
        now: Instant,
    ) -> Duration {
        let Some(rates) = &context.message_rates else { return Duration::ZERO };
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let own = self.own.spend(count, now.into_std());
        let shared = self.shared(rates, owner, now);
        shared.map_or(own, |bucket| bucket.lock().spend(count, now.into_std()).max(own))
    }

    /// Returns the bucket of an owner, or `None` for visitors without a known address: they share
    /// none.
    fn shared(
        &mut self,
        rates: &TokenBuckets<Owner>,
        owner: Owner,
        now: Instant,
    ) -> Option<&Mutex<TokenBucket>> {
        if owner == Owner::Visitors(None) {
            return None;
        }
        if self.shared.as_ref().is_none_or(|(known, _)| *known != owner) {
            self.shared = Some((owner, rates.of(&owner, now.into_std())));
        }
        self.shared.as_ref().map(|(_, bucket)| bucket.as_ref())
    }
}
