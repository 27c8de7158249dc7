//! Cursors: a client that reconnects gets the missed events in order, followed by live events.

use chinwag::config::Config;
use serde_json::Value as Json;
use serde_json::json;

use crate::support::{Permission, RawSocket, Socket, TestServer, User};

fn with_cursors(config: &mut Config) {
    config.websockets.cursors = true;
}

fn cursor(frame: &Json) -> String {
    let cursor = frame["cursor"].as_str().unwrap_or_else(|| panic!("no cursor in {frame}"));
    assert_eq!(cursor.len(), 22, "{frame}");
    cursor.to_owned()
}

/// Resumes from a cursor on a new connection, and returns the connection and its first frame.
async fn resumed(server: &TestServer, user: &User, since: &str, frame: Json) -> (Socket, Json) {
    let mut socket = Socket::signed_in(server, user).await;
    let mut frame = frame;
    frame["since"] = json!(since);
    let init = socket.subscribe("s", frame).await;
    (socket, init)
}

/// Returns a frame without its cursor.
fn without_cursor(mut frame: Json) -> Json {
    frame.as_object_mut().unwrap().remove("cursor");
    frame
}

#[tokio::test]
async fn every_frame_of_a_subscription_carries_a_cursor() {
    let server = TestServer::with(with_cursors).await;
    let alice = server.member("alice").await;
    let mut socket = Socket::signed_in(&server, &alice).await;

    let init = socket.subscribe("s", json!({"query": {"fields": ["content"]}})).await;
    let id = alice.say("one").await;
    let create = socket.next().await;
    alice.patch(&format!("/items/messages/{id}"), &json!({"content": "two"})).await.ok();
    let update = socket.next().await;
    alice.delete(&format!("/items/messages/{id}")).await.nothing();
    let delete = socket.next().await;

    let frames = [&init, &create, &update, &delete];
    let mut cursors: Vec<String> = frames.map(cursor).into();
    assert_eq!(create["data"], json!([{"content": "one"}]));
    cursors.dedup();
    assert_eq!(cursors.len(), 4);
    server.stop().await;
}

#[tokio::test]
async fn missed_events_are_replayed_in_order_before_live_events() {
    let server = TestServer::with(with_cursors).await;
    let alice = server.member("alice").await;
    let mut socket = Socket::signed_in(&server, &alice).await;
    let begin = cursor(&socket.subscribe("s", json!({})).await);
    drop(socket);
    let id = alice.say("first").await;
    alice.patch(&format!("/items/messages/{id}"), &json!({"content": "edited"})).await.ok();
    alice.delete(&format!("/items/messages/{id}")).await.nothing();
    alice.say("second").await;

    let query = json!({"query": {"fields": ["content", "user_created.first_name"]}});
    let (mut socket, init) = resumed(&server, &alice, &begin, query).await;

    // A snapshot is not needed: the client still has its items.
    let recovered = json!({"type": "subscription", "event": "init", "uid": "s", "cursor": begin,
        "recovered": true});
    assert_eq!(init, recovered);
    let told = |event: &str, data: Json| {
        json!({"type": "subscription", "event": event, "data": data, "uid": "s",
            "replayed": true})
    };
    let message =
        |content: &str| json!([{"content": content, "user_created": {"first_name": "alice"}}]);
    for expected in [
        told("create", message("first")),
        told("update", message("edited")),
        told("delete", json!([id.to_string()])),
        told("create", message("second")),
    ] {
        assert_eq!(without_cursor(socket.next().await), expected);
    }
    alice.say("third").await;
    let live = socket.expect_event("create", "third").await;
    assert!(live.get("replayed").is_none(), "{live}");
    socket.quiet().await;
    server.stop().await;
}

#[tokio::test]
async fn resuming_from_an_event_cursor_replays_only_matching_events() {
    let server = TestServer::with(with_cursors).await;
    let alice = server.member("alice").await;
    let mut socket = Socket::signed_in(&server, &alice).await;
    socket.subscribe("s", json!({"event": "create"})).await;
    let id = alice.say("one").await;
    let one = cursor(&socket.next().await);
    drop(socket);
    alice.patch(&format!("/items/messages/{id}"), &json!({"content": "edited"})).await.ok();
    alice.say("two").await;

    let event = json!({"event": "create"});
    let (mut socket, init) = resumed(&server, &alice, &one, event.clone()).await;

    assert_eq!(init["recovered"], true);
    let two = socket.expect_event("create", "two").await;
    assert_eq!(two["replayed"], true);
    socket.quiet().await;
    // No event was missed since.
    let (mut socket, init) = resumed(&server, &alice, &cursor(&two), event).await;
    assert_eq!(init["recovered"], true);
    socket.quiet().await;
    server.stop().await;
}

#[tokio::test]
async fn a_replay_applies_current_permissions_and_filters() {
    let server = TestServer::with(with_cursors).await;
    let alice = server.member("alice").await;
    let rule = json!({"content": {"_ncontains": "secret"}});
    let permissions = [Permission::to("read", "messages").on(rule).fields(&["id", "content"])];
    let reader = server.user_with("reader", &permissions).await;
    let mut socket = Socket::signed_in(&server, &alice).await;
    let begin = cursor(&socket.subscribe("s", json!({"event": "create"})).await);
    for content in ["a", "a secret", "b", "c"] {
        alice.say(content).await;
    }

    let query = json!({"query": {"filter": {"content": {"_neq": "b"}}}});
    // Another account may use the cursor, and gets the events that it may read.
    let (mut socket, _) = resumed(&server, &reader, &begin, query).await;

    let a = socket.next().await;
    assert_eq!(a["data"], json!([{"id": 1, "content": "a"}]));
    socket.expect_event("create", "c").await;
    socket.quiet().await;
    server.stop().await;
}

#[tokio::test]
async fn an_invalid_cursor_starts_an_unrecovered_subscription() {
    let server = TestServer::with(with_cursors).await;
    let other = TestServer::with(with_cursors).await;
    let alice = server.member("alice").await;
    let stranger = other.member("alice").await;
    let mut socket = Socket::signed_in(&server, &alice).await;
    let own = cursor(&socket.subscribe("s", json!({})).await);
    let mut elsewhere = Socket::signed_in(&other, &stranger).await;
    elsewhere.subscribe("s", json!({})).await;
    for number in 0..9 {
        stranger.say(&number.to_string()).await;
        elsewhere.next().await;
    }
    let foreign = cursor(&elsewhere.subscribe("t", json!({})).await);
    alice.say("here").await;
    let mut bent = own.into_bytes();
    bent[20] = if bent[20] == b'A' { b'B' } else { b'A' };
    let bent = String::from_utf8(bent).unwrap();

    for since in ["", "nonsense", "7", &foreign, &bent, &"A".repeat(22), &"x".repeat(5000)] {
        let (mut socket, init) =
            resumed(&server, &alice, since, json!({"query": {"fields": ["content"]}})).await;
        assert_eq!(
            without_cursor(init),
            json!({"type": "subscription", "event": "init", "data": [{"content": "here"}],
                "uid": "s", "recovered": false})
        );
        socket.quiet().await;
        let (_, init) = resumed(&server, &alice, since, json!({"event": "create"})).await;
        assert_eq!(
            without_cursor(init),
            json!({"type": "subscription", "event": "init", "uid": "s", "recovered": false})
        );
    }
    let no_text = json!({"type": "subscribe", "collection": "messages", "since": 7});
    assert_eq!(socket.ask(&no_text).await["type"], "subscription", "the live event comes first");
    assert_eq!(socket.next().await["error"]["code"], "INVALID_PAYLOAD");
    server.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn log_truncation_invalidates_only_older_cursors() {
    let server = TestServer::with(|config| {
        with_cursors(config);
        config.store.log_events_max = 5;
    })
    .await;
    let alice = server.member("alice").await;
    let mut socket = Socket::signed_in(&server, &alice).await;
    let old = cursor(&socket.subscribe("s", json!({"event": "create"})).await);
    let mut young = String::new();
    for number in 0..8 {
        alice.say(&number.to_string()).await;
        let frame = socket.next().await;
        if number == 4 {
            young = cursor(&frame);
        }
    }
    // The log is truncated at startup, among other times.
    let server = server.restart().await;
    let alice = server.signed_in_again(&alice);
    let missed = |cursor: String| {
        let (server, alice) = (&server, &alice);
        async move { resumed(server, alice, &cursor, json!({"event": "create"})).await }
    };

    for _ in 0..500 {
        // Each request takes long enough for the other tasks to progress.
        let (_, init) = missed(old.clone()).await;
        if init["recovered"] == false {
            break;
        }
    }
    let (_, init) = missed(old).await;
    assert_eq!(init["recovered"], false);
    let (mut socket, init) = missed(young).await;
    assert_eq!(init["recovered"], true);
    for number in 5..8 {
        socket.expect_event("create", &number.to_string()).await;
    }
    socket.quiet().await;
    server.stop().await;
}

#[tokio::test]
async fn cursors_survive_a_restart() {
    let server = TestServer::with(with_cursors).await;
    let alice = server.member("alice").await;
    let mut socket = Socket::signed_in(&server, &alice).await;
    let begin = cursor(&socket.subscribe("s", json!({"event": "create"})).await);
    alice.say("before").await;
    drop(socket);

    let server = server.restart().await;
    let alice = server.signed_in_again(&alice);
    alice.say("after").await;
    let (mut socket, init) = resumed(&server, &alice, &begin, json!({"event": "create"})).await;

    assert_eq!(init["recovered"], true);
    for content in ["before", "after"] {
        assert_eq!(socket.expect_event("create", content).await["replayed"], true);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn switching_from_replay_to_live_loses_and_repeats_no_event() {
    let server = TestServer::with(with_cursors).await;
    let alice = server.member("alice").await;
    let mut socket = Socket::signed_in(&server, &alice).await;
    let begin = cursor(&socket.subscribe("s", json!({"event": "create"})).await);
    drop(socket);
    let list: Vec<Json> = (0..1000).map(|number| json!({"content": number.to_string()})).collect();
    alice.post("/items/messages", &json!(list)).await.ok();

    let writing = async {
        for number in 1000..1300 {
            alice.say(&number.to_string()).await;
        }
    };
    let reading = async {
        let event = json!({"event": "create"});
        let (mut socket, init) = resumed(&server, &alice, &begin, event).await;
        assert_eq!(init["recovered"], true);
        let mut replayed = 0;
        for number in 0..1300 {
            let frame = socket.expect_event("create", &number.to_string()).await;
            replayed += usize::from(frame["replayed"] == true);
        }
        assert!(replayed >= 1000, "{replayed}");
        socket.quiet().await;
    };
    tokio::join!(writing, reading);
    server.stop().await;
}

#[tokio::test]
async fn a_replay_may_exceed_the_send_queue_limit() {
    let server = TestServer::with(|config| {
        with_cursors(config);
        config.websockets.outbox_bytes_max = 16 * 1024;
    })
    .await;
    let alice = server.member("alice").await;
    let mut socket = Socket::signed_in(&server, &alice).await;
    let begin = cursor(&socket.subscribe("s", json!({"event": "create"})).await);
    drop(socket);
    let text = "x".repeat(4000);
    let list: Vec<Json> = (0..500).map(|n| json!({"content": format!("{n} {text}")})).collect();
    // The witness receives all events live, so that later subscribers can get them by replay only.
    let mut witness = Socket::signed_in(&server, &alice).await;
    witness.subscribe("w", json!({"event": "create", "query": {"fields": "id"}})).await;
    for part in list.chunks(50) {
        alice.post("/items/messages", &json!(part)).await.ok();
        for _ in part {
            witness.next().await;
        }
    }

    let (mut socket, _) = resumed(&server, &alice, &begin, json!({"event": "create"})).await;

    for (number, item) in list.iter().enumerate() {
        let frame = socket.next().await;
        assert_eq!(frame["data"][0]["content"], item["content"], "{number}");
    }
    socket.quiet().await;
    server.stop().await;
}

#[tokio::test]
async fn concurrent_replays_stay_within_the_send_queue_limit() {
    const SUBSCRIPTIONS: usize = 40;
    const MESSAGES: usize = 5;
    let server = TestServer::with(|config| {
        with_cursors(config);
        config.websockets.outbox_bytes_max = 16 * 1024;
    })
    .await;
    let alice = server.member("alice").await;
    let mut socket = Socket::signed_in(&server, &alice).await;
    let begin = cursor(&socket.subscribe("s", json!({"event": "create"})).await);
    drop(socket);
    let list = vec![json!({"content": "x".repeat(1000)}); MESSAGES];
    alice.post("/items/messages", &json!(list)).await.ok();

    // The client sends all requests at once, and reads nothing until the server is idle.
    let mut socket = RawSocket::connect(&server).await;
    socket.send_json(&json!({"type": "auth", "access_token": alice.token})).await;
    for uid in 0..SUBSCRIPTIONS {
        let subscribe = json!({"type": "subscribe", "collection": "messages", "event": "create",
            "uid": uid, "since": begin});
        socket.send_json(&subscribe).await;
    }
    alice.say("the end").await;
    let mut ended = 0;
    let mut told = 0;
    while ended < SUBSCRIPTIONS {
        let (head, payload) = socket.frame().await.expect("the connection stays open");
        if head == 0x81 {
            let frame: Json = serde_json::from_slice(&payload).unwrap();
            told += usize::from(frame["event"] == "create");
            ended += usize::from(frame["data"][0]["content"] == "the end");
        } else {
            assert_ne!(head, 0x88, "closed with {:?}", String::from_utf8_lossy(&payload));
        }
    }

    assert_eq!(told, SUBSCRIPTIONS * (MESSAGES + 1));
    server.stop().await;
}

#[tokio::test]
async fn a_replay_stops_when_its_subscription_ends() {
    let server = TestServer::with(with_cursors).await;
    let alice = server.member("alice").await;
    let mut socket = Socket::signed_in(&server, &alice).await;
    let begin = cursor(&socket.subscribe("s", json!({"event": "create"})).await);
    let text = "x".repeat(10_000);
    let list: Vec<Json> = (0..400).map(|_| json!({"content": text})).collect();
    for part in list.chunks(50) {
        alice.post("/items/messages", &json!(part)).await.ok();
    }
    drop(socket);

    // One that never reads, one that is replaced, and one that is ended.
    let (silent, _) = resumed(&server, &alice, &begin, json!({"event": "create"})).await;
    let (mut replaced, _) = resumed(&server, &alice, &begin, json!({"event": "create"})).await;
    replaced
        .send(&json!({"type": "subscribe", "collection": "messages", "event": "delete",
        "uid": "s"}))
        .await;
    while replaced.next().await["event"] != "init" {}
    replaced.quiet().await;
    let (mut ended, _) = resumed(&server, &alice, &begin, json!({"event": "create"})).await;
    ended.send(&json!({"type": "unsubscribe", "uid": "s"})).await;
    while ended.next().await["event"] != "unsubscribe" {}
    ended.quiet().await;

    drop(silent);
    server.stop().await;
}

#[tokio::test]
async fn directus_mode_sends_cursors_only_on_request() {
    let settings = |texts: &[(&str, &str)]| {
        Config::from_texts(texts.iter().copied()).unwrap().websockets.cursors
    };
    let mode = ("WEBSOCKETS_REST_AUTH", "handshake");
    assert!(settings(&[]));
    assert!(!settings(&[mode]));
    assert!(settings(&[mode, ("WEBSOCKETS_CURSORS", "true")]));

    let server = TestServer::with(|config| config.websockets.cursors = false).await;
    let alice = server.member("alice").await;
    let mut socket = Socket::signed_in(&server, &alice).await;
    let plain = socket.subscribe("plain", json!({"event": "create"})).await;
    assert_eq!(plain, json!({"type": "subscription", "event": "init", "uid": "plain"}));
    let asked = socket.subscribe("asked", json!({"event": "create", "since": ""})).await;
    cursor(&asked);
    server.stop().await;
}
