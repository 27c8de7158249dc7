//! Message types of the document.

use serde_json::Value as Json;
use serde_json::json;

/// The sender of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    /// The client.
    Client,
    /// The service.
    Server,
}

/// One message type.
pub(super) struct Message {
    /// Its name in the document, unique over both sockets.
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) from: From,
    /// Its purpose, in Markdown.
    pub(super) about: &'static str,
    /// Its JSON Schema.
    pub(super) payload: Json,
}

impl Message {
    /// Creates a message sent by clients.
    pub(super) const fn of_client(
        name: &'static str,
        title: &'static str,
        about: &'static str,
        payload: Json,
    ) -> Self {
        Self { name, title, from: From::Client, about, payload }
    }

    /// Creates a message sent by the service.
    pub(super) const fn of_server(
        name: &'static str,
        title: &'static str,
        about: &'static str,
        payload: Json,
    ) -> Self {
        Self { name, title, from: From::Server, about, payload }
    }

    /// Returns the message in AsyncAPI form, with recorded frames as examples.
    pub(super) fn describe(&self, examples: &[Json]) -> Json {
        let is_text = self.payload["type"] == "string";
        json!({
            "name": self.name,
            "title": self.title,
            "summary": self.about,
            "contentType": if is_text { "text/plain" } else { "application/json" },
            "payload": self.payload,
            "examples": examples,
            "x-from": match self.from { From::Client => "client", From::Server => "server" },
        })
    }
}

/// An operation: the frames that start it, and the replies.
pub(super) struct Operation {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) about: &'static str,
    /// The initiator.
    pub(super) from: From,
    pub(super) messages: &'static [&'static str],
    /// The possible replies; empty if there are none.
    pub(super) replies: &'static [&'static str],
}

impl Operation {
    /// Returns the operation in AsyncAPI form, from the perspective of the service, which receives
    /// the frames that a client sends.
    pub(super) fn describe(&self, channel: &str) -> Json {
        let action = match self.from {
            From::Client => "receive",
            From::Server => "send",
        };
        let reference =
            |name: &&str| json!({"$ref": format!("#/channels/{channel}/messages/{name}")});
        let messages: Vec<Json> = self.messages.iter().map(reference).collect();
        let mut operation = json!({
            "action": action,
            "channel": {"$ref": format!("#/channels/{channel}")},
            "title": self.title,
            "description": self.about,
            "messages": messages,
        });
        if !self.replies.is_empty() {
            let replies: Vec<Json> = self.replies.iter().map(reference).collect();
            operation["reply"] = json!({
                "channel": {"$ref": format!("#/channels/{channel}")},
                "messages": replies,
            });
        }
        operation
    }
}
