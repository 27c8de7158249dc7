//! The request of a subscription, kept as long as the subscription lasts, in little memory.

use std::sync::Arc;

use serde_json::Value as Json;

use crate::domain::Error;
use crate::domain::client_quota::ClientPermit;
use crate::domain::delivery::ByteBudget;
use crate::domain::quota::Permit;
use crate::domain::subscriptions::FrameEncoder;
use crate::domain::subscriptions::Resume;
use crate::domain::subscriptions::Subscribe;
use crate::domain::subscriptions::state::Missing;
use crate::domain::subscriptions::view::View;
use crate::model::Collection;
use crate::model::EventAction;
use crate::model::Key;

/// The request of a subscription.
pub(super) struct SubscriptionRequest {
    pub(super) collection: &'static Collection,
    pub(super) event: Option<EventAction>,
    pub(super) item: Option<Key>,
    /// As text: the parsed form would take several times the memory for as long as the connection
    /// is open, and the query is only read again when permissions change.
    query: Box<str>,
    pub(super) resume: Resume,
    pub(super) encoder: FrameEncoder,
    /// Counts the snapshot, which may be long.
    pub(super) budget: ByteBudget,
    /// The permit from the owner's quota for query bytes, if the query is long.
    pub(super) part: Option<Box<Permit>>,
    /// The permit from the subscription quota of the account and address.
    pub(super) place: Option<ClientPermit>,
    /// The part of the log that the subscription that this one replaces had yet to receive.
    pub(super) taken: Option<Box<Missing<Arc<View>>>>,
}

impl SubscriptionRequest {
    /// Converts a client's request to a form that takes little memory.
    pub(super) fn new(subscribe: Subscribe) -> Result<Self, Error> {
        let item = subscribe.key()?;
        let Subscribe { collection, event, query, resume, encoder, budget, .. } = subscribe;
        let query = query.to_string().into_boxed_str();
        let (part, place, taken) = (None, None, None);
        Ok(Self { collection, event, item, query, resume, encoder, budget, part, place, taken })
    }

    /// Returns the length of the query as JSON.
    pub(super) const fn query_bytes(&self) -> usize {
        self.query.len()
    }

    /// Returns the fields, the filter and the other parameters as the client sent them.
    pub(super) fn query(&self) -> Json {
        serde_json::from_str(&self.query).expect("the query was serialized from JSON")
    }

    /// Returns whether another request replaces this one and is equal to it.
    pub(super) fn is_replaced_by(&self, other: &Self) -> bool {
        self.encoder.uid.is_some()
            && self.encoder.uid == other.encoder.uid
            && self.collection == other.collection
            && (self.event, self.item) == (other.event, other.item)
            && self.query == other.query
            && self.resume.is_like(&other.resume)
    }
}
