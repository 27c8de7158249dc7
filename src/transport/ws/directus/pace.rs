//! How fast one connection may speak, and its account over all connections.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use uuid::Uuid;

use crate::transport::ws::context::Context;
use crate::transport::ws::rate::Rate;

/// What a connection may say each second.
#[derive(Debug)]
pub struct Pace {
    own: Rate,
    /// The account that was here last, and what it may say on all its connections.
    account: Option<(Uuid, Arc<Mutex<Rate>>)>,
}

impl Pace {
    /// Returns the pace of a new connection.
    #[must_use]
    pub fn new(context: &Context, now: Instant) -> Self {
        Self { own: Rate::new(context.config.messages_per_second, now), account: None }
    }

    /// Notes a message of somebody, of nobody who has an account for `None`.
    ///
    /// # Errors
    /// When it would have been in time, counted from now, if it came too early.
    pub fn take(
        &mut self,
        context: &Context,
        user: Option<Uuid>,
        now: Instant,
    ) -> Result<(), Duration> {
        if !context.is_paced {
            return Ok(());
        }
        self.own.take(now, Duration::ZERO)?;
        if self.account.as_ref().map(|(user, _)| *user) != user {
            let most = context.config.user_messages_per_second;
            self.account = user.map(|user| (user, context.users.rate(user, most, now)));
        }
        match &self.account {
            Some((_, rate)) => rate.lock().take(now, Duration::ZERO).map(drop),
            None => Ok(()),
        }
    }
}
