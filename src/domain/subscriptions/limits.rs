//! The limits for subscriptions: of a connection, and the quotas of an account and an address.

use crate::domain::Error;
use crate::domain::client_quota::ClientPermit;
use crate::domain::quota::Owner;
use crate::domain::quota::Permit;
use crate::domain::quota::QuotaExceeded;
use crate::domain::subscriptions::Hub;
use crate::domain::subscriptions::Peer;
use crate::domain::subscriptions::request::SubscriptionRequest;
use crate::model::Actor;

/// The bytes of a query that do not count towards its owner's quota: common queries never do,
/// however many connections there are.
const QUERY_BYTES_FREE: usize = 256;

impl Hub {
    /// Takes a permit from the subscription quota of an actor and its address.
    fn take_subscription(&self, actor: &Actor) -> Result<ClientPermit, Error> {
        self.subscriptions.take(actor, 1).map_err(|exceeded| {
            Error::LimitExceeded(format!(
                "{} may have at most {} subscriptions (WEBSOCKETS_USER_SUBSCRIPTIONS_MAX): unsubscribe \
                 from some first",
                exceeded.clients,
                exceeded.max
            ))
        })
    }
}

impl Peer {
    /// Takes a permit from the subscription quota of its account and address, for topics as well.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`] if the quota is exhausted.
    pub(super) fn take_subscription(&self) -> Result<ClientPermit, Error> {
        self.hub.take_subscription(&self.actor())
    }

    /// Takes the permits for one more subscription: for its query, if that is long, and for itself.
    pub(super) fn permits(
        &self,
        request: &SubscriptionRequest,
        actor: &Actor,
    ) -> Result<(Option<Box<Permit>>, Option<ClientPermit>), Error> {
        let Hub { subscriptions_max, queries_bytes_max, queries, .. } = &*self.hub;
        let subscriptions = self.connection.subscriptions.lock();
        if subscriptions.len() >= *subscriptions_max {
            return Err(Error::LimitExceeded(format!(
                "one connection may have at most {subscriptions_max} subscriptions: unsubscribe \
                 from some first"
            )));
        }
        let bytes = request.query_bytes();
        let kept: usize =
            subscriptions.iter().map(|subscription| subscription.request.query_bytes()).sum();
        if kept + bytes > *queries_bytes_max {
            return Err(Error::LimitExceeded(format!(
                "the queries of one connection's subscriptions may have at most \
                 {queries_bytes_max} bytes in total: unsubscribe from some first, or shorten this \
                 query"
            )));
        }
        let place = self.hub.take_subscription(actor)?;
        let counted = bytes.saturating_sub(QUERY_BYTES_FREE);
        if counted == 0 {
            return Ok((None, Some(place)));
        }
        let permit = queries.take(Owner::of(actor), counted).map_err(|exceeded| {
            let whose = match exceeded {
                QuotaExceeded::Owner if actor.user.is_some() => {
                    "of all subscriptions of one account"
                }
                QuotaExceeded::Owner => "of all visitors' subscriptions from one address",
                QuotaExceeded::Total => "of all subscriptions",
            };
            Error::LimitExceeded(format!(
                "the queries {whose} have reached their maximum total length: shorten this query"
            ))
        })?;
        Ok((Some(Box::new(permit)), Some(place)))
    }
}
