//! Limits of one connection: subscriptions, unsent bytes, frame size and messages per second. Also
//! the rate of new connections.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::support::error;
use crate::support::masked;
use crate::support::{RawSocket, Socket, TestServer, User};

#[tokio::test]
async fn a_connection_has_a_bounded_number_of_subscriptions() {
    let server = TestServer::with(|config| config.websockets.subscriptions_max = 3).await;
    let alice = server.member("alice").await;
    let mut socket = Socket::signed_in(&server, &alice).await;

    for uid in ["a", "b", "c", "c"] {
        assert_eq!(socket.subscribe(uid, json!({"event": "create"})).await["event"], "init");
    }
    let refused = socket.subscribe("d", json!({"event": "create"})).await;
    assert_eq!((error(&refused).1, &refused["uid"]), ("LIMIT_EXCEEDED", &json!("d")));
    socket.ask(&json!({"type": "unsubscribe", "uid": "a"})).await;

    assert_eq!(socket.subscribe("d", json!({"event": "create"})).await["event"], "init");
    server.stop().await;
}

#[tokio::test]
async fn pipelined_creates_stay_within_the_write_quota() {
    let server = TestServer::with(|config| {
        config.websockets.frame_bytes_max = 64 << 10;
        // The quota of one account is a quarter of it: too small for 32 of these creates, but
        // larger than those in flight at a time.
        config.store.write_queue_bytes_max = 1 << 20;
    })
    .await;
    let alice = server.member("alice").await;
    let mut socket = Socket::signed_in(&server, &alice).await;
    let large = json!({"content": "x".repeat(40_000)});
    // About as large once parsed.
    let many = serde_json::Value::from(vec![json!({"content": "x"}); 80]);

    for data in [large, many] {
        for uid in 0..64 {
            let frame = json!({"type": "items", "action": "create", "collection": "messages",
                "data": data, "query": {"fields": ["id"]}, "uid": uid});
            socket.send(&frame).await;
        }
        for uid in 0..64 {
            let answer = socket.next().await;
            assert_eq!((&answer["uid"], &answer["error"]), (&json!(uid), &json!(null)), "{answer}");
        }
    }
    server.stop().await;
}

/// Returns a subscription with a filter of `parts` conditions that matches every item.
fn filtered(parts: usize) -> serde_json::Value {
    let part = |number| json!({"content": {"_ncontains": format!("never said {number}")}});
    let filter = json!({"_and": (0..parts).map(part).collect::<Vec<_>>()});
    json!({"event": "create", "query": {"fields": ["content"], "filter": filter}})
}

#[tokio::test]
async fn the_queries_of_a_connection_share_a_size_limit() {
    let server = TestServer::with(|config| config.websockets.queries_bytes_max = 16 * 1024).await;
    let alice = server.member("alice").await;
    let mut socket = Socket::signed_in(&server, &alice).await;

    // Each takes some 5 KiB.
    for uid in ["a", "b", "c", "c"] {
        assert_eq!(socket.subscribe(uid, filtered(100)).await["event"], "init", "{uid}");
    }
    let refused = socket.subscribe("d", filtered(100)).await;
    assert_eq!((error(&refused).1, &refused["uid"]), ("LIMIT_EXCEEDED", &json!("d")));
    assert_eq!(socket.subscribe("e", json!({"event": "create"})).await["event"], "init");
    socket.ask(&json!({"type": "unsubscribe", "uid": "a"})).await;

    assert_eq!(socket.subscribe("d", filtered(100)).await["event"], "init");
    server.stop().await;
}

#[tokio::test]
async fn query_memory_is_limited_per_account_and_globally() {
    let server = TestServer::with(|config| {
        config.websockets.user_queries_bytes_max = 6 * 1024;
        config.websockets.all_queries_bytes_max = 10 * 1024;
    })
    .await;
    let (alice, bob) = (server.member("alice").await, server.member("bob").await);
    let mut first = Socket::signed_in(&server, &alice).await;
    let mut second = Socket::signed_in(&server, &alice).await;
    let mut other = Socket::signed_in(&server, &bob).await;

    assert_eq!(first.subscribe("a", filtered(100)).await["event"], "init");
    let refused = second.subscribe("b", filtered(100)).await;
    assert_eq!(error(&refused).1, "LIMIT_EXCEEDED");
    assert_eq!(other.subscribe("c", filtered(100)).await["event"], "init");
    let refused = other.subscribe("d", filtered(100)).await;
    assert_eq!(error(&refused).1, "LIMIT_EXCEEDED");
    // Typical queries are always accepted.
    for number in 0..100 {
        assert_eq!(second.subscribe(&format!("{number}"), filtered(1)).await["event"], "init");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_costly_filter_delays_no_other_subscription() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;
    let mut costly = Socket::signed_in(&server, &alice).await;
    costly.subscribe("s", filtered(100)).await;
    let mut usual = Socket::signed_in(&server, &alice).await;
    for (uid, parts) in [("s", 0), ("t", 8)] {
        usual.subscribe(uid, filtered(parts)).await;
    }

    let held = server.app().services().hub.hold_costly().await;
    for content in ["one", "two"] {
        alice.say(content).await;
        for _ in 0..2 {
            usual.expect_event("create", content).await;
        }
    }
    costly.quiet().await;
    drop(held);

    for content in ["one", "two"] {
        costly.expect_event("create", content).await;
    }
    server.stop().await;
}

#[tokio::test]
async fn a_view_queue_overflow_loses_no_event() {
    const MESSAGES: usize = 1000;
    let server = TestServer::start().await;
    let alice = server.member("alice").await;
    let mut costly = Socket::signed_in(&server, &alice).await;
    costly.subscribe("s", filtered(100)).await;
    let mut counting = Socket::signed_in(&server, &alice).await;
    let query = json!({"fields": ["content"], "meta": "total_count"});
    counting.subscribe("s", json!({"event": "create", "query": query})).await;
    let mut usual = Socket::signed_in(&server, &alice).await;
    usual.subscribe("s", filtered(0)).await;
    let content = |number: usize| format!("message {number}");

    let held = server.app().services().hub.hold_costly().await;
    let messages: Vec<_> = (0..MESSAGES).map(|it| json!({"content": content(it)})).collect();
    alice.post("/items/messages?fields=id", &json!(messages)).await.ok();
    for number in 0..MESSAGES {
        usual.expect_event("create", &content(number)).await;
    }
    costly.quiet().await;
    // Meanwhile another connection joins that view, and receives events from now on.
    let mut late = Socket::signed_in(&server, &alice).await;
    late.subscribe("s", filtered(100)).await;
    drop(held);
    alice.say("behind all").await;

    for socket in [&mut costly, &mut counting] {
        for number in 0..MESSAGES {
            socket.expect_event("create", &content(number)).await;
        }
        socket.expect_event("create", "behind all").await;
        socket.quiet().await;
    }
    late.expect_event("create", "behind all").await;
    alice.say("later").await;
    for socket in [&mut costly, &mut counting, &mut late, &mut usual] {
        while socket.next().await["data"][0]["content"] != "later" {}
        socket.quiet().await;
    }
    server.stop().await;
}

#[tokio::test]
async fn oversized_responses_fail_and_snapshots_are_truncated() {
    let server = TestServer::with(|config| config.websockets.answer_bytes_max = 4096).await;
    let alice = server.member("alice").await;
    let mut socket = Socket::signed_in(&server, &alice).await;
    let text = "x".repeat(1000);
    for _ in 0..5 {
        socket.say(&text).await;
    }

    let read = |limit| {
        json!({"type": "items", "collection": "messages", "action": "read",
            "query": {"limit": limit, "fields": ["content"]}})
    };
    assert_eq!(error(&socket.ask(&read(-1)).await).1, "LIMIT_EXCEEDED");
    assert_eq!(socket.ask(&read(3)).await["data"].as_array().unwrap().len(), 3);
    // The snapshot is cut off at the limit, and says so.
    for (limit, truncated) in [(-1, json!(true)), (3, json!(null))] {
        let query = json!({"limit": limit, "fields": ["content"]});
        let init = socket.subscribe("list", json!({"query": query})).await;
        assert_eq!((&init["event"], &init["truncated"]), (&json!("init"), &truncated));
        assert_eq!(init["data"].as_array().unwrap().len(), if limit == 3 { 3 } else { 4 });
    }

    server.stop().await;
}

#[tokio::test]
async fn snapshots_beyond_the_send_queue_are_sent_one_at_a_time() {
    const LISTS: usize = 10;
    let server = TestServer::with(|config| config.websockets.outbox_bytes_max = 1 << 20).await;
    let alice = server.member("alice").await;
    let messages = vec![json!({"content": "x".repeat(60_000)}); 15];
    alice.post("/items/messages", &json!(messages)).await.ok();
    let mut socket = RawSocket::connect(&server).await;
    socket.send_json(&json!({"type": "auth", "access_token": alice.token})).await;
    assert_eq!(socket.frame().await.unwrap().0, 0x81);

    for uid in 0..LISTS {
        socket
            .send_json(&json!({"type": "subscribe", "collection": "messages",
                "uid": uid.to_string()}))
            .await;
    }
    for uid in 0..LISTS {
        let (head, payload) = loop {
            let frame = socket.frame().await.expect("the connection stays open");
            if frame.0 != 0x89 {
                break frame;
            }
        };
        assert_eq!(head, 0x81, "{}", String::from_utf8_lossy(&payload));
        let frame: serde_json::Value = serde_json::from_slice(&payload).unwrap();
        assert_eq!((&frame["event"], &frame["uid"]), (&json!("init"), &json!(uid.to_string())));
    }
    server.stop().await;
}

#[tokio::test]
async fn a_slow_reader_is_disconnected_and_delays_no_other_client() {
    const MESSAGES: usize = 30;
    let server = TestServer::with(|config| config.websockets.outbox_bytes_max = 256 * 1024).await;
    let alice = server.member("alice").await;
    let auth = json!({"type": "auth", "access_token": alice.token});
    let subscribe =
        json!({"type": "subscribe", "collection": "messages", "event": "create", "uid": "s"});
    let mut slow = RawSocket::connect(&server).await;
    slow.send_json(&auth).await;
    slow.send_json(&subscribe).await;
    // The client receives both responses, and reads nothing from here on.
    for _ in 0..2 {
        assert_eq!(slow.frame().await.unwrap().0, 0x81);
    }
    let mut quick = Socket::signed_in(&server, &alice).await;
    quick.subscribe("s", json!({"event": "create"})).await;

    // More than the send queue and the socket buffers hold, written quickly: after ten seconds
    // without progress the connection is closed without a reason.
    let content = "x".repeat(60_000);
    for number in 0..MESSAGES {
        alice.say(&content).await;
        let frame = quick.next().await;
        assert_eq!(frame["data"][0]["id"], number + 1);
    }

    let mut heard = 0;
    let code = loop {
        match slow.frame().await {
            Some((0x81, payload)) => {
                let frame: serde_json::Value = serde_json::from_slice(&payload).unwrap();
                heard += 1;
                assert_eq!(frame["data"][0]["id"], heard);
            }
            Some((0x88, payload)) => break u16::from_be_bytes([payload[0], payload[1]]),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(code, 1013);
    assert!(heard < MESSAGES);
    quick.quiet().await;
    server.stop().await;
}

#[tokio::test]
async fn an_oversized_message_closes_only_its_own_connection() {
    let server = TestServer::with(|config| config.websockets.frame_bytes_max = 64 * 1024).await;
    let alice = server.member("alice").await;
    let mut socket = Socket::signed_in(&server, &alice).await;
    let mut other = Socket::signed_in(&server, &alice).await;
    let frame = |bytes: usize| {
        let around = json!({"type": "ping", "uid": "u", "x": ""}).to_string().len();
        json!({"type": "ping", "uid": "u", "x": "x".repeat(bytes - around)})
    };

    assert_eq!(socket.ask(&frame(64 * 1024)).await, json!({"type": "pong", "uid": "u"}));
    socket.send(&frame(64 * 1024 + 1)).await;

    assert_eq!(socket.closed().await, Some(1009));
    other.quiet().await;
    server.stop().await;
}

#[tokio::test]
async fn the_nesting_limit_of_messages_is_configurable() {
    let server = TestServer::with(|config| config.server.json_depth_max = 8).await;
    let mut socket = Socket::connect(&server).await;
    let ping = |depth: usize| {
        let x = (2..depth).fold(json!([]), |inner, _| json!([inner]));
        json!({"type": "ping", "uid": 1, "x": x})
    };

    assert_eq!(socket.ask(&ping(8)).await, json!({"type": "pong", "uid": 1}));
    let refused = socket.ask(&ping(9)).await;

    let (area, code, message) = error(&refused);
    assert_eq!((area, code), ("server", "INVALID_PAYLOAD"));
    assert_eq!(message, "Validation error: Nested deeper than 8 levels");
    server.stop().await;
}

const TOO_FAST: &str = "REQUESTS_EXCEEDED";

#[tokio::test]
async fn the_rate_limit_refuses_one_frame_and_delays_the_next() {
    let server = TestServer::with(|config| config.websockets.messages_per_second = 2).await;
    let mut socket = Socket::connect(&server).await;
    let ping = |uid: u32| json!({"type": "ping", "uid": uid});
    let read = json!({"type": "items", "action": "read", "collection": "messages", "uid": 3});

    for frame in [ping(1), ping(2), read, ping(4)] {
        socket.send(&frame).await;
    }

    socket.expect(&json!({"type": "pong", "uid": 1})).await;
    socket.expect(&json!({"type": "pong", "uid": 2})).await;
    let refused = socket.next().await;
    let (area, code, message) = error(&refused);
    assert_eq!((area, code, &refused["uid"]), ("server", TOO_FAST, &json!(3)));
    assert!(message.starts_with("Too many messages, retry after "), "{message}");
    // The frame was not processed before its time.
    socket.expect(&json!({"type": "pong", "uid": 4})).await;
    server.stop().await;
}

#[tokio::test]
async fn each_item_of_a_list_counts_toward_the_rate_limit() {
    let server = TestServer::with(|config| config.websockets.messages_per_second = 10).await;
    let alice = server.member("alice").await;
    let mut other = Socket::signed_in(&server, &alice).await;
    let list = |count: usize| vec![json!({"content": "x"}); count];
    let items = |action: &str, more: serde_json::Value| {
        let mut frame = json!({"type": "items", "collection": "messages", "action": action,
            "query": {"fields": ["id"]}});
        frame.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        frame
    };
    let all: Vec<usize> = (1..=20).collect();
    let each: Vec<_> = all.iter().map(|id| json!({"id": id, "content": "y"})).collect();

    // After a pause, a list may exceed the limit of one second.
    for (frame, answered) in [
        (items("create", json!({"data": list(20)})), 20),
        (items("update", json!({"data": each})), 20),
        (items("update", json!({"ids": all, "data": {"content": "z"}})), 20),
        (items("delete", json!({"ids": all})), 20),
    ] {
        let mut socket = Socket::signed_in(&server, &alice).await;
        let begun = Instant::now();
        let answer = socket.ask(&frame).await;
        assert_eq!(answer["data"].as_array().map(Vec::len), Some(answered), "{answer}");
        // The next frames are not refused, but delayed.
        socket.quiet().await;
        let waited = begun.elapsed();
        assert!(waited >= Duration::from_millis(900), "{waited:?} after {frame}");
    }
    other.quiet().await;
    server.stop().await;
}

#[tokio::test]
async fn a_list_counts_toward_the_rate_limit_of_the_account() {
    let server = TestServer::with(|config| config.websockets.user_messages_per_second = 10).await;
    let (alice, bob) = (server.member("alice").await, server.member("bob").await);
    let mut one = Socket::signed_in(&server, &alice).await;
    let mut other = Socket::signed_in(&server, &alice).await;
    let mut of_bob = Socket::signed_in(&server, &bob).await;
    let list = vec![json!({"content": "x"}); 1000];

    let create = json!({"type": "items", "collection": "messages", "action": "create",
        "data": list, "query": {"fields": ["id"]}});
    assert_eq!(one.ask(&create).await["data"].as_array().unwrap().len(), 1000);

    assert_eq!(error(&other.ask(&json!({"type": "ping"})).await).1, TOO_FAST);
    of_bob.quiet().await;
    server.stop().await;
}

#[tokio::test]
async fn connections_of_an_account_share_a_rate_limit() {
    let server = TestServer::with(|config| config.websockets.user_messages_per_second = 2).await;
    let (alice, bob) = (server.member("alice").await, server.member("bob").await);
    // Signed in by the URL: a later sign-in would count its first frames against the public.
    let open = |user: &User| {
        Socket::open(Socket::request(&server, &format!("?access_token={}", user.token)))
    };
    let mut one = open(&alice).await.unwrap();
    let mut other = open(&alice).await.unwrap();
    let mut of_bob = open(&bob).await.unwrap();
    let ping = json!({"type": "ping"});

    assert_eq!(one.ask(&ping).await, json!({"type": "pong"}));
    assert_eq!(other.ask(&ping).await, json!({"type": "pong"}));
    assert_eq!(error(&one.ask(&ping).await).1, TOO_FAST);

    assert_eq!(of_bob.ask(&ping).await, json!({"type": "pong"}));
    server.stop().await;
}

#[tokio::test]
async fn upgrades_beyond_the_rate_limit_are_refused() {
    let server = TestServer::with(|config| config.websockets.upgrades_per_second = 1).await;

    // One at once, one for each second of the longest delay, and one too many.
    let mut coming: FuturesUnordered<_> =
        (0..7).map(|_| Socket::open(Socket::request(&server, ""))).collect();
    let mut let_in = 0;
    let refused = loop {
        match coming.next().await {
            Some(Ok(_)) => let_in += 1,
            Some(Err(status)) => break status,
            None => panic!("every upgrade was accepted"),
        }
    };

    assert_eq!(refused, 503);
    assert!(let_in <= 3, "{let_in}");
    drop(coming);
    server.stop().await;
}

#[tokio::test]
async fn unread_pongs_do_not_fill_the_send_queue() {
    const PINGS: usize = 20_000;
    let server = TestServer::with(|config| {
        // Queued pongs would exceed this limit. Sent in place, only one is pending at a time.
        config.websockets.outbox_bytes_max = 4 * 1024;
        config.websockets.parts_per_second = 10_000_000;
    })
    .await;
    let mut socket = RawSocket::connect(&server).await;
    let mut pings = masked(0x89, b"").repeat(PINGS);
    pings.extend(masked(0x89, b"the last"));
    // More pongs than the socket buffers hold: the rest goes to the send queue.
    let sending = async {
        socket.send(&pings).await;
        let mut answered = 0;
        loop {
            match socket.frame().await {
                Some((0x8a, payload)) if payload == b"the last" => break answered + 1,
                Some((0x8a, _)) => answered += 1,
                other => panic!("after {answered} answers: {other:?}"),
            }
        }
    };

    let answered = sending.await;

    assert!((1..=PINGS).contains(&answered), "{answered}");
    server.stop().await;
}

#[tokio::test]
async fn control_frames_and_fragments_are_throttled_without_a_close() {
    let server = TestServer::with(|config| config.websockets.parts_per_second = 100).await;
    for (part, last) in [
        (masked(0x89, b""), masked(0x81, br#"{"type":"ping"}"#)),
        (masked(0x8a, b""), masked(0x81, br#"{"type":"ping"}"#)),
        (masked(0x00, b" "), masked(0x80, br#"{"type":"ping"}"#)),
    ] {
        let mut socket = RawSocket::connect(&server).await;
        let begun = Instant::now();
        if part[0] == 0 {
            socket.send(&masked(0x01, b" ")).await;
        }

        socket.send(&part.repeat(300)).await;
        socket.send(&last).await;

        loop {
            match socket.frame().await {
                Some((0x81, payload)) => break assert_eq!(payload, br#"{"type":"pong"}"#),
                Some((0x8a, _)) => {}
                other => panic!("{other:?}"),
            }
        }
        // A burst of one second is allowed, and frames of one read are processed together.
        let taken = begun.elapsed();
        assert!(taken >= Duration::from_millis(400), "{:#x}: {taken:?}", part[0]);
    }
    server.stop().await;
}

#[tokio::test]
async fn the_global_send_limit_disconnects_slow_readers() {
    let server = TestServer::with(|config| {
        config.websockets.outboxes_bytes_max = 1 << 20;
        // So that no connection exceeds its own limit.
        config.websockets.outbox_bytes_max = 1 << 26;
    })
    .await;
    let alice = server.member("alice").await;
    let mut quick = Socket::signed_in(&server, &alice).await;
    quick.subscribe("quick", json!({"event": "create"})).await;
    let mut slow = Vec::new();
    for uid in ["a", "b", "c"] {
        let mut socket = Socket::signed_in(&server, &alice).await;
        socket.subscribe(uid, json!({"event": "create"})).await;
        slow.push(socket);
    }

    // More than the socket buffers of both ends hold.
    for number in 0..250 {
        let content = format!("{number} {}", "x".repeat(60_000));
        alice.say(&content).await;
        quick.expect_event("create", &content).await;
    }

    for mut socket in slow {
        // A client that reads too late is disconnected without a reason.
        let code = loop {
            match socket.message().await {
                Some(Message::Close(close)) => break close.map(|close| u16::from(close.code)),
                Some(_) => {}
                None => break None,
            }
        };
        assert!(code.is_none_or(|code| code == 1013), "{code:?}");
    }
    quick.say("still there").await;
    server.stop().await;
}
