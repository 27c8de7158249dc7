//! Hostile text in every field of every frame: class 16.

use serde_json::Value as Json;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::classes::dump::assert_unchanged;
use crate::classes::dump::dump;
use crate::classes::hostile::check_text;
use crate::classes::hostile::hostile;
use crate::classes::hostile::inside;
use crate::support::{Socket, TestServer};

/// Returns frames with a text in each of their fields and in each part of a query.
fn frames_with(text: &str) -> Vec<Json> {
    let items = |action: &str| json!({"type": "items", "collection": "messages", "action": action});
    let subscribe = || json!({"type": "subscribe", "collection": "messages", "uid": "s"});
    let mut frames = Vec::new();
    for (frame, names) in [
        (items("read"), vec!["collection", "action", "id", "ids", "query", "uid", "type"]),
        (items("update"), vec!["collection", "id", "ids", "data", "query", "uid"]),
        (items("delete"), vec!["collection", "id", "ids", "query", "uid"]),
        (items("create"), vec!["collection"]),
        (subscribe(), vec!["collection", "event", "item", "query", "uid"]),
        (json!({"type": "unsubscribe"}), vec!["uid"]),
        (json!({"type": "ping"}), vec!["uid"]),
    ] {
        for name in names {
            for value in [json!(text), json!([text]), json!({ text: text })] {
                let mut hostile = frame.clone();
                hostile[name] = value;
                frames.push(hostile);
            }
        }
        let mut hostile = frame.clone();
        hostile[text] = json!(text);
        hostile["id"] = json!(text);
        frames.push(hostile);
    }
    for query in [
        json!({"filter": {"content": {"_eq": text}}}),
        json!({"filter": {"content": {text: 1}}}),
        json!({"filter": {text: {"_eq": 1}}}),
        json!({"filter": text}),
        json!({"sort": text}),
        json!({"fields": [text]}),
        json!({"search": text}),
        json!({"limit": text}),
        json!({"page": text}),
        json!({"meta": text}),
        json!({"alias": {text: "id"}}),
        json!({"alias": {"a": text}}),
        json!({"deep": {text: {"_limit": 1}}}),
        json!({"deep": {"user_created": {text: 1}}}),
        json!({"deep": {"__proto__": {"admin": true}}}),
        json!({"aggregate": {text: "*"}}),
        json!({"groupBy": [text]}),
        json!({text: text}),
    ] {
        for mut frame in [items("read"), subscribe()] {
            frame["query"] = query.clone();
            frames.push(frame);
        }
    }
    frames
}

/// Class 16: every field of every frame.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn class_16_hostile_frames_change_and_reveal_nothing() {
    // The test may take longer than a heartbeat.
    let server = TestServer::with(|config| config.websockets.heartbeat = false).await;
    let (admin, member) = (server.admin().await, server.member("member").await);
    member.say("a message").await;
    let mut socket = Socket::signed_in(&server, &admin).await;
    let inside = inside(&server);
    let before = dump(&server).await;
    let mut asked = 0;

    for text in hostile() {
        for frame in frames_with(&text) {
            // Creates change data, and so do updates and deletes whose query happens to be valid.
            let is_change = frame["action"] == "update" || frame["action"] == "delete";
            let is_create = frame["action"] == "create" && frame["collection"] == "messages";
            if is_create || is_change && frame.get("id").is_none() && frame.get("ids").is_none() {
                continue;
            }
            socket.send(&frame).await;
            socket.send(&json!({"type": "ping", "uid": "the end"})).await;
            loop {
                match socket.message().await {
                    Some(Message::Text(answer)) => {
                        if answer.contains("\"uid\":\"the end\"") {
                            break;
                        }
                        check_text(&answer, &inside, &format!("{frame:.300}"));
                        assert!(
                            !answer.contains("INTERNAL_SERVER_ERROR"),
                            "{frame:.300}: {answer}"
                        );
                    }
                    Some(Message::Ping(_) | Message::Pong(_)) => {}
                    other => panic!("{frame:.300} ended the connection: {other:?}"),
                }
            }
            asked += 1;
        }
        for name in ["access_token", "refresh_token", "email", "password", "action"] {
            let mut auth = json!({"type": "auth", "email": "admin@example.com", "password": "x"});
            auth[name] = json!(text);
            let mut socket = Socket::connect(&server).await;
            socket.send(&auth).await;
            socket.send(&json!({"type": "ping", "uid": "the end"})).await;
            while let Some(Message::Text(answer)) = socket.message().await {
                if answer.contains("\"uid\":\"the end\"") {
                    break;
                }
                check_text(&answer, &inside, &auth.to_string());
                assert!(!answer.contains("\"status\":\"ok\""), "{auth}: {answer}");
            }
            asked += 1;
        }
        socket.ask(&json!({"type": "ping"})).await;
    }
    assert!(asked > 2_000, "{asked}");
    assert_unchanged(&server, &before, "the requests").await;
    server.stop().await;
}
