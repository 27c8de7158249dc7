//! The limits for subscriptions: of a connection, and the quotas of an account and an address.

use std::sync::Arc;

use crate::config::WebSocketConfig;
use crate::domain::Error;
use crate::domain::client_quota::{ClientPermit, ClientQuota};
use crate::domain::quota::{Owner, Permit, Quota, QuotaExceeded};
use crate::model::Actor;

/// The bytes of a query that do not count towards its owner's quota: common queries never do,
/// however many connections there are.
const QUERY_BYTES_FREE: usize = 256;

/// The quota for subscriptions, by account and address, for topics and typing as well.
#[derive(Clone)]
pub(super) struct SubscriptionQuota(Arc<ClientQuota>);

/// The limits of the subscriptions of a connection.
pub(super) struct Limits {
    subscriptions_max: usize,
    queries_bytes_max: usize,
    /// The quota for the bytes of stored queries.
    queries: Arc<Quota>,
    subscriptions: SubscriptionQuota,
}

/// The permits of a subscription.
#[derive(Default)]
pub(super) struct Permits {
    /// From the owner's quota for query bytes, if the query is long.
    _query: Option<Box<Permit>>,
    /// From the subscription quota of the account and address.
    _subscription: Option<ClientPermit>,
}

impl SubscriptionQuota {
    /// Creates the quota of this size for each account.
    pub(super) fn new(of_account_max: usize) -> Self {
        Self(Arc::new(ClientQuota::new(of_account_max)))
    }

    /// Takes a permit from the quota of an actor and its address.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`] if the quota is exhausted.
    pub(super) fn take(&self, actor: &Actor) -> Result<ClientPermit, Error> {
        self.0.take(actor, 1).map_err(|exceeded| {
            Error::LimitExceeded(format!(
                "{} may have at most {} subscriptions (WEBSOCKETS_USER_SUBSCRIPTIONS_MAX): unsubscribe \
                 from some first",
                exceeded.clients,
                exceeded.max
            ))
        })
    }
}

impl Limits {
    pub(super) fn new(config: &WebSocketConfig, subscriptions: SubscriptionQuota) -> Self {
        Self {
            subscriptions_max: config.subscriptions_max,
            queries_bytes_max: config.queries_bytes_max,
            queries: Quota::new(config.user_queries_bytes_max, config.all_queries_bytes_max),
            subscriptions,
        }
    }

    /// Takes the permits for one more subscription of a connection, with a query of `bytes`.
    /// `others` has the lengths of the queries of its other subscriptions.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`] if one of the limits is reached.
    pub(super) fn permits(
        &self,
        actor: &Actor,
        bytes: usize,
        others: impl ExactSizeIterator<Item = usize>,
    ) -> Result<Permits, Error> {
        let Self { subscriptions_max, queries_bytes_max, .. } = self;
        if others.len() >= *subscriptions_max {
            return Err(Error::LimitExceeded(format!(
                "one connection may have at most {subscriptions_max} subscriptions: unsubscribe \
                 from some first"
            )));
        }
        if others.sum::<usize>() + bytes > *queries_bytes_max {
            return Err(Error::LimitExceeded(format!(
                "the queries of one connection's subscriptions may have at most \
                 {queries_bytes_max} bytes in total: unsubscribe from some first, or shorten this \
                 query"
            )));
        }
        let subscription = Some(self.subscriptions.take(actor)?);
        let counted = bytes.saturating_sub(QUERY_BYTES_FREE);
        if counted == 0 {
            return Ok(Permits { _query: None, _subscription: subscription });
        }
        let query = self.queries.take(Owner::of(actor), counted).map_err(|exceeded| {
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
        Ok(Permits { _query: Some(Box::new(query)), _subscription: subscription })
    }
}
