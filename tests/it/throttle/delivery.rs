//! Back-pressure: a client with many subscribers to its changes is slowed down before other clients
//! have to wait.

use std::time::Duration;

use serde_json::Value as Json;
use serde_json::json;

use crate::support::error;
use crate::support::{Socket, TestServer, User};
use crate::throttle::start;
use crate::throttle::told_to_wait;

const MESSAGES: &str = "/items/messages";
/// The number of subscriptions of one socket, and the number of messages to them that may be in
/// flight while another client writes.
const FOLLOWERS: usize = 128;
const WINDOW: usize = 1024 / FOLLOWERS;
/// The pause between the messages of the other client. Together they take longer than the refused
/// client waits.
const BETWEEN: Duration = Duration::from_millis(350);

fn messages(count: usize) -> Json {
    json!(vec![json!({"content": "x"}); count])
}

async fn followed(server: &TestServer, user: &User, query: &Json) -> Socket {
    let mut socket = Socket::signed_in(server, user).await;
    for uid in 0..FOLLOWERS {
        let init = socket.subscribe(&uid.to_string(), json!({"query": query})).await;
        assert_eq!(init["event"], "init", "{init}");
    }
    socket
}

#[tokio::test]
async fn back_pressure_delays_only_the_flooding_client() {
    let server = start().await;
    let (alice, ben) = (server.member("alice").await, server.member("ben").await);
    let mut followers = followed(&server, &ben, &json!({"limit": 1, "fields": ["content"]})).await;
    let mut socket = Socket::signed_in(&server, &alice).await;
    let mut from_all = async |content: &str| {
        for _ in 0..FOLLOWERS {
            followers.expect_event("create", content).await;
        }
    };

    let held = server.app().services().hub.hold().await;
    ben.say("from ben 0").await;
    for number in 0..WINDOW {
        alice.say(&format!("from alice {number}")).await;
    }
    // Neither is committed, and only their own client waits.
    let create = json!({"type": "items", "collection": "messages", "action": "create",
        "data": {"content": "too many"}});
    let (by_rest, by_socket, ()) =
        tokio::join!(alice.post(MESSAGES, &create["data"]), socket.ask(&create), async {
            // Meanwhile another client writes as many messages as may be in flight.
            for number in 1..WINDOW {
                ben.say(&format!("from ben {number}")).await;
                tokio::time::sleep(BETWEEN).await;
            }
        });
    told_to_wait(&by_rest);
    assert_eq!(error(&by_socket).1, "REQUESTS_EXCEEDED", "{by_socket}");
    drop(held);

    from_all("from ben 0").await;
    for number in 0..WINDOW {
        from_all(&format!("from alice {number}")).await;
    }
    for number in 1..WINDOW {
        from_all(&format!("from ben {number}")).await;
    }
    alice.say("now").await;
    from_all("now").await;
    server.stop().await;
}

#[tokio::test]
async fn a_sole_writer_is_never_delayed() {
    let server = start().await;
    let alice = server.member("alice").await;
    let _followers = followed(&server, &alice, &json!({"limit": 1})).await;

    let held = server.app().services().hub.hold().await;
    for _ in 0..3 * WINDOW {
        alice.say("alone").await;
    }
    drop(held);
    server.stop().await;
}

#[tokio::test]
async fn an_oversized_create_error_names_a_deliverable_count() {
    let server = start().await;
    let alice = server.member("alice").await;
    let mut followers = followed(&server, &alice, &json!({"limit": 1})).await;

    let refused = alice.post(MESSAGES, &messages(600)).await;
    refused.refused(403, "LIMIT_EXCEEDED");
    assert!(refused.message().contains("create at most 512 at a time"), "{}", refused.message());
    let create = json!({"type": "items", "collection": "messages", "action": "create",
        "data": messages(600)});
    let mut socket = Socket::signed_in(&server, &alice).await;
    assert_eq!(error(&socket.ask(&create).await).1, "LIMIT_EXCEEDED");

    // Subscriptions with an indexed filter do not count.
    let ended = followers.ask(&json!({"type": "unsubscribe"})).await;
    assert_eq!(ended["event"], "unsubscribe", "{ended}");
    let own = json!({"filter": {"user_created": {"_eq": "$CURRENT_USER"}}, "limit": 1});
    let _few = followed(&server, &server.member("ben").await, &own).await;
    alice.post(&format!("{MESSAGES}?fields=id"), &messages(600)).await.ok();
    server.stop().await;
}
