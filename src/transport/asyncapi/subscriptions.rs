//! The frames of `/websocket` for subscriptions.

use serde_json::json;

use crate::transport::asyncapi::message::Message;
use crate::transport::asyncapi::shapes::always;
use crate::transport::asyncapi::shapes::object;
use crate::transport::asyncapi::shapes::one_of;
use crate::transport::asyncapi::shapes::reference;
use crate::transport::asyncapi::shapes::request;

/// Returns the frames sent by clients.
pub(super) fn of_clients() -> Vec<Message> {
    vec![
        Message::of_client(
            "subscribe",
            "Subscribe",
            "Begins to hear of changes. The same `uid` again takes the place of the subscription \
             before.",
            request(
                &["type", "collection"],
                json!({
                    "type": always("subscribe"),
                    "collection": {"type": "string", "description": "Such as `messages`."},
                    "event": one_of(&["create", "update", "delete"], "All three without it."),
                    "item": reference("Key"),
                    "query": reference("Query"),
                    "since": {
                        "type": "string",
                        "description": "The cursor behind which to go on; empty to get cursors where \
                                        they are not given to all.",
                    },
                    "recover": {
                        "type": "string",
                        "minLength": 1,
                        "maxLength": 255,
                        "description": "A name that the page gives itself, by which the server \
                                        remembers how far it has got.",
                    },
                    "uid": reference("Uid"),
                }),
            ),
        ),
        Message::of_client(
            "unsubscribe",
            "Unsubscribe",
            "Ends one subscription, or without `uid` all of the connection.",
            request(&["type"], json!({"type": always("unsubscribe"), "uid": reference("Uid")})),
        ),
    ]
}

/// Returns the frames sent by the service.
pub(super) fn of_server() -> Vec<Message> {
    let event = |events: &[&str]| one_of(events, "What happened.");
    vec![
        Message::of_server(
            "subscriptionInit",
            "Subscribed",
            "With the items that the query finds now, if the subscription is to all kinds of events. \
             `recovered` says whether what was missed follows.",
            object(
                &["type", "event"],
                json!({
                    "type": always("subscription"),
                    "event": always("init"),
                    "data": {
                        "type": ["array", "object", "null"],
                        "description": "A list; with `item` that alone.",
                    },
                    "truncated": {
                        "type": "boolean",
                        "description": "All items would be too long for one frame: those at the end are \
                                        missing, and an item that alone is too long is shown by its key. \
                                        Read the rest with `items`.",
                    },
                    "meta": reference("Counts"),
                    "uid": reference("TextUid"),
                    "cursor": reference("Cursor"),
                    "recovered": {"type": "boolean"},
                }),
            ),
        ),
        Message::of_server(
            "subscriptionEvent",
            "Something happened",
            "After the commit, in the one order of everything, as far as it may be seen by \
             then. Changes that follow from a deletion are told as well: messages of an \
             account that is deleted are updated. What would be too long for one frame \
             comes in several of this form, each with some of the items; all but the last \
             carry the cursor from before the event. An item that alone is too long is told \
             by its key.",
            object(
                &["type", "event", "data"],
                json!({
                    "type": always("subscription"),
                    "event": event(&["create", "update", "delete"]),
                    "data": {
                        "description": "Items, of deletions keys; with `item` that alone.",
                        "anyOf": [
                            {"type": "array", "items": {"anyOf": [
                                reference("Item"), reference("Key"),
                            ]}},
                            reference("Item"),
                            reference("Key"),
                        ],
                    },
                    "meta": reference("Counts"),
                    "uid": reference("TextUid"),
                    "cursor": reference("Cursor"),
                    "replayed": {"type": "boolean", "description": "It is told for what was missed."},
                }),
            ),
        ),
        Message::of_server(
            "subscriptionError",
            "A subscription that may not go on",
            "With `FORBIDDEN` it waits for rights that come back, and tells then what fell between; \
             otherwise it has ended.",
            object(
                &["type", "event", "status", "error"],
                json!({
                    "type": always("subscription"),
                    "event": always("error"),
                    "status": always("error"),
                    "error": reference("Error"),
                    "uid": reference("TextUid"),
                }),
            ),
        ),
        Message::of_server(
            "subscriptionEnded",
            "Unsubscribed",
            "The answer to `unsubscribe`, also where there was no such subscription.",
            object(
                &["type", "event"],
                json!({
                    "type": always("subscription"),
                    "event": always("unsubscribe"),
                    "uid": reference("Uid"),
                }),
            ),
        ),
    ]
}
