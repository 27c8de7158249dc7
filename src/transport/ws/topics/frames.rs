//! Frames of the topics protocol: parses frames from clients and encodes topic states.

use bytes::Bytes;
use serde_json::{Map, Value as Json};

use crate::domain::subscriptions::topics::Topic;
use crate::text::json;
use crate::text::json::Unfit;
use crate::transport::lone_surrogates;
use crate::transport::ws::encode::TextFrame;

/// Capacity for the part of a frame around its payload.
const AROUND: usize = 40;

/// A frame from a client.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame {
    /// The text `ping`, with which a page checks the connection.
    Ping,
    /// Subscribes to a topic.
    Subscribe(Topic),
    /// Unsubscribes from a topic.
    Unsubscribe(Topic),
    /// Sends a chat message.
    Publish(String),
    /// The user has started or stopped typing in the chat.
    Typing(bool),
}

impl Frame {
    /// Parses a frame. `depth_max` limits the nesting of its JSON. Returns `None` for unknown
    /// frames, which are ignored as in nuxt-ws. That includes unknown topics, which never have a
    /// state to send.
    #[must_use]
    pub fn parse(text: &[u8], depth_max: usize) -> Option<Self> {
        if text == b"ping" {
            return Some(Self::Ping);
        }
        // No field is a number, so rounded numbers do not matter.
        if matches!(json::check(text, depth_max), Err(Unfit::Deep(_))) {
            return None;
        }
        let frame: Map<String, Json> = lone_surrogates::from_slice(text).ok()?;
        let topic = Topic::find(frame.get("topic")?.as_str()?)?;
        match frame.get("type")?.as_str()? {
            "subscribe" => Some(Self::Subscribe(topic)),
            "unsubscribe" => Some(Self::Unsubscribe(topic)),
            "publish" if topic == Topic::Chat => {
                let text = frame.get("payload")?.as_object()?.get("text")?.as_str()?;
                Some(Self::Publish(text.to_owned()))
            }
            "publish" if topic == Topic::Typing => {
                let payload = frame.get("payload").and_then(|payload| payload.get("typing"));
                Some(Self::Typing(payload != Some(&Json::Bool(false))))
            }
            _ => None,
        }
    }
}

/// Returns a typing notification.
pub(super) fn typing(names: &str, _: Option<&str>) -> Bytes {
    encode(Topic::Typing, names)
}

/// Returns the frame with the state of a topic, given as JSON.
#[must_use]
pub fn encode(topic: Topic, payload: &str) -> Bytes {
    let mut frame = TextFrame::with_capacity(payload.len() + AROUND);
    frame.push(r#"{"topic":""#).push(topic.name()).push(r#"","payload":"#);
    frame.push(payload).push("}");
    frame.finish()
}

/// Returns the response to the text `ping`: the same text, which pages ignore.
pub(super) fn pong() -> Bytes {
    let mut frame = TextFrame::with_capacity(4);
    frame.push("ping");
    frame.finish()
}

#[cfg(test)]
mod tests {
    use crate::transport::asyncapi;

    use super::*;

    fn parse(text: &str) -> Option<Frame> {
        Frame::parse(text.as_bytes(), 32)
    }

    #[test]
    fn valid_frames_are_parsed() {
        for (text, frame) in [
            ("ping", Frame::Ping),
            (r#"{"type":"subscribe","topic":"chat"}"#, Frame::Subscribe(Topic::Chat)),
            (r#"{"topic":"session","type":"unsubscribe"}"#, Frame::Unsubscribe(Topic::Session)),
            (
                r#"{"type":"publish","topic":"chat","payload":{"text":"","user":"me"},"more":1}"#,
                Frame::Publish(String::new()),
            ),
            (r#"{"type":"publish","topic":"typing"}"#, Frame::Typing(true)),
            (
                r#"{"type":"publish","topic":"typing","payload":{"typing":false}}"#,
                Frame::Typing(false),
            ),
        ] {
            assert_eq!(parse(text), Some(frame), "{text}");
        }
    }

    #[test]
    fn invalid_frames_are_ignored() {
        let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        for text in [
            "",
            "PING",
            "{\"type\":",
            "null",
            "[]",
            "42",
            "{}",
            r#"{"type":"publish","topic":"chat"}"#,
            r#"{"type":"publish","topic":"chat","payload":{"text":5}}"#,
            r#"{"type":"publish","topic":"chat","payload":["text"]}"#,
            r#"{"type":"publish","topic":"chat","payload":"text"}"#,
            r#"{"type":"publish","topic":"session","payload":{"text":"a"}}"#,
            r#"{"type":"publish","topic":"_internal","payload":{"text":"a"}}"#,
            r#"{"type":"subscribe","topic":"news"}"#,
            r#"{"type":"subscribe","topic":["chat"]}"#,
            r#"{"type":"greet","topic":"chat"}"#,
            r#"["publish","chat",{"text":"a"}]"#,
            &nested,
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(Frame::parse(b"\xff\xfe", 32), None);
    }

    #[test]
    fn the_parser_agrees_with_the_documented_frames() {
        let document: Json = serde_json::from_str(&asyncapi::document()).unwrap();
        let names = document["channels"]["topics"]["messages"].as_object().unwrap().keys();
        let messages = names.map(|name| &document["components"]["messages"][name]);
        for message in messages.filter(|message| message["x-from"] == "client") {
            for example in message["examples"].as_array().unwrap() {
                let frame = &example["payload"];
                let Json::Object(fields) = frame else {
                    assert!(parse(frame.as_str().unwrap()).is_some(), "{frame}");
                    continue;
                };
                assert!(parse(&frame.to_string()).is_some(), "{frame}");
                for name in message["payload"]["required"].as_array().unwrap() {
                    let mut without = fields.clone();
                    without.shift_remove(name.as_str().unwrap());
                    assert_eq!(parse(&Json::Object(without).to_string()), None, "{frame}: {name}");
                }
            }
        }
    }

    #[test]
    fn the_nesting_of_a_frame_is_limited() {
        let frame = |depth: usize| {
            let more = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            format!(r#"{{"type":"subscribe","topic":"chat","more":{more}}}"#)
        };

        assert_eq!(parse(&frame(31)), Some(Frame::Subscribe(Topic::Chat)));
        assert_eq!(parse(&frame(32)), None);
    }

    #[test]
    fn a_state_frame_has_topic_and_payload() {
        let frame = encode(Topic::Session, r#"{"users":1}"#);

        assert_eq!(frame[2..], *br#"{"topic":"session","payload":{"users":1}}"#);
        assert_eq!(pong()[2..], *b"ping");
    }
}
