//! The history as collections: activity and message revisions. They are read-only: the store writes
//! them along with its event log and truncates them with it.

use crate::model::collection::Collection;
use crate::model::collection::CollectionKind;
use crate::model::collection::Exposure;
use crate::model::collection::Field;
use crate::model::collection::Kind;
use crate::model::collection::OnDelete;
use crate::model::collection::field;
use crate::model::collection::numbered;
use crate::model::schema::USERS;

/// Maximum number of items per event in the keys of [`ACTIVITY`]: the key of a row is the event's
/// `seq` times this, plus the index of the item in the event.
pub const ACTIVITY_PLACES: i64 = 100_000;

/// The activity of a sign-in, beside the names of [`EventAction`](crate::model::EventAction).
pub const LOGIN: &str = "login";

/// Activity: a row per item of each event, and a row per sign-in.
pub static ACTIVITY: Collection = Collection {
    name: "directus_activity",
    fields: &ACTIVITY_FIELDS,
    exposure: Exposure::System,
    kind: CollectionKind::History,
};

static ACTIVITY_FIELDS: [Field; 10] = numbered([
    field("id", Kind::Integer),
    field("action", Kind::Text),
    field("user", Kind::ToOne(&USERS)).on_delete(OnDelete::Keep),
    field("timestamp", Kind::Timestamp),
    field("ip", Kind::Text),
    field("user_agent", Kind::Text),
    field("collection", Kind::Text),
    field("item", Kind::Text),
    field("comment", Kind::Text),
    field("revisions", Kind::ToMany(&REVISIONS, "activity")),
]);

/// The content of messages after each change. The domain redacts `data` and `delta` for readers
/// without access to all messages.
pub static REVISIONS: Collection = Collection {
    name: "directus_revisions",
    fields: &REVISION_FIELDS,
    exposure: Exposure::System,
    kind: CollectionKind::History,
};

static REVISION_FIELDS: [Field; 8] = numbered([
    field("id", Kind::Integer),
    field("activity", Kind::ToOne(&ACTIVITY)).on_delete(OnDelete::Keep),
    field("collection", Kind::Text),
    field("item", Kind::Text),
    field("data", Kind::Json),
    field("delta", Kind::Json),
    field("parent", Kind::Integer),
    field("version", Kind::Text),
]);
