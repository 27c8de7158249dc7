//! Updates and deletes of many items: several bounded events, each with its own cursor, and no
//! subscription ends because of them.

use serde_json::Value as Json;
use serde_json::json;

use crate::support::{RawSocket, Socket, TestServer, User};

/// The maximum number of items of an event.
const ITEMS_MAX: usize = 100;
/// The maximum text of the items of an event, before and after the change, in bytes.
const TEXT_MAX: usize = 256 << 10;

async fn server() -> TestServer {
    TestServer::with(|config| config.websockets.cursors = true).await
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

/// Receives the frames of one change of `count` items.
async fn receive(socket: &mut Socket, action: &str, count: usize) -> Vec<Json> {
    let (mut frames, mut items) = (Vec::new(), 0);
    while items < count {
        let frame = socket.next().await;
        if frame["type"] == "ping" {
            socket.send(&json!({"type": "pong"})).await;
            continue;
        }
        assert_eq!(frame["event"], action, "{frame}");
        items += frame["data"].as_array().unwrap().len();
        frames.push(frame);
    }
    assert_eq!(items, count);
    frames
}

fn ids(frames: &[Json]) -> Vec<i64> {
    let items = frames.iter().flat_map(|frame| frame["data"].as_array().unwrap());
    items.map(|item| item["id"].as_i64().unwrap()).collect()
}

fn lengths(frames: &[Json]) -> Vec<usize> {
    frames.iter().map(|frame| frame["data"].as_array().unwrap().len()).collect()
}

fn cursor(frame: &Json) -> &str {
    frame["cursor"].as_str().unwrap_or_else(|| panic!("no cursor in {frame}"))
}

fn subscription() -> Json {
    json!({"event": "update", "query": {"fields": ["id", "content"]}})
}

#[tokio::test]
async fn bulk_changes_arrive_complete_in_events_of_limited_size() {
    let server = server().await;
    let alice = server.member("alice").await;
    let mut updates = Socket::signed_in(&server, &alice).await;
    let mut deletes = Socket::signed_in(&server, &alice).await;
    updates.subscribe("s", subscription()).await;
    deletes.subscribe("s", json!({"event": "delete"})).await;
    let keys = say_many(&alice, 2 * ITEMS_MAX + 1).await;

    for count in [1, ITEMS_MAX, ITEMS_MAX + 1, 2 * ITEMS_MAX + 1] {
        update_all(&alice, &keys[..count], "still short").await;
        let frames = receive(&mut updates, "update", count).await;
        assert_eq!(ids(&frames), keys[..count]);
        assert_eq!(frames.len(), count.div_ceil(ITEMS_MAX), "{count}");
    }
    let (few, long) = (&keys[..10], "x".repeat(TEXT_MAX / 4 - "still short".len()));
    update_all(&alice, few, &long).await;
    let frames = receive(&mut updates, "update", few.len()).await;
    assert_eq!((ids(&frames), lengths(&frames)), (few.to_vec(), vec![4, 4, 2]));
    assert!(frames.iter().all(|frame| frame.get("replayed").is_none()));

    alice.delete_many("/items/messages", &json!(keys)).await.nothing();
    let frames = receive(&mut deletes, "delete", keys.len()).await;
    // The ten long messages need several events of their own.
    assert!(lengths(&frames).iter().all(|length| *length <= ITEMS_MAX));
    let gone = frames.iter().flat_map(|frame| frame["data"].as_array().unwrap());
    assert!(gone.map(|key| key.as_i64().unwrap()).eq(keys));
    updates.quiet().await;
    server.stop().await;
}

#[tokio::test]
async fn each_event_of_a_bulk_change_has_its_own_cursor() {
    let server = server().await;
    let alice = server.member("alice").await;
    let mut socket = Socket::signed_in(&server, &alice).await;
    socket.subscribe("s", subscription()).await;
    let keys = say_many(&alice, 2 * ITEMS_MAX + 1).await;
    update_all(&alice, &keys[..1], "before").await;
    let before = socket.expect_event("update", "before").await;
    update_all(&alice, &keys, "bulk").await;
    let frames = receive(&mut socket, "update", keys.len()).await;
    update_all(&alice, &keys[..1], "after").await;
    socket.expect_event("update", "after").await;

    let mut received = 0;
    for frame in [&before].into_iter().chain(&frames) {
        if frame != &before {
            received += frame["data"].as_array().unwrap().len();
        }
        let mut again = Socket::signed_in(&server, &alice).await;
        let mut since = subscription();
        since["since"] = json!(cursor(frame));
        assert_eq!(again.subscribe("s", since).await["recovered"], true);
        let rest = receive(&mut again, "update", keys.len() - received).await;
        assert_eq!(ids(&rest), keys[received..]);
        assert!(rest.iter().all(|frame| frame["replayed"] == true));
        again.expect_event("update", "after").await;
        again.quiet().await;
    }
    assert_eq!(received, keys.len());
    server.stop().await;
}

#[tokio::test]
async fn a_recovered_client_receives_a_bulk_change_once() {
    let server = server().await;
    let alice = server.member("alice").await;
    let keys = say_many(&alice, 2 * ITEMS_MAX + 1).await;
    let mut subscribe = subscription();
    subscribe["recover"] = json!("a page that nobody else has the name of");
    let mut socket = Socket::signed_in(&server, &alice).await;
    socket.subscribe("s", subscribe.clone()).await;
    drop(socket);
    update_all(&alice, &keys, "bulk").await;
    update_all(&alice, &keys[..1], "after").await;

    let mut socket = Socket::signed_in(&server, &alice).await;
    assert_eq!(socket.subscribe("s", subscribe).await["recovered"], true);

    let frames = receive(&mut socket, "update", keys.len() + 1).await;
    assert_eq!(ids(&frames), [&keys[..], &keys[..1]].concat());
    server.stop().await;
}

#[tokio::test]
async fn items_beyond_the_frame_limit_are_sent_as_keys() {
    const LENGTH: usize = 4096;
    let server = TestServer::with(|config| {
        config.websockets.cursors = true;
        config.websockets.answer_bytes_max = LENGTH;
    })
    .await;
    let alice = server.member("alice").await;
    let mut socket = Socket::signed_in(&server, &alice).await;
    let begin = socket.subscribe("s", json!({"query": {"fields": ["content"], "limit": 1}})).await;
    let mut of_one = Socket::signed_in(&server, &alice).await;
    let keys = say_many(&alice, 3).await;
    for _ in &keys {
        socket.expect_event("create", "short").await;
    }
    of_one.subscribe("one", json!({"item": keys[1], "query": {"fields": ["content"]}})).await;

    // Alone longer than a frame.
    let long = "x".repeat(LENGTH);
    let id = alice.say(&long).await;
    assert_eq!(socket.next().await["data"], json!([{"id": id}]));
    let each = json!([{"id": keys[0], "content": "a"}, {"id": keys[1], "content": long}]);
    alice.patch("/items/messages?fields=id", &each).await.ok();
    socket.expect_event("update", "a").await;
    assert_eq!(socket.next().await["data"], json!([{"id": keys[1]}]));
    assert_eq!(of_one.next().await["data"], json!({"id": keys[1]}));

    // Two of three fill a frame to the last byte.
    let around = json!({"content": ""}).to_string().len();
    let fills = "x".repeat((LENGTH - "[,]".len()) / 2 - around);
    for (content, whole) in [(fills.clone(), 2), (format!("{fills}x"), 1)] {
        update_all(&alice, &keys, &content).await;
        let items: Vec<Json> = keys.iter().map(|key| json!({"id": key})).collect();
        let frame = socket.next().await;
        assert_eq!(frame["data"].as_array().unwrap().len(), keys.len());
        for (place, item) in frame["data"].as_array().unwrap().iter().enumerate() {
            let expected =
                if place < whole { json!({"content": content}) } else { items[place].clone() };
            assert_eq!(*item, expected, "{place} of {whole}");
        }
        assert_eq!(of_one.next().await["data"], json!({"content": content}));
    }
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
async fn no_client_is_disconnected_by_the_bulk_change_of_another() {
    const MESSAGES: usize = 90;
    let server = TestServer::with(|config| config.store.mutation_bytes_max = 32 << 20).await;
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

    // 16 MB in three bulk changes, more than the outbox and the buffers of a socket take.
    let contents = ["x", "y", "z"].map(|letter| letter.repeat(60_000));
    for content in &contents {
        update_all(&alice, &keys, content).await;
    }
    update_all(&alice, &keys[..1], "on").await;

    for socket in &mut sockets {
        for content in &contents {
            let frames = receive(socket, "update", MESSAGES).await;
            assert_eq!(ids(&frames), keys);
            assert!(frames.iter().all(|frame| frame["data"][0]["content"] == json!(content)));
        }
        socket.expect_event("update", "on").await;
        socket.quiet().await;
    }
    let mut received = Vec::new();
    while received.len() < contents.len() * MESSAGES + 1 {
        match slow.frame().await {
            Some((0x81, payload)) => {
                received.extend(ids(&[serde_json::from_slice(&payload).unwrap()]));
            }
            Some((0x89, _)) => {}
            other => panic!("after {} items: {other:?}", received.len()),
        }
    }
    let expected = [&keys[..], &keys[..], &keys[..], &keys[..1]].concat();
    assert_eq!(received, expected);
    server.stop().await;
}
