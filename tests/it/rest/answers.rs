//! Limits of responses: their length, and the number of those waiting to be read.

use serde_json::json;

use crate::support::soon;
use crate::support::{TestServer, User};

const LIST: &str = "/items/messages?fields=content&limit=-1";

/// Creates a list of eight million bytes: more than the socket buffers of one connection hold.
async fn fill(alice: &User) {
    let message = json!({"content": "x".repeat(20_000)});
    for _ in 0..8 {
        alice.post("/items/messages", &json!(vec![&message; 50])).await.ok();
    }
}

#[tokio::test]
async fn response_size_is_limited() {
    let server = TestServer::with(|config| config.query.answer_bytes_max = 100_000).await;
    let alice = server.member("alice").await;
    for _ in 0..5 {
        alice.say(&"x".repeat(19_900)).await;
    }
    let rows = alice.get(LIST).await.ok();
    assert_eq!(rows.as_array().unwrap().len(), 5);

    alice.say(&"one more".repeat(100)).await;
    let long = alice.get(LIST).await;
    long.refused(403, "LIMIT_EXCEEDED");
    assert!(long.text.contains("request fewer items or fields"), "{}", long.text);
    let filter = json!({"query": {"fields": ["content"], "filter": {"id": {"_gt": 0}}}});
    alice.search("/items/messages", &filter).await.refused(403, "LIMIT_EXCEEDED");
    alice.get("/items/messages?fields=id&limit=-1").await.ok();
    server.stop().await;
}

#[tokio::test]
async fn unread_responses_are_limited_per_account() {
    let server = TestServer::with(|config| {
        config.server.answers_bytes_max = 16 << 20;
        config.store.mutation_bytes_max = 32 << 20;
    })
    .await;
    let (alice, bob) = (server.member("alice").await, server.member("bob").await);
    fill(&alice).await;

    let unread = soon(alice.request("GET", LIST).send()).await.unwrap();
    assert_eq!(unread.status(), 200);
    let refused = alice.get(LIST).await;
    refused.refused(429, "LIMIT_EXCEEDED");
    assert_eq!(refused.header("retry-after"), "1");
    // Short responses do not count, and a committed change is not refused for its response.
    alice.get("/users/me").await.ok();
    let change = json!({"query": {"limit": -1}, "data": {"content": "y".repeat(500)}});
    alice.patch("/items/messages", &change).await.ok();
    bob.get(LIST).await.ok();

    let read = soon(unread.bytes()).await.unwrap();
    assert!(read.len() > 8_000_000);
    let again = async {
        while alice.get(LIST).await.status != 200 {
            tokio::task::yield_now().await;
        }
    };
    soon(again).await;
    server.stop().await;
}
