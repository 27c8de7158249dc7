//! The request for a subscription, and its form that is kept as long as the subscription lasts, in
//! little memory.

use std::sync::Arc;

use serde_json::Value as Json;

use crate::domain::Error;
use crate::domain::delivery::ByteBudget;
use crate::domain::items::keys;
use crate::domain::subscriptions::limits::Permits;
use crate::domain::subscriptions::notification::FrameEncoder;
use crate::domain::subscriptions::state::Missing;
use crate::domain::subscriptions::view::View;
use crate::model::{Collection, EventAction, Key};

/// A client's request for a subscription.
#[derive(Debug, Clone)]
pub struct Subscribe {
    /// The collection.
    pub collection: &'static Collection,
    /// One kind of event; `None` for all three, which adds a snapshot at the start.
    pub event: Option<EventAction>,
    /// One item only, by its key as the client wrote it.
    pub item: Option<Json>,
    /// Fields and filter, and for the snapshot also sort and limit; null for none.
    pub query: Json,
    /// The resume point.
    pub resume: Resume,
    /// Encodes notifications as frames.
    pub encoder: FrameEncoder,
    /// Counts the snapshot, as an answer.
    pub budget: ByteBudget,
}

/// The point at which a subscription that began earlier resumes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resume {
    /// The cursor of the last event the client received.
    pub since: Option<Box<str>>,
    /// The name that the client's page gave itself, under which its position is stored: for clients
    /// that keep no cursors.
    pub recover: Option<Arc<str>>,
    /// Whether the cursor takes precedence over the stored position: the client had asked for
    /// something else on the same connection.
    pub(super) insists: bool,
}

impl Resume {
    /// Creates a resume point: the stored position of the page of this name or, if there is none, a
    /// cursor. Without either, the subscription starts from the current state.
    #[must_use]
    pub fn new(recover: Option<String>, since: Option<String>) -> Self {
        Self { since: since.map(Into::into), recover: recover.map(Arc::from), insists: false }
    }

    /// Returns whether the client asks for missed events.
    #[must_use]
    pub const fn is_asked(&self) -> bool {
        self.since.is_some() || self.recover.is_some()
    }

    /// Returns whether both are the same resume point.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.since == other.since && self.recover == other.recover
    }
}

impl Subscribe {
    /// Returns the key of the item, if the subscription is for one item.
    pub(super) fn key(&self) -> Result<Option<Key>, Error> {
        self.item.as_ref().map(|item| keys::require(self.collection, item)).transpose()
    }
}

/// The request of a running subscription.
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
    pub(super) permits: Permits,
    /// The part of the log that the subscription that this one replaces had yet to receive.
    pub(super) taken_over: Option<Box<Missing<Arc<View>>>>,
}

impl SubscriptionRequest {
    /// Converts a client's request to a form that takes little memory.
    pub(super) fn new(subscribe: Subscribe) -> Result<Self, Error> {
        let item = subscribe.key()?;
        let Subscribe { collection, event, query, resume, encoder, budget, .. } = subscribe;
        let query = query.to_string().into_boxed_str();
        let (permits, taken_over) = (Permits::default(), None);
        Ok(Self { collection, event, item, query, resume, encoder, budget, permits, taken_over })
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
