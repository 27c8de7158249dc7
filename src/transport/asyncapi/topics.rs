//! The frames of `/_ws`.

use serde_json::Value as Json;
use serde_json::json;

use crate::transport::asyncapi::document::Channel;
use crate::transport::asyncapi::message::From;
use crate::transport::asyncapi::message::Message;
use crate::transport::asyncapi::message::Operation;
use crate::transport::asyncapi::shapes::always;
use crate::transport::asyncapi::shapes::object;
use crate::transport::asyncapi::shapes::reference;
use crate::transport::asyncapi::shapes::refusal;
use crate::transport::asyncapi::shapes::request;

const ABOUT: &str = "The topics for pages with the Nuxt module nuxt-ws. Every frame of the server \
contains the full state of its topic and replaces the previous one. The upgrade identifies the \
account: by the session cookie, from a page of the same origin or of one in `CORS_ORIGIN`, or by \
`access_token` in the URL. Otherwise the connection is public. Unknown frames are ignored without \
a response.";

/// Returns the description of `/_ws`.
pub(super) fn channel() -> Channel {
    Channel {
        name: "topics",
        path: "/_ws",
        title: "nuxt-ws",
        about: ABOUT,
        messages: of_clients().into_iter().chain(of_server()).collect(),
        operations: operations(),
    }
}

fn of_clients() -> Vec<Message> {
    let follow = |kind: &str| {
        request(
            &["type", "topic"],
            json!({
                "type": always(kind),
                "topic": {"type": "string", "description": "`chat`, `session` or `typing`."},
            }),
        )
    };
    let publish = |topic: &str, required: &[&str], payload: Json| {
        request(
            required,
            json!({"type": always("publish"), "topic": always(topic), "payload": payload}),
        )
    };
    let line =
        request(&["text"], json!({"text": {"type": "string", "description": "The message text."}}));
    let stop = json!({
        "description": "Any value; an object with `typing: false` means that the user has stopped \
                        typing.",
    });
    vec![
        Message::of_client(
            "topicSubscribe",
            "Subscribe to a topic",
            "The state follows if it has changed since the client last received it, then every \
             change. Every connection is subscribed to `session` from the start.",
            follow("subscribe"),
        ),
        Message::of_client(
            "topicUnsubscribe",
            "Unsubscribe from a topic",
            "There is no response. A connection that left `session` cannot subscribe to it again.",
            follow("unsubscribe"),
        ),
        Message::of_client(
            "topicPublish",
            "Send a message",
            "Creates a message. The author gets the updated list, with or without a subscription.",
            publish("chat", &["type", "topic", "payload"], line),
        ),
        Message::of_client(
            "topicTyping",
            "Start or stop typing",
            "Marks the user as typing or not typing. Not part of nuxt-ws.",
            publish("typing", &["type", "topic"], stop),
        ),
        Message::of_client(
            "topicPing",
            "Ping",
            "A text that is not JSON, as sent by the `heartbeat` of the module.",
            always("ping"),
        ),
    ]
}

fn of_server() -> Vec<Message> {
    let state = |topic: &str, payload: Json| {
        object(&["topic", "payload"], json!({"topic": always(topic), "payload": payload}))
    };
    let lines = json!({
        "type": "array",
        "items": object(&["text", "user"], json!({
            "text": {"type": "string"},
            "user": {
                "type": "string",
                "description": "The first name of the author; for a guest, the connection.",
            },
        })),
    });
    let users = json!({"users": {"type": "integer", "description": "Includes this one."}});
    let name = json!({"connectionId": {"type": "string", "format": "uuid"}});
    vec![
        Message::of_server(
            "topicChat",
            "The newest messages",
            "The oldest first, as far as they may be read. Sent to every new connection, if there \
             are messages, and later to subscribers.",
            state("chat", lines),
        ),
        Message::of_server(
            "topicSession",
            "Number of connections",
            "The open connections to `/_ws`.",
            state("session", object(&["users"], users)),
        ),
        Message::of_server(
            "topicTypists",
            "Typing users",
            "Sent to subscribers of `typing` that may read messages, at most once a second.",
            state("typing", reference("Names")),
        ),
        Message::of_server(
            "topicInternal",
            "Name of the connection",
            "Sent once. The messages of a guest have it in their field `guest`.",
            state("_internal", object(&["connectionId"], name)),
        ),
        Message::of_server(
            "topicPong",
            "Pong",
            "The response to a ping: the same text.",
            always("ping"),
        ),
        Message::of_server(
            "topicRefused",
            "Refused",
            "The message was not created. The module passes this frame to the page as `data`.",
            refusal(&always("publish")),
        ),
        Message::of_server(
            "topicNotSignedIn",
            "Sign-in ended",
            "The token of the upgrade is no longer valid. The connection becomes public, or closes \
             if public connections are not allowed.",
            refusal(&always("auth")),
        ),
    ]
}

fn operations() -> Vec<Operation> {
    vec![
        Operation {
            name: "followTopic",
            title: "Subscribing to topics",
            about: "By name. A second subscription to the same topic has no effect.",
            from: From::Client,
            messages: &["topicSubscribe", "topicUnsubscribe"],
            replies: &[],
        },
        Operation {
            name: "publishInTopic",
            title: "Publishing",
            about: "In the chat, with the required permissions.",
            from: From::Client,
            messages: &["topicPublish", "topicTyping"],
            replies: &["topicRefused"],
        },
        Operation {
            name: "tellTopics",
            title: "Topic states",
            about: "Each frame contains the full state.",
            from: From::Server,
            messages: &["topicChat", "topicSession", "topicTypists", "topicInternal"],
            replies: &[],
        },
        Operation {
            name: "askTopicsForLife",
            title: "Connection check",
            about: "For pages that use the `heartbeat` of the module.",
            from: From::Client,
            messages: &["topicPing"],
            replies: &["topicPong"],
        },
        Operation {
            name: "loseTopicStanding",
            title: "End of a sign-in",
            about: "Sent when the sign-in ends.",
            from: From::Server,
            messages: &["topicNotSignedIn"],
            replies: &[],
        },
    ]
}
