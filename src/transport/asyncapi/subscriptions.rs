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
            "Starts a subscription to changes. Another one with the same `uid` replaces it.",
            request(
                &["type", "collection"],
                json!({
                    "type": always("subscribe"),
                    "collection": {"type": "string", "description": "For example `messages`."},
                    "event": one_of(&["create", "update", "delete"], "All three by default."),
                    "item": reference("Key"),
                    "query": reference("Query"),
                    "since": {
                        "type": "string",
                        "description": "The cursor to resume after; an empty text requests cursors \
                                        where they are not sent by default.",
                    },
                    "recover": {
                        "type": "string",
                        "minLength": 1,
                        "maxLength": 255,
                        "description": "A name chosen by the page. The server stores the position \
                                        of the client under this name.",
                    },
                    "uid": reference("Uid"),
                }),
            ),
        ),
        Message::of_client(
            "unsubscribe",
            "Unsubscribe",
            "Ends one subscription or, without `uid`, all subscriptions of the connection.",
            request(&["type"], json!({"type": always("unsubscribe"), "uid": reference("Uid")})),
        ),
    ]
}

/// Returns the frames sent by the service.
pub(super) fn of_server() -> Vec<Message> {
    let event = |events: &[&str]| one_of(events, "The type of the event.");
    vec![
        Message::of_server(
            "subscriptionInit",
            "Subscribed",
            "Contains the items that currently match the query, if the subscription includes all \
             types of events. `recovered` tells whether the missed events follow.",
            object(
                &["type", "event"],
                json!({
                    "type": always("subscription"),
                    "event": always("init"),
                    "data": {
                        "type": ["array", "object", "null"],
                        "description": "A list of items; with `item`, the item alone.",
                    },
                    "truncated": {
                        "type": "boolean",
                        "description": "The items are too long for one frame: the last ones are \
                                        missing, and an item that is too long by itself is \
                                        replaced by its key. Read the rest with `items`.",
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
            "Event",
            "Sent after the commit, in the global order of events, as far as the items may be read \
             at that time. Changes caused by a deletion are sent as well: the messages of a \
             deleted account are updated. An event that is too long for one frame is sent in \
             several frames of this form, each with some of the items; all but the last carry the \
             cursor from before the event. An item that is too long by itself is sent as its key.",
            object(
                &["type", "event", "data"],
                json!({
                    "type": always("subscription"),
                    "event": event(&["create", "update", "delete"]),
                    "data": {
                        "description": "A list of items, or of keys for deletions; with `item`, \
                                        the item or key alone.",
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
                    "replayed": {"type": "boolean", "description": "The event is a replay."},
                }),
            ),
        ),
        Message::of_server(
            "subscriptionError",
            "Subscription suspended or ended",
            "With `FORBIDDEN` the subscription waits until its permissions are restored, and then \
             sends the events in between; otherwise it has ended.",
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
            "The response to `unsubscribe`, even if there was no such subscription.",
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
