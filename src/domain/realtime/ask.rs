//! What a client asked a subscription for, kept as long as it lasts in as little memory as it takes.

use std::sync::Arc;

use serde_json::Value as Json;

use crate::domain::Error;
use crate::domain::client_shares::ClientPart;
use crate::domain::realtime::Envelope;
use crate::domain::realtime::Meter;
use crate::domain::realtime::Resume;
use crate::domain::realtime::Subscribe;
use crate::domain::realtime::lapse::Shown;
use crate::domain::shares::Part;
use crate::model::Collection;
use crate::model::EventAction;
use crate::model::Key;

/// What a client asked for.
pub(super) struct Ask {
    pub(super) collection: &'static Collection,
    pub(super) event: Option<EventAction>,
    pub(super) item: Option<Key>,
    /// As text, since parsed it would take several times the memory, as long as the connection is
    /// open. It is only read again when rights change.
    query: Box<str>,
    pub(super) resume: Resume,
    pub(super) envelope: Envelope,
    /// What counts what comes first: it may be long.
    pub(super) meter: Meter,
    /// What the query takes of its owner's share, where it is long.
    pub(super) part: Option<Box<Part>>,
    /// Its place among the subscriptions of its account and address.
    pub(super) place: Option<ClientPart>,
    /// Where the one has got to whose place this one takes; nothing behind that was told.
    pub(super) taken: Option<Box<Taken>>,
}

/// How far a subscription had got that another one takes the place of.
pub(super) struct Taken {
    /// What happened after this is to be told.
    pub(super) told: i64,
    /// Whether its client missed that.
    pub(super) missed: bool,
    /// What of it was shown already.
    pub(super) shown: Arc<[Shown]>,
}

impl Ask {
    /// Returns what a client asks for, in as little memory as it takes.
    pub(super) fn new(subscribe: Subscribe) -> Result<Self, Error> {
        let item = subscribe.key()?;
        let Subscribe { collection, event, query, resume, envelope, meter, .. } = subscribe;
        let query = query.to_string().into_boxed_str();
        let (part, place, taken) = (None, None, None);
        Ok(Self { collection, event, item, query, resume, envelope, meter, part, place, taken })
    }

    /// Returns how long the query is, as JSON.
    pub(super) const fn query_bytes(&self) -> usize {
        self.query.len()
    }

    /// Returns fields, filter and their like as the client sent them.
    pub(super) fn query(&self) -> Json {
        serde_json::from_str(&self.query).expect("it was written from JSON")
    }

    /// Returns whether another subscription takes the place of this one and asks for the same.
    pub(super) fn is_replaced_by(&self, other: &Self) -> bool {
        self.envelope.uid.is_some()
            && self.envelope.uid == other.envelope.uid
            && self.collection == other.collection
            && (self.event, self.item) == (other.event, other.item)
            && self.query == other.query
            && self.resume.is_like(&other.resume)
    }
}
