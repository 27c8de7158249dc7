//! The `AsyncAPI` document of the sockets: compares the committed copy with the generated one, and
//! plays each example conversation in it against a running service.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use chinwag::config::{Config, WebSocketAuth};
use futures_util::FutureExt;
use serde_json::Value as Json;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::support::masked;
use crate::support::{Permission, RawSocket, Socket, TestServer, User};

const COMMITTED: &str = include_str!("../../openapi/asyncapi.json");

/// Stands for Alice's access token in conversations.
const TOKEN: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJpZCI6IjE0NGU5MDg4In0.x4Vp";

fn document() -> Json {
    serde_json::from_str(COMMITTED).unwrap()
}

#[test]
fn the_committed_document_is_up_to_date() {
    let document = chinwag::transport::asyncapi::document();

    assert!(document.trim() == COMMITTED.trim(), "asyncapi.json is old: run `make openapi`");
}

#[tokio::test]
async fn the_document_and_its_page_are_public() {
    let server = TestServer::start().await;
    let anybody = server.anonymous();

    let document = anybody.get("/asyncapi.json").await;
    let page = anybody.get("/docs/websocket").await;
    let style = anybody.get("/docs/websocket.css").await;

    assert_eq!(document.text.trim(), COMMITTED.trim());
    assert_eq!((page.status, style.status), (200, 200));
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert!(anybody.get("/docs").await.text.contains("](/docs/websocket)"));
    server.stop().await;
}

#[tokio::test]
async fn conversations_match_the_document() {
    for conversation in document()["x-conversations"].as_array().unwrap() {
        hold(conversation).await;
    }
}

/// Plays one conversation against a service of its own.
async fn hold(conversation: &Json) {
    let title = conversation["title"].as_str().unwrap();
    let with = conversation["with"].as_str().unwrap();
    // With expiring tokens the clock is stopped, so that each token keeps its full lifetime.
    let server = match with {
        "short tokens" => TestServer::at_noon(|config| settings(config, with)).await,
        _ => TestServer::with(|config| settings(config, with)).await,
    };
    if with == "an open chat" {
        let rights = [
            Permission::to("read", "messages"),
            Permission::to("create", "messages"),
            Permission::to("read", "directus_users").fields(&["first_name"]),
        ];
        server.allow_public(&rights).await;
    }
    let (alice, bob) = (server.member("Alice").await, server.member("Bob").await);
    let mut talk = Talk { known: HashMap::new(), title };
    talk.known.insert(TOKEN.to_owned(), alice.token.clone());
    let topics = conversation["channel"] == "topics";
    let mut socket = open(&server, topics, with, &alice).await;
    let mut of_bob = None;

    for step in conversation["steps"].as_array().unwrap() {
        if step["send"].is_string() {
            let frame = talk.known(&step["frame"]);
            let text = frame.as_str().map_or_else(|| frame.to_string(), str::to_owned);
            if step["by"] == "Bob" {
                if of_bob.is_none() {
                    of_bob = Some(Socket::signed_in(&server, &bob).await);
                }
                of_bob.as_mut().unwrap().send_text(&text).await;
            } else {
                socket.send_text(&text).await;
            }
        } else if step["receive"].is_string() {
            let heard = hear(&mut socket, step).await;
            talk.expect(&step["frame"], &heard);
        } else if let Some(request) = step["rest"].as_str() {
            let (method, path) = request.split_once(' ').unwrap();
            let answer = match step.get("body") {
                Some(body) => bob.send_json(method, path, body).await,
                None => bob.send(method, path).await,
            };
            assert!(answer.status < 300, "{title}: {}", answer.text);
        } else {
            let code = step.get("closed").unwrap_or_else(|| panic!("{title}: {step}"));
            assert_eq!(json!(socket.closed().await), *code, "{title}");
        }
    }
    server.stop().await;
}

/// Applies the settings that a conversation needs.
fn settings(config: &mut Config, with: &str) {
    let sockets = &mut config.websockets;
    sockets.cursors = true;
    config.topics.typing_timeout = Duration::from_hours(1);
    match with {
        "defaults" | "Alice" | "an open chat" => {}
        "handshake" => sockets.auth = WebSocketAuth::Handshake,
        "short tokens" => {
            sockets.auth = WebSocketAuth::Handshake;
            sockets.auth_timeout = Duration::from_secs(3);
            config.auth.access_token_ttl = Duration::from_secs(1);
        }
        "a slow pace" => sockets.messages_per_second = 1,
        "a quick heartbeat" => sockets.heartbeat_period = Duration::from_secs(2),
        other => panic!("unknown setup: {other}"),
    }
}

async fn open(server: &TestServer, topics: bool, with: &str, alice: &User) -> Socket {
    if topics {
        let token = if with == "short tokens" { &*alice.token } else { "" };
        let query = if token.is_empty() { String::new() } else { format!("?access_token={token}") };
        let address = format!("ws://{}/_ws{query}", server.address);
        return Socket::open(address.into_client_request().unwrap()).await.unwrap();
    }
    match with {
        "Alice" | "a quick heartbeat" => Socket::signed_in(server, alice).await,
        _ => Socket::connect(server).await,
    }
}

/// Returns the next frame. Text that is not JSON is returned as a JSON string.
async fn hear(socket: &mut Socket, step: &Json) -> Json {
    loop {
        let message = AssertUnwindSafe(socket.message()).catch_unwind().await;
        match message.unwrap_or_else(|_| panic!("no frame arrived for {step}")) {
            Some(Message::Text(text)) => {
                return serde_json::from_str(&text).unwrap_or_else(|_| json!(text.as_str()));
            }
            Some(Message::Ping(_) | Message::Pong(_)) => {}
            other => panic!("a frame was expected, not {other:?}"),
        }
    }
}

/// Maps placeholders of a conversation to this run's tokens, keys, cursors and instants.
struct Talk<'a> {
    known: HashMap<String, String>,
    title: &'a str,
}

impl Talk<'_> {
    /// Returns a frame with its placeholders replaced.
    fn known(&self, frame: &Json) -> Json {
        match frame {
            Json::String(text) => json!(self.known.get(text).unwrap_or(text)),
            Json::Array(items) => items.iter().map(|item| self.known(item)).collect(),
            Json::Object(fields) => {
                let fields = fields.iter();
                fields.map(|(name, value)| (name.clone(), self.known(value))).collect()
            }
            other => other.clone(),
        }
    }

    /// Asserts that a received frame matches the conversation: the same keys in the same order and
    /// the same values. Texts that differ in each run must be of the same kind, and stand for the
    /// same value wherever they appear.
    fn expect(&mut self, frame: &Json, heard: &Json) {
        let place = format!("{}: {heard} instead of {frame}", self.title);
        match (frame, heard) {
            (Json::Object(fields), Json::Object(others)) => {
                let names = |fields: &serde_json::Map<String, Json>| {
                    fields.keys().cloned().collect::<Vec<_>>()
                };
                assert_eq!(names(fields), names(others), "{place}");
                for (name, value) in fields {
                    self.expect(value, &others[name]);
                }
            }
            (Json::Array(items), Json::Array(others)) => {
                assert_eq!(items.len(), others.len(), "{place}");
                for (item, other) in items.iter().zip(others) {
                    self.expect(item, other);
                }
            }
            (Json::String(text), Json::String(other)) => {
                let kind = kind(text);
                assert_eq!(kind, self::kind(other), "{place}");
                match kind {
                    Kind::Words => assert_eq!(text, other, "{place}"),
                    Kind::Instant => {}
                    _ => {
                        let known = self.known.entry(text.clone()).or_insert_with(|| other.clone());
                        assert_eq!(known, other, "{place}");
                    }
                }
            }
            _ => assert_eq!(frame, heard, "{place}"),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    /// Identical in every run.
    Words,
    Instant,
    Key,
    Cursor,
    RefreshToken,
    /// Error text with the time to wait.
    Wait,
}

fn kind(text: &str) -> Kind {
    let opaque = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    match text.len() {
        36 if uuid::Uuid::try_parse(text).is_ok() => Kind::Key,
        24 if text.ends_with('Z') && text[10..].starts_with('T') => Kind::Instant,
        22 if opaque => Kind::Cursor,
        64 if opaque => Kind::RefreshToken,
        _ if text.starts_with("Too many messages, retry after ") => Kind::Wait,
        _ => Kind::Words,
    }
}

#[tokio::test]
async fn close_codes_match_the_document() {
    let document = document();
    let server = TestServer::with(|config| config.websockets.frame_bytes_max = 4096).await;
    for channel in ["websocket", "topics"] {
        let channel = &document["channels"][channel];
        let path = channel["address"].as_str().unwrap();
        let codes: Vec<_> = channel["x-close-codes"].as_array().unwrap().iter().collect();
        let mut codes: Vec<_> = codes.iter().map(|close| close["code"].as_u64()).collect();
        // A code may be listed with several reasons.
        codes.dedup();
        // 1011 follows a panic, which has tests of its own.
        let expected = [1002, 1007, 1009, 1011, 1012, 1013].map(Some);
        assert_eq!(codes, [&[None][..], &expected].concat());
        for (bytes, code) in [
            // A reserved bit, text that is not UTF-8, and a frame above the size limit.
            (masked(0xc1, b"x"), 1002),
            (masked(0x81, b"\xff"), 1007),
            (masked(0x81, &[b'x'; 5000]), 1009),
        ] {
            let mut socket = RawSocket::connect_to(&server, path).await;
            socket.send(&bytes).await;
            let ended = loop {
                match socket.frame().await {
                    Some((0x88, payload)) => {
                        break u16::from_be_bytes(*payload.first_chunk().unwrap());
                    }
                    Some(_) => {}
                    None => panic!("{path} ended without {code}"),
                }
            };
            assert_eq!(ended, code, "{path}");
        }
    }
    server.stop().await;
}
