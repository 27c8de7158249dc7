//! What happened, as collections: who changed what, and what messages were before. Nobody writes
//! them; the store keeps them along with its log of events and forgets them with it.

use crate::model::collection::Collection;
use crate::model::collection::Field;
use crate::model::collection::Form;
use crate::model::collection::Kind;
use crate::model::collection::OnDelete;
use crate::model::collection::Reach;
use crate::model::collection::field;
use crate::model::collection::numbered;
use crate::model::schema::USERS;

/// How many items of one event there is room for in the keys of [`ACTIVITY`]: the key of a line is
/// the event's `seq` times this, and the place of the item in the event.
pub const ACTIVITY_PLACES: i64 = 100_000;

/// What an activity says of a sign-in, beside the names of [`EventAction`](crate::model::EventAction).
pub const LOGIN: &str = "login";

/// Who changed what: a line for each item of each event, and for each sign-in.
pub static ACTIVITY: Collection = Collection {
    name: "directus_activity",
    fields: &ACTIVITY_FIELDS,
    reach: Reach::System,
    form: Form::History,
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

/// What messages were after each change. What is shown of `data` and `delta` to whoever may not read
/// all messages is for the domain to say.
pub static REVISIONS: Collection = Collection {
    name: "directus_revisions",
    fields: &REVISION_FIELDS,
    reach: Reach::System,
    form: Form::History,
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
