//! One kind of frame, as the document describes it.

use serde_json::Value as Json;
use serde_json::json;

/// Who sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    /// The client.
    Client,
    /// The service.
    Server,
}

/// One kind of frame.
pub(super) struct Message {
    /// Its name in the document, unique over both sockets.
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) from: From,
    /// What it is for, in Markdown.
    pub(super) about: &'static str,
    /// What it looks like (JSON Schema).
    pub(super) payload: Json,
}

impl Message {
    /// Returns a message that clients send.
    pub(super) const fn of_client(
        name: &'static str,
        title: &'static str,
        about: &'static str,
        payload: Json,
    ) -> Self {
        Self { name, title, from: From::Client, about, payload }
    }

    /// Returns a message that the service sends.
    pub(super) const fn of_server(
        name: &'static str,
        title: &'static str,
        about: &'static str,
        payload: Json,
    ) -> Self {
        Self { name, title, from: From::Server, about, payload }
    }

    /// Returns the message as AsyncAPI has it, with frames of this kind that were seen.
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

/// What is done with frames: some are sent, and others answer them.
pub(super) struct Operation {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) about: &'static str,
    /// Who begins.
    pub(super) from: From,
    pub(super) messages: &'static [&'static str],
    /// What may answer; empty if nothing does.
    pub(super) replies: &'static [&'static str],
}

impl Operation {
    /// Returns the operation as AsyncAPI has it. Its words are those of the service: what a client
    /// sends it receives.
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
