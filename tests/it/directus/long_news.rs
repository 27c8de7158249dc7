//! Events that are too long for one frame: they are sent in chunks, and no subscription ends.

use serde_json::Value as Json;
use serde_json::json;

use crate::support::RawSocket;
use crate::support::Socket;
use crate::support::TestServer;
use crate::support::User;

/// The largest frame of these tests, without the envelope around its items.
const LENGTH: usize = 4096;

async fn server() -> TestServer {
    TestServer::with(|config| {
        config.websockets.cursors = true;
        config.websockets.answer_bytes_max = LENGTH;
    })
    .await
}

/// Creates `count` messages in one request, and returns their keys.
async fn say_many(user: &User, count: usize) -> Vec<i64> {
    let messages = vec![json!({"content": "short"}); count];
    let made = user.post("/items/messages?fields=id", &json!(messages)).await.ok();
    made.as_array().unwrap().iter().map(|message| message["id"].as_i64().unwrap()).collect()
}

async fn update_all(user: &User, keys: &[i64], content: &str) {
    let update = json!({"keys": keys, "data": {"content": content}});
    user.patch("/items/messages?fields=id", &update).await.ok();
}

/// Returns the frames of one update of `count` items, each within the length limit.
async fn parts(socket: &mut Socket, count: usize) -> Vec<Json> {
    let (mut frames, mut told) = (Vec::new(), 0);
    while told < count {
        let frame = socket.next().await;
        assert_eq!(frame["event"], "update", "{frame}");
        let items = frame["data"].as_array().unwrap();
        assert!(!items.is_empty() && frame["data"].to_string().len() <= LENGTH);
        told += items.len();
        frames.push(frame);
    }
    assert_eq!(told, count);
    frames
}

fn ids(frames: &[Json]) -> Vec<i64> {
    let items = frames.iter().flat_map(|frame| frame["data"].as_array().unwrap());
    items.map(|item| item["id"].as_i64().unwrap()).collect()
}

fn cursor(frame: &Json) -> &str {
    frame["cursor"].as_str().unwrap_or_else(|| panic!("no cursor in {frame}"))
}

fn subscription() -> Json {
    json!({"event": "update", "query": {"fields": ["id", "content"]}})
}

#[tokio::test]
async fn an_update_of_any_number_of_items_is_told_whole() {
    let server = server().await;
    let alice = server.member("alice").await;
    let mut socket = Socket::signed_in(&server, &alice).await;
    let mut sees_all = Socket::signed_in(&server, &alice).await;
    socket.subscribe("s", subscription()).await;
    let keys = say_many(&alice, 24).await;
    // With this length eight items fill a frame to its last byte, and nine are one too many.
    let around = json!({"id": 1, "content": ""}).to_string().len() + 1;
    let content = "x".repeat((LENGTH - 1) / 8 - around);
    let longest = 8 * (content.len() + around) + 1;
    assert!((LENGTH - 8..=LENGTH).contains(&longest), "{longest}");
    sees_all.subscribe("all", json!({"query": {"fields": ["id"], "limit": 1}})).await;

    for count in [1, 7, 8, 9] {
        update_all(&alice, &keys[..count], &content).await;
        let frames = parts(&mut socket, count).await;
        assert_eq!(ids(&frames), keys[..count]);
        assert_eq!(frames.len(), count.div_ceil(8), "{count}");
        // The subscription to `id` alone, for which the event is short, receives it at once.
        assert_eq!(ids(&parts(&mut sees_all, count).await), keys[..count]);
        update_all(&alice, &keys[..count], "short again").await;
        parts(&mut socket, count).await;
        parts(&mut sees_all, count).await;
    }
    update_all(&alice, &keys, &"x".repeat(1500)).await;
    let frames = parts(&mut socket, keys.len()).await;
    assert_eq!((ids(&frames), frames.len()), (keys, 12));
    assert!(frames.iter().all(|frame| frame.get("replayed").is_none()));
    alice.patch("/items/messages/1", &json!({"content": "and on"})).await.ok();
    socket.expect_event("update", "and on").await;
    socket.quiet().await;
    server.stop().await;
}

#[tokio::test]
async fn a_cursor_in_the_midst_of_it_leads_back_to_its_beginning() {
    let server = server().await;
    let alice = server.member("alice").await;
    let mut socket = Socket::signed_in(&server, &alice).await;
    socket.subscribe("s", subscription()).await;
    let keys = say_many(&alice, 10).await;
    let begin = keys[..1].to_vec();
    update_all(&alice, &begin, "before").await;
    let before = socket.expect_event("update", "before").await;

    update_all(&alice, &keys, &"x".repeat(1000)).await;
    let frames = parts(&mut socket, keys.len()).await;
    let (last, others) = frames.split_last().unwrap();
    assert_eq!((ids(&frames), others.len()), (keys.clone(), 2));
    update_all(&alice, &begin, "after").await;
    socket.expect_event("update", "after").await;

    for frame in others.iter().chain([&before]) {
        assert_ne!(cursor(frame), cursor(last));
        let mut again = Socket::signed_in(&server, &alice).await;
        let mut since = subscription();
        since["since"] = json!(cursor(frame));
        assert_eq!(again.subscribe("s", since).await["recovered"], true);
        let told = parts(&mut again, keys.len()).await;
        assert_eq!((ids(&told), told.len()), (keys.clone(), frames.len()));
        assert!(told.iter().all(|frame| frame["replayed"] == true));
        assert_eq!(cursor(told.last().unwrap()), cursor(last));
        again.expect_event("update", "after").await;
        again.quiet().await;
    }
    let mut again = Socket::signed_in(&server, &alice).await;
    let mut since = subscription();
    since["since"] = json!(cursor(last));
    again.subscribe("s", since).await;
    again.expect_event("update", "after").await;
    again.quiet().await;
    server.stop().await;
}

#[tokio::test]
async fn whoever_is_recovered_is_told_all_of_it() {
    let server = server().await;
    let alice = server.member("alice").await;
    let keys = say_many(&alice, 10).await;
    let mut subscribe = subscription();
    subscribe["recover"] = json!("a page that nobody else has the name of");
    let mut socket = Socket::signed_in(&server, &alice).await;
    socket.subscribe("s", subscribe.clone()).await;
    drop(socket);
    update_all(&alice, &keys, &"x".repeat(1000)).await;
    update_all(&alice, &keys[..1], "after").await;

    let mut socket = Socket::signed_in(&server, &alice).await;
    assert_eq!(socket.subscribe("s", subscribe).await["recovered"], true);

    let mut told = Vec::new();
    while told.len() < keys.len() + 1 {
        let frame = socket.next().await;
        if frame["type"] == "ping" {
            socket.send(&json!({"type": "pong"})).await;
        } else {
            assert_eq!((&frame["event"], &frame["replayed"]), (&json!("update"), &json!(true)));
            told.extend(ids(&[frame]));
        }
    }
    assert_eq!(told, [&keys[..], &keys[..1]].concat());
    server.stop().await;
}

#[tokio::test]
async fn the_keys_of_very_many_that_are_gone_come_in_parts() {
    let server = TestServer::with(|config| config.websockets.answer_bytes_max = 64).await;
    let alice = server.member("alice").await;
    let mut socket = Socket::signed_in(&server, &alice).await;
    socket.subscribe("s", json!({"event": "delete"})).await;
    let keys = say_many(&alice, 100).await;

    alice.delete_many("/items/messages", &json!(keys)).await.nothing();

    let mut told = Vec::new();
    let mut frames = 0;
    while told.len() < keys.len() {
        let frame = socket.next().await;
        assert_eq!(frame["event"], "delete");
        assert!(frame["data"].to_string().len() <= 64, "{frame}");
        told.extend(frame["data"].as_array().unwrap().iter().map(|key| key.as_i64().unwrap()));
        frames += 1;
    }
    assert_eq!(told, keys);
    assert!(frames > 4, "{frames}");
    server.stop().await;
}

#[tokio::test]
async fn an_item_that_alone_is_too_long_is_told_by_its_key() {
    let server = server().await;
    let alice = server.member("alice").await;
    let mut socket = Socket::signed_in(&server, &alice).await;
    let begin = socket.subscribe("s", json!({"query": {"fields": ["content"], "limit": 1}})).await;
    let mut of_one = Socket::signed_in(&server, &alice).await;
    let keys = say_many(&alice, 3).await;
    for _ in &keys {
        socket.expect_event("create", "short").await;
    }
    of_one.subscribe("one", json!({"item": keys[1], "query": {"fields": ["content"]}})).await;

    let long = "x".repeat(LENGTH);
    let id = alice.say(&long).await;
    assert_eq!(socket.next().await["data"], json!([{"id": id}]));
    let each = json!([{"id": keys[0], "content": "a"}, {"id": keys[1], "content": long}]);
    alice.patch("/items/messages?fields=id", &each).await.ok();
    socket.expect_event("update", "a").await;
    assert_eq!(socket.next().await["data"], json!([{"id": keys[1]}]));
    assert_eq!(of_one.next().await["data"], json!({"id": keys[1]}));

    update_all(&alice, &keys, &long).await;
    let all: Vec<Json> = keys.iter().map(|key| json!({"id": key})).collect();
    assert_eq!(socket.next().await["data"], json!(all));
    assert_eq!(of_one.next().await["data"], json!({"id": keys[1]}));
    alice.say("short").await;
    socket.expect_event("create", "short").await;
    // A replay delivers the same frames.
    let mut again = Socket::signed_in(&server, &alice).await;
    let since =
        json!({"event": "create", "since": cursor(&begin), "query": {"fields": ["content"]}});
    assert_eq!(again.subscribe("s", since).await["recovered"], true);
    for _ in &keys {
        again.expect_event("create", "short").await;
    }
    assert_eq!(again.next().await["data"], json!([{"id": id}]));
    again.expect_event("create", "short").await;
    server.stop().await;
}

#[tokio::test]
async fn with_the_usual_bounds_nobody_is_cut_off_by_the_news_of_one() {
    const MESSAGES: usize = 90;
    let server = TestServer::start().await;
    let (alice, bob) = (server.member("alice").await, server.member("bob").await);
    let keys = say_many(&alice, MESSAGES).await;
    let mut sockets = Vec::new();
    for meta in [json!(null), json!("*"), json!(null)] {
        let mut socket = Socket::signed_in(&server, &bob).await;
        let query = json!({"fields": ["id", "content"], "meta": meta});
        socket.subscribe("s", json!({"event": "update", "query": query})).await;
        sockets.push(socket);
    }

    // The client reads nothing before all others have read everything.
    let mut slow = RawSocket::connect(&server).await;
    slow.send_json(&json!({"type": "auth", "access_token": bob.token})).await;
    slow.send_json(&json!({"type": "subscribe", "collection": "messages", "event": "update",
        "uid": "s", "query": {"fields": ["id", "content"]}}))
        .await;
    for _ in 0..2 {
        assert_eq!(slow.frame().await.unwrap().0, 0x81);
    }

    let content = "x".repeat(60_000);
    update_all(&alice, &keys, &content).await;
    update_all(&alice, &keys[..1], "on").await;

    for socket in &mut sockets {
        let mut told = Vec::new();
        while told.len() < MESSAGES {
            let frame = socket.next().await;
            assert_eq!(frame["event"], "update", "{}", frame["error"]);
            assert_eq!(frame["data"][0]["content"], json!(content));
            told.extend(ids(&[frame]));
        }
        assert_eq!(told, keys);
        socket.expect_event("update", "on").await;
        socket.quiet().await;
    }
    let mut told = Vec::new();
    while told.len() < MESSAGES + 1 {
        match slow.frame().await {
            Some((0x81, payload)) => told.extend(ids(&[serde_json::from_slice(&payload).unwrap()])),
            Some((0x89, _)) => {}
            other => panic!("after {} items: {other:?}", told.len()),
        }
    }
    assert_eq!(told, [&keys[..], &keys[..1]].concat());
    server.stop().await;
}
