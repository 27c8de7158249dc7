//! The frames of `/websocket` that read and change items.

use serde_json::Value as Json;
use serde_json::json;

use crate::transport::asyncapi::message::Message;
use crate::transport::asyncapi::shapes::always;
use crate::transport::asyncapi::shapes::object;
use crate::transport::asyncapi::shapes::one_of;
use crate::transport::asyncapi::shapes::reference;
use crate::transport::asyncapi::shapes::refusal;
use crate::transport::asyncapi::shapes::request;

/// Returns the messages for reading and writing items.
pub(super) fn messages() -> Vec<Message> {
    let data = json!({
        "type": ["object", "array", "null"],
        "description": "The values of the item; a list for several items.",
    });
    let id = reference("Key");
    let ids = reference("Keys");
    let query = reference("Query");
    let of = |action: &str, required: &[&str], more: Json| {
        let mut properties = json!({
            "type": always("items"),
            "action": always(action),
            "collection": {"type": "string", "description": "`messages`."},
        });
        for (name, shape) in more.as_object().into_iter().flatten() {
            properties[name] = shape.clone();
        }
        properties["uid"] = reference("Uid");
        let mut all = vec!["type", "action", "collection"];
        all.extend(required);
        request(&all, properties)
    };
    vec![
        Message::of_client(
            "createItems",
            "Create",
            "Creates one item, or a list of items: all of them or none.",
            of(
                "create",
                &[],
                json!({
                    "data": data,
                    "query": query,
                    "idempotency_key": {
                        "type": "string",
                        "maxLength": 255,
                        "description": "The item is created once, even if the frame is sent again \
                                        with the same key.",
                    },
                }),
            ),
        ),
        Message::of_client(
            "readItems",
            "Read",
            "Reads one item, several items, or the items that match a query.",
            of("read", &[], json!({"id": id, "ids": ids, "query": query})),
        ),
        Message::of_client(
            "updateItems",
            "Update",
            "Updates one item, several items, or the items that match a query.",
            of("update", &["data"], json!({"id": id, "ids": ids, "data": data, "query": query})),
        ),
        Message::of_client(
            "deleteItems",
            "Delete",
            "Deletes one item, several items, or the items that match a query.",
            of("delete", &[], json!({"id": id, "ids": ids, "query": query})),
        ),
        Message::of_server(
            "items",
            "Items",
            "The current items, as far as they may be read; after a deletion, their keys.",
            object(
                &["type", "data"],
                json!({
                    "type": always("items"),
                    "data": {
                        "description": "One item or key if the request named one, else a list.",
                        "anyOf": [
                            {"$ref": "#/components/schemas/Item"},
                            {"type": "array", "items": {"anyOf": [
                                reference("Item"), reference("Key"),
                            ]}},
                            reference("Key"),
                            {"type": "null"},
                        ],
                    },
                    "meta": reference("Counts"),
                    "uid": reference("Uid"),
                }),
            ),
        ),
        Message::of_server(
            "refused",
            "Refused",
            "The response to a frame that is invalid, not allowed, or failed. `type` is the kind \
             of the frame, or `server` if it is unknown.",
            refusal(&one_of(
                &["server", "items", "subscribe", "unsubscribe", "typing", "ping"],
                "The kind of the refused frame.",
            )),
        ),
    ]
}
