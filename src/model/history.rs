//! The history as collections: activity and message revisions. They are read-only: the store writes
//! them along with its event log and truncates them with it.

use crate::model::collection::field;
use crate::model::collection::numbered;
use crate::model::collection::{Collection, CollectionKind, Exposure, Field, Kind, OnDelete};
use crate::model::column::Column;
use crate::model::column::collection;
use crate::model::column::column_type;
use crate::model::schema::USERS;

/// Maximum number of items per event in the keys of [`ACTIVITY`]: the key of a row is the event's
/// `seq` times this, plus the index of the item in the event.
pub const ACTIVITY_PLACES: i64 = 100_000;

/// The activity of a sign-in, beside the names of [`EventAction`](crate::model::EventAction).
pub const LOGIN: &str = "login";

collection! {
    /// Activity: a row per item of each event, and a row per sign-in.
    ACTIVITY, activity: "directus_activity", System, History {
        id: Integer,
        action: Text,
        user: ToOne(&USERS).on_delete(OnDelete::Keep),
        timestamp: Timestamp,
        ip: Text,
        user_agent: Text,
        collection: Text,
        item: Text,
        comment: Text,
        revisions: ToMany(&REVISIONS, revisions::activity.field()),
    }
}

collection! {
    /// The content of messages after each change. The domain redacts `data` and `delta` for readers
    /// without access to all messages.
    REVISIONS, revisions: "directus_revisions", System, History {
        id: Integer,
        activity: ToOne(&ACTIVITY) as i64.on_delete(OnDelete::Keep),
        collection: Text,
        item: Text,
        data: Json,
        delta: Json,
        parent: Integer,
        version: Text,
    }
}
