//! Assembles the AsyncAPI document.

use serde_json::Map;
use serde_json::Value as Json;
use serde_json::json;

use crate::transport::asyncapi::CONVERSATIONS;
use crate::transport::asyncapi::closes;
use crate::transport::asyncapi::directus;
use crate::transport::asyncapi::message::Message;
use crate::transport::asyncapi::message::Operation;
use crate::transport::asyncapi::names;
use crate::transport::asyncapi::shapes;
use crate::transport::asyncapi::topics;

/// The version of the API, not of the program, as in the OpenAPI document.
const INTERFACE_VERSION: &str = "1";

/// The shorter one of the two licenses.
const LICENSE_URL: &str = "https://spdx.org/licenses/MIT.html";

const ABOUT: &str = "The WebSocket API of chinwag, a chat backend with the API of Directus. \
`/websocket` has the protocol of Directus, for clients such as `@directus/sdk`. `/_ws` has the \
topics of the Nuxt module nuxt-ws. Both work on the same messages as the REST API \
(`/openapi.json`). Frames are JSON in text frames; binary frames with the same content are \
accepted as well. A running service sent or received every example.";

/// One WebSocket endpoint.
pub(super) struct Channel {
    pub(super) name: &'static str,
    pub(super) path: &'static str,
    pub(super) title: &'static str,
    /// In Markdown.
    pub(super) about: &'static str,
    pub(super) messages: Vec<Message>,
    pub(super) operations: Vec<Operation>,
}

/// Returns the document as JSON text.
///
/// # Panics
/// If the conversations are not a list of objects, which is a bug in this program.
#[must_use]
pub fn document() -> String {
    serde_json::to_string_pretty(&build()).expect("a JSON value serializes") + "\n"
}

pub(super) fn build() -> Json {
    let conversations: Vec<Json> =
        serde_json::from_str(CONVERSATIONS).expect("the conversations are a list of objects");
    let all = [directus::channel(), topics::channel()];
    let (mut channels, mut operations, mut messages) = (Map::new(), Map::new(), Map::new());
    for channel in all {
        let mut of_channel = Map::new();
        for message in &channel.messages {
            let name = message.name;
            of_channel.insert(name.to_owned(), reference("messages", name));
            messages.insert(name.to_owned(), message.describe(&examples(&conversations, name)));
        }
        for operation in &channel.operations {
            operations.insert(operation.name.to_owned(), operation.describe(channel.name));
        }
        channels.insert(channel.name.to_owned(), describe(&channel, &of_channel));
    }
    let mut schemas = shapes::all();
    names::add(&mut messages, &mut schemas);
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "chinwag",
            "version": INTERFACE_VERSION,
            "description": ABOUT,
            "license": {"name": "MIT OR Apache-2.0", "url": LICENSE_URL},
            "contact": {
                "name": "The administrator of this server",
                "url": "http://127.0.0.1:8055/docs/websocket",
                "email": "admin@example.com",
            },
            "tags": [{"name": "chat", "description": "Messages and their authors."}],
        },
        "defaultContentType": "application/json",
        "servers": {
            "local": {
                "host": "127.0.0.1:8055",
                "protocol": "ws",
                "description": "The default address; `wss` behind a proxy with TLS.",
                "security": security(),
            },
        },
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": messages,
            "schemas": schemas,
            "securitySchemes": security_schemes(),
        },
        "x-conversations": conversations,
    })
}

/// Returns the credentials that a connection can present. Without any it is public.
fn security_schemes() -> Json {
    json!({
        "query": {
            "type": "httpApiKey",
            "in": "query",
            "name": "access_token",
            "description": "An access token or a static token.",
        },
        "cookie": {
            "type": "httpApiKey",
            "in": "cookie",
            "name": "directus_session_token",
            "description": "The cookie of a sign-in in `session` mode.",
        },
        "frame": {
            "type": "userPassword",
            "description": "A frame of the operation `signIn`, at `/websocket` only.",
        },
    })
}

fn security() -> Vec<Json> {
    ["query", "cookie", "frame"].map(|name| reference("securitySchemes", name)).into()
}

fn describe(channel: &Channel, messages: &Map<String, Json>) -> Json {
    json!({
        "address": channel.path,
        "title": channel.title,
        "description": channel.about,
        "messages": messages,
        "bindings": {"ws": {
            "method": "GET",
            "query": {"type": "object", "properties": {"access_token": {
                "type": "string",
                "description": "An access token or a static token. It takes precedence over the \
                                session cookie, which is accepted from pages of the same origin \
                                and of those in `CORS_ORIGIN`.",
            }}},
            "bindingVersion": "0.1.0",
        }},
        "x-refusals": closes::refusals(),
        "x-close-codes": closes::closes(),
    })
}

fn reference(kind: &str, name: &str) -> Json {
    json!({"$ref": format!("#/components/{kind}/{name}")})
}

/// Returns the distinct frames with this name in the conversations.
fn examples(conversations: &[Json], name: &str) -> Vec<Json> {
    let mut examples: Vec<Json> = Vec::new();
    for conversation in conversations {
        let steps = conversation["steps"].as_array().into_iter().flatten();
        for step in steps.filter(|step| step["send"] == name || step["receive"] == name) {
            let payload = &step["frame"];
            if examples.iter().all(|example| example["payload"] != *payload) {
                examples.push(json!({"summary": conversation["title"], "payload": payload}));
            }
        }
    }
    examples
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_has_an_example_and_an_operation() {
        let document = build();
        let operations = document["operations"].to_string();

        for (name, message) in document["components"]["messages"].as_object().unwrap() {
            assert!(!message["examples"].as_array().unwrap().is_empty(), "{name}");
            assert!(operations.contains(&format!("/messages/{name}\"")), "{name}");
        }
    }

    #[test]
    fn every_step_of_a_conversation_is_a_defined_message() {
        let document = build();
        let channels = &document["channels"];

        for conversation in document["x-conversations"].as_array().unwrap() {
            let channel = conversation["channel"].as_str().unwrap();
            for step in conversation["steps"].as_array().unwrap() {
                // Bob always uses the Directus socket.
                let channel = if step["by"].is_string() { "websocket" } else { channel };
                for key in ["send", "receive"] {
                    if let Some(name) = step[key].as_str() {
                        assert!(channels[channel]["messages"].get(name).is_some(), "{name}");
                        let from = &document["components"]["messages"][name]["x-from"];
                        assert_eq!(from == "client", key == "send", "{name}");
                    }
                }
            }
        }
    }

    #[test]
    fn every_object_and_enum_has_a_unique_title() {
        fn walk(part: &Json, place: &str, titles: &mut Vec<String>) {
            let is_named = part["type"] == "object" && part["properties"].is_object();
            if is_named || part["enum"].is_array() {
                titles.push(part["title"].as_str().expect(place).to_owned());
            }
            match part {
                Json::Object(fields) => fields
                    .iter()
                    .for_each(|(name, part)| walk(part, &format!("{place}/{name}"), titles)),
                Json::Array(parts) => parts.iter().for_each(|part| walk(part, place, titles)),
                _ => {}
            }
        }
        let document = build();
        let mut titles = Vec::new();
        for (name, message) in document["components"]["messages"].as_object().unwrap() {
            walk(&message["payload"], name, &mut titles);
        }
        walk(&document["components"]["schemas"], "schemas", &mut titles);
        let all = titles.len();
        titles.sort_unstable();
        titles.dedup();

        assert_eq!(titles.len(), all);
        assert!(titles.iter().any(|title| title == "SubscriptionEventFrameEvent"), "{titles:?}");
    }

    #[test]
    fn every_reference_resolves() {
        fn walk(document: &Json, part: &Json) {
            if let Some(path) = part["$ref"].as_str() {
                assert!(document.pointer(path.trim_start_matches('#')).is_some(), "{path}");
            }
            match part {
                Json::Object(fields) => fields.values().for_each(|part| walk(document, part)),
                Json::Array(parts) => parts.iter().for_each(|part| walk(document, part)),
                _ => {}
            }
        }
        let document = build();

        walk(&document, &document);
    }
}
