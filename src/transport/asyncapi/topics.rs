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

const ABOUT: &str = "The topics that pages made with the Nuxt module nuxt-ws follow. Every frame of the \
server holds the whole state of its topic and takes the place of the one before. Who it is comes \
with the upgrade: the cookie of a session, from a page of the same origin or of one in `CORS_ORIGIN`, \
or `access_token` in the address; otherwise it is the public. Frames that mean nothing are passed over without a word.";

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
        request(&["text"], json!({"text": {"type": "string", "description": "What is said."}}));
    let stop = json!({
        "description": "Anything; an object with `typing: false` says that one has stopped.",
    });
    vec![
        Message::of_client(
            "topicSubscribe",
            "Hear of a topic",
            "Its state follows if it has changed since it was last told, then every change. Of \
             `session` everybody hears from the start.",
            follow("subscribe"),
        ),
        Message::of_client(
            "topicUnsubscribe",
            "Hear no more of a topic",
            "There is no answer. Who left `session` cannot come back.",
            follow("unsubscribe"),
        ),
        Message::of_client(
            "topicPublish",
            "Say something",
            "Creates a message. Its author gets the list with it, subscribed or not.",
            publish("chat", &["type", "topic", "payload"], line),
        ),
        Message::of_client(
            "topicTyping",
            "Say that one is writing",
            "Or that one is not. Not part of nuxt-ws.",
            publish("typing", &["type", "topic"], stop),
        ),
        Message::of_client(
            "topicPing",
            "Ask for a sign of life",
            "A text that is no JSON, as the module's `heartbeat` sends it.",
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
                "description": "The first name of the author; of a guest the connection.",
            },
        })),
    });
    let users = json!({"users": {"type": "integer", "description": "This one included."}});
    let name = json!({"connectionId": {"type": "string", "format": "uuid"}});
    vec![
        Message::of_server(
            "topicChat",
            "The newest messages",
            "The oldest first, as far as they may be read: to everybody on connecting, if there are \
             any, then to whoever has subscribed.",
            state("chat", lines),
        ),
        Message::of_server(
            "topicSession",
            "How many are here",
            "Open connections of this socket.",
            state("session", object(&["users"], users)),
        ),
        Message::of_server(
            "topicTypists",
            "Who is writing",
            "To whoever has subscribed to `typing` and may read messages, at most once a second.",
            state("typing", reference("Names")),
        ),
        Message::of_server(
            "topicInternal",
            "What the connection is called",
            "Once. A guest's messages have it in their field `guest`.",
            state("_internal", object(&["connectionId"], name)),
        ),
        Message::of_server(
            "topicPong",
            "A sign of life",
            "The answer: the same text.",
            always("ping"),
        ),
        Message::of_server(
            "topicRefused",
            "Refused",
            "The message was not created. The module hands it to the page as `data`.",
            refusal(&always("publish")),
        ),
        Message::of_server(
            "topicNotSignedIn",
            "Not signed in any more",
            "The token of the upgrade holds no more; the connection is the public's, or is closed \
             where the public has none.",
            refusal(&always("auth")),
        ),
    ]
}

fn operations() -> Vec<Operation> {
    vec![
        Operation {
            name: "followTopic",
            title: "Following topics",
            about: "By name; to hear of one twice is to hear of it once.",
            from: From::Client,
            messages: &["topicSubscribe", "topicUnsubscribe"],
            replies: &[],
        },
        Operation {
            name: "publishInTopic",
            title: "Saying something",
            about: "In the chat, where the rights allow it.",
            from: From::Client,
            messages: &["topicPublish", "topicTyping"],
            replies: &["topicRefused"],
        },
        Operation {
            name: "tellTopics",
            title: "States",
            about: "Whole, every time.",
            from: From::Server,
            messages: &["topicChat", "topicSession", "topicTypists", "topicInternal"],
            replies: &[],
        },
        Operation {
            name: "askTopicsForLife",
            title: "Is the server there?",
            about: "For pages with the module's `heartbeat`.",
            from: From::Client,
            messages: &["topicPing"],
            replies: &["topicPong"],
        },
        Operation {
            name: "loseTopicStanding",
            title: "A sign-in that ends",
            about: "Told when it happens.",
            from: From::Server,
            messages: &["topicNotSignedIn"],
            replies: &[],
        },
    ]
}
