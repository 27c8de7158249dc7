//! The request of a subscription, kept as long as the subscription lasts, in little memory.

use std::sync::Arc;

use serde_json::Value as Json;

use crate::domain::Error;
use crate::domain::client_quota::ClientPermit;
use crate::domain::quota::Permit;
use crate::domain::realtime::Envelope;
use crate::domain::realtime::Meter;
use crate::domain::realtime::Resume;
use crate::domain::realtime::Subscribe;
use crate::domain::realtime::lapse::Shown;
use crate::model::Collection;
use crate::model::EventAction;
use crate::model::Key;

/// The request of a subscription.
pub(super) struct Ask {
    pub(super) collection: &'static Collection,
    pub(super) event: Option<EventAction>,
    pub(super) item: Option<Key>,
    /// As text: the parsed form would take several times the memory for as long as the connection
    /// is open, and the query is only read again when permissions change.
    query: Box<str>,
    pub(super) resume: Resume,
    pub(super) envelope: Envelope,
    /// Counts the snapshot, which may be long.
    pub(super) meter: Meter,
    /// The permit from the owner's quota for query bytes, if the query is long.
    pub(super) part: Option<Box<Permit>>,
    /// The permit from the subscription quota of the account and address.
    pub(super) place: Option<ClientPermit>,
    /// The position of the subscription that this one replaces; nothing after it was delivered.
    pub(super) taken: Option<Box<Taken>>,
}

/// The position that a replaced subscription had reached.
pub(super) struct Taken {
    /// The last delivered offset.
    pub(super) told: i64,
    /// Whether the client missed the events after it.
    pub(super) missed: bool,
    /// The ranges of those events that were already shown.
    pub(super) shown: Arc<[Shown]>,
}

impl Ask {
    /// Converts a client's request to a form that takes little memory.
    pub(super) fn new(subscribe: Subscribe) -> Result<Self, Error> {
        let item = subscribe.key()?;
        let Subscribe { collection, event, query, resume, envelope, meter, .. } = subscribe;
        let query = query.to_string().into_boxed_str();
        let (part, place, taken) = (None, None, None);
        Ok(Self { collection, event, item, query, resume, envelope, meter, part, place, taken })
    }

    /// Returns the length of the query as JSON.
    pub(super) const fn query_bytes(&self) -> usize {
        self.query.len()
    }

    /// Returns the fields, the filter and the other parameters as the client sent them.
    pub(super) fn query(&self) -> Json {
        serde_json::from_str(&self.query).expect("it was written from JSON")
    }

    /// Returns whether another request replaces this one and is equal to it.
    pub(super) fn is_replaced_by(&self, other: &Self) -> bool {
        self.envelope.uid.is_some()
            && self.envelope.uid == other.envelope.uid
            && self.collection == other.collection
            && (self.event, self.item) == (other.event, other.item)
            && self.query == other.query
            && self.resume.is_like(&other.resume)
    }
}
