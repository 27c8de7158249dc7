//! What one connection may take up: subscriptions, unsent bytes, the size of a frame, messages in a
//! second; and how fast connections are let in.

use std::time::Duration;
use std::time::Instant;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::json;

use crate::support::RawSocket;
use crate::support::Socket;
use crate::support::TestServer;
use crate::support::User;
use crate::support::error;
use crate::support::masked;

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
async fn who_reads_too_slowly_is_closed_and_nobody_else_waits() {
    const MESSAGES: usize = 30;
    let server = TestServer::with(|config| config.websockets.outbox_bytes_max = 256 * 1024).await;
    let alice = server.member("alice").await;
    let auth = json!({"type": "auth", "access_token": alice.token});
    let subscribe =
        json!({"type": "subscribe", "collection": "messages", "event": "create", "uid": "s"});
    let mut slow = RawSocket::connect(&server).await;
    slow.send_json(&auth).await;
    slow.send_json(&subscribe).await;
    // It has heard both answers, and reads nothing from here on.
    for _ in 0..2 {
        assert_eq!(slow.frame().await.unwrap().0, 0x81);
    }
    let mut quick = Socket::signed_in(&server, &alice).await;
    quick.subscribe("s", json!({"event": "create"})).await;

    // More than outbox and system hold, and soon: who takes nothing for ten seconds is not told why.
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
async fn a_message_over_the_limit_ends_its_connection_alone() {
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

const TOO_FAST: &str = "REQUESTS_EXCEEDED";

#[tokio::test]
async fn who_speaks_too_fast_is_refused_and_heard_again_later() {
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
    // It was not looked at before it was in time.
    socket.expect(&json!({"type": "pong", "uid": 4})).await;
    server.stop().await;
}

#[tokio::test]
async fn the_sockets_of_one_account_speak_no_faster_than_one() {
    let server = TestServer::with(|config| config.websockets.user_messages_per_second = 2).await;
    let (alice, bob) = (server.member("alice").await, server.member("bob").await);
    // Signed in by the address: who signs in later speaks as a visitor before.
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
async fn of_very_many_who_come_at_once_some_are_told_to_come_later() {
    let server = TestServer::with(|config| config.websockets.upgrades_per_second = 1).await;

    // One at once, one for each of the seconds that others are made to wait, and one too many.
    let mut coming: FuturesUnordered<_> =
        (0..7).map(|_| Socket::open(Socket::request(&server, ""))).collect();
    let mut let_in = 0;
    let refused = loop {
        match coming.next().await {
            Some(Ok(_)) => let_in += 1,
            Some(Err(status)) => break status,
            None => panic!("all were let in"),
        }
    };

    assert_eq!(refused, 503);
    assert!(let_in <= 3, "{let_in}");
    drop(coming);
    server.stop().await;
}

#[tokio::test]
async fn who_pings_without_reading_takes_up_nothing_and_others_go_on() {
    const PINGS: usize = 20_000;
    let server = TestServer::with(|config| {
        // Held, they would be more than that; answered in place, there is one at a time.
        config.websockets.outbox_bytes_max = 4 * 1024;
        config.websockets.parts_per_second = 10_000_000;
    })
    .await;
    let mut socket = RawSocket::connect(&server).await;
    let mut pings = masked(0x89, b"").repeat(PINGS);
    pings.extend(masked(0x89, b"the last"));
    // More than the system keeps of the answers: what it does not take is for the outbox.
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
async fn pings_and_pieces_of_messages_have_a_pace_and_nobody_is_cut_for_it() {
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
        // A second's worth came at once, and what is read in one go is read.
        let taken = begun.elapsed();
        assert!(taken >= Duration::from_millis(400), "{:#x}: {taken:?}", part[0]);
    }
    server.stop().await;
}
