//! Limits of every resource that a client can make grow.

use std::time::Instant;

use serde_json::Value as Json;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use super::Page;
use super::line;
use super::open;
use super::request;
use crate::support::{Permission, RawSocket, Socket, TestServer};

async fn with(bend: impl FnOnce(&mut chinwag::config::Config)) -> TestServer {
    let server = TestServer::with(bend).await;
    let rights = ["read", "create"].map(|action| Permission::to(action, "messages"));
    server.allow_public(&rights).await;
    server
}

#[tokio::test]
async fn the_list_has_a_length_limit_and_refills_after_deletes() {
    let server = with(|config| config.topics.chat_length = 3).await;
    let admin = server.admin().await;
    let mut page = Page::chatting(&server).await;
    for number in 1..=5 {
        admin.say(&number.to_string()).await;
        page.texts().await;
    }

    admin.delete("/items/messages/4").await.nothing();
    assert_eq!(page.texts().await, ["2", "3", "5"]);
    admin.patch("/items/messages/1", &json!({"content": "out of sight"})).await.ok();
    page.settled().await;
    admin.delete_many("/items/messages", &json!([2, 3])).await.nothing();
    assert_eq!(page.texts().await, ["out of sight", "5"]);
    admin.patch("/items/messages/1", &json!({"content": "in sight"})).await.ok();
    assert_eq!(page.texts().await, ["in sight", "5"]);
    server.stop().await;
}

#[tokio::test]
async fn the_size_limit_of_the_list_keeps_the_newest_message() {
    let server = with(|config| config.topics.chat_bytes_max = 1024).await;
    let mut page = Page::chatting(&server).await;
    let (long, huge) = ("x".repeat(500), "y".repeat(5000));

    page.publish(&long).await;
    page.texts().await;
    page.publish("short").await;
    assert_eq!(page.texts().await.len(), 2);
    page.publish(&long).await;
    assert_eq!(page.texts().await, ["short".to_owned(), long]);
    page.publish(&huge).await;
    assert_eq!(page.texts().await, [huge]);
    server.stop().await;
}

#[tokio::test]
async fn rate_limited_messages_are_delayed() {
    let server = with(|config| config.topics.rate_max = 5).await;
    let mut page = Page::chatting(&server).await;
    let start = Instant::now();

    for number in 0..10 {
        page.publish(&number.to_string()).await;
    }
    let mut texts = Vec::new();
    while texts.len() < 10 {
        texts = page.texts().await;
    }

    // Three frames were sent before, so three of these exceed the burst of ten.
    assert!(start.elapsed().as_millis() >= 500, "{:?}", start.elapsed());
    assert_eq!(texts, (0..10).map(|number| number.to_string()).collect::<Vec<_>>());
    server.stop().await;
}

#[tokio::test]
async fn websocket_rate_limits_apply_to_topics() {
    let of_one: fn(&mut chinwag::config::Config) =
        |config| config.websockets.messages_per_second = 5;
    let of_all: fn(&mut chinwag::config::Config) =
        |config| config.websockets.user_messages_per_second = 5;
    for bend in [of_one, of_all] {
        let server = with(|config| {
            config.topics.rate_max = 1000;
            bend(config);
        })
        .await;
        let mut page = Page::chatting(&server).await;
        let start = Instant::now();

        for number in 0..10 {
            page.publish(&number.to_string()).await;
        }
        let mut texts = Vec::new();
        while texts.len() < 10 {
            texts = page.texts().await;
        }

        // At least five of the ten exceed the burst.
        assert!(start.elapsed().as_millis() >= 800, "{:?}", start.elapsed());
        server.stop().await;
    }
}

#[tokio::test]
async fn anonymous_connections_of_an_address_share_a_rate_limit() {
    let server = with(|config| {
        config.topics.rate_max = 1000;
        config.websockets.user_messages_per_second = 5;
    })
    .await;
    let mut one = Page::chatting(&server).await;
    let mut other = Socket::connect(&server).await;

    for number in 0..20 {
        one.publish(&number.to_string()).await;
    }
    let mut texts = Vec::new();
    while texts.len() < 10 {
        texts = one.texts().await;
    }
    // The other socket has sent nothing so far.
    let refused = other.ask(&json!({"type": "ping"})).await;

    assert_eq!(refused["error"]["code"], "REQUESTS_EXCEEDED", "{refused}");
    server.stop().await;
}

#[tokio::test]
async fn frames_and_texts_have_a_size_limit() {
    let server = with(|config| {
        config.websockets.frame_bytes_max = 4096;
        config.query.text_max = 100;
    })
    .await;
    let mut page = Page::chatting(&server).await;

    page.publish(&"x".repeat(101)).await;
    let refused = page.next().await;
    assert_eq!(refused["type"], "publish", "{refused}");
    assert_eq!(refused["status"], "error", "{refused}");
    page.publish(&"x".repeat(5000)).await;

    assert_eq!(page.closed().await, Some(1009));
    server.stop().await;
}

#[tokio::test]
async fn a_slow_reader_gets_the_latest_list_and_stays_connected() {
    let server = with(|config| config.websockets.outbox_bytes_max = 512 * 1024).await;
    let mut page = Page::chatting(&server).await;
    for _ in 0..4 {
        page.publish(&"x".repeat(60_000)).await;
        page.texts().await;
    }
    let mut slow = RawSocket::connect_to(&server, "/_ws").await;
    slow.send_json(&json!({"type": "subscribe", "topic": "chat"})).await;
    let topic = |payload: &[u8]| serde_json::from_slice::<Json>(payload).unwrap();
    while topic(&slow.frame().await.unwrap().1)["topic"] != "session" {}

    // The client reads nothing while the server sends six million bytes of lists, each list with
    // one new line.
    for number in 0..25 {
        page.publish(&number.to_string()).await;
        while page.texts().await.last().unwrap() != &number.to_string() {}
    }

    let last = loop {
        let (head, payload) = slow.frame().await.expect("the connection stays open");
        assert_eq!(head, 0x81);
        let frame = topic(&payload);
        if frame["topic"] == "chat" && frame["payload"].to_string().contains("\"text\":\"24\"") {
            break frame;
        }
    };
    assert!(last["payload"].as_array().unwrap().len() > 4);
    server.stop().await;
}

#[tokio::test]
async fn the_nesting_limit_of_frames_is_configurable() {
    let server = with(|config| config.server.json_depth_max = 8).await;
    let mut page = Page::chatting(&server).await;
    let publish = |text: &str, depth: usize| {
        let more = (2..depth).fold(json!([]), |inner, _| json!([inner]));
        json!({"type": "publish", "topic": "chat", "payload": {"text": text}, "more": more})
    };

    page.send(&publish("too deep", 9)).await;
    page.send(&publish("deep", 8)).await;

    let name = page.name.clone();
    assert_eq!(page.list().await, [line(&name, "deep")]);
    server.stop().await;
}

#[tokio::test]
async fn invalid_frames_are_ignored_and_binary_frames_are_accepted() {
    let server = open().await;
    let mut page = Page::chatting(&server).await;

    for nonsense in ["{\"type\":", "null", "[]", "42", "{}", "\u{0}", ""] {
        page.send_text(nonsense).await;
    }
    for _ in 0..30 {
        let topic = "some topic that nobody knows ".repeat(100);
        page.send(&json!({"type": "subscribe", "topic": topic})).await;
    }
    page.settled().await;
    let frame = json!({"type": "publish", "topic": "chat", "payload": {"text": "in binary"}});
    page.send_message(Message::binary(frame.to_string().into_bytes())).await;

    let name = page.name.clone();
    assert_eq!(page.list().await, [line(&name, "in binary")]);
    server.stop().await;
}

#[tokio::test]
async fn both_endpoints_share_the_connection_limit() {
    let server = with(|config| config.websockets.connections_max = Some(2)).await;
    let _page = Page::open(&server).await;
    let _socket = Socket::connect(&server).await;

    assert_eq!(Socket::open(request(&server, "")).await.err(), Some(403));
    server.stop().await;
}

#[tokio::test]
async fn the_endpoint_and_its_internal_topic_can_be_disabled() {
    let server = TestServer::with(|config| config.topics.enabled = false).await;
    assert_eq!(Socket::open(request(&server, "")).await.err(), Some(404));
    server.stop().await;

    let server = TestServer::with(|config| config.topics.internal = false).await;
    let mut socket = Socket::open(request(&server, "")).await.unwrap();
    socket.expect(&json!({"topic": "session", "payload": {"users": 1}})).await;
    assert_eq!(server.anonymous().get("/_ws").await.status, 404);
    server.stop().await;
}
