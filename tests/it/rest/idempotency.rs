//! Idempotency keys: a create with a client's key happens once, over REST and sockets.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::Value as Json;
use serde_json::json;

use crate::support::error;
use crate::support::{Answer, Client, Permission, Socket, TestServer};

/// A key that visitors may use as well.
const KEY: &str = "6c7c7ae4-6b3b-4a7c-9c3b-5f0f5f1c2d3e";

async fn post(client: &Client, key: &str, body: &Json) -> Answer {
    let request = client.request(Method::POST.as_str(), "/items/messages");
    Answer::to(request.header("Idempotency-Key", key).json(body)).await
}

fn create(key: &str, data: &Json) -> Json {
    json!({"type": "items", "collection": "messages", "action": "create", "data": data,
        "idempotency_key": key, "uid": "c"})
}

async fn count(client: &Client) -> Json {
    client.get("/items/messages?aggregate[count]=*").await.ok()[0]["count"].clone()
}

#[tokio::test]
async fn a_repeat_returns_the_first_response_and_creates_nothing() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;
    let mut socket = Socket::signed_in(&server, &alice).await;
    socket.subscribe("s", json!({"event": "create"})).await;

    let first = post(&alice, "k1", &json!({"content": "once"})).await.ok();
    socket.expect_event("create", "once").await;
    let again = post(&alice, "k1", &json!({"content": "once"})).await.ok();
    // At another entry point, with the same response.
    let frame = socket.ask(&create("k1", &json!({"content": "once"}))).await;

    assert_eq!(again, first);
    assert_eq!(frame["data"], first);
    assert_eq!(count(&alice).await, 1);
    // There is no second event: the next one belongs to the next message.
    alice.say("next").await;
    socket.expect_event("create", "next").await;
    server.stop().await;
}

#[tokio::test]
async fn a_key_with_another_payload_is_refused() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;
    let mut socket = Socket::signed_in(&server, &alice).await;
    post(&alice, "k1", &json!({"content": "once"})).await.ok();

    let other = post(&alice, "k1", &json!({"content": "something else"})).await;
    let frame = socket.ask(&create("k1", &json!([{"content": "once"}]))).await;

    other.refused(422, "UNPROCESSABLE_CONTENT");
    let (area, code, message) = error(&frame);
    assert_eq!((area, code), ("items", "UNPROCESSABLE_CONTENT"));
    assert!(message.contains("use a new key"), "{message}");
    assert_eq!(count(&alice).await, 1);
    server.stop().await;
}

#[tokio::test]
async fn concurrent_repeats_create_one_item() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;

    let body = json!({"content": "many at once"});
    let answers = join_all((0..40).map(|number| {
        let (alice, body) = (&alice, &body);
        async move { post(alice, &format!("key {}", number % 2), body).await.ok() }
    }))
    .await;

    assert_eq!(count(&alice).await, 2);
    for (number, answer) in answers.iter().enumerate() {
        assert_eq!(answer, &answers[number % 2]);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_repeated_list_returns_all_items_in_order() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;
    let list = json!([{"content": "a"}, {"content": "b"}, {"content": "c"}]);

    let first = post(&alice, "list", &list).await.ok();
    let again = post(&alice, "list", &list).await.ok();

    assert_eq!(again, first);
    assert_eq!(first.as_array().unwrap().len(), 3);
    assert_eq!(count(&alice).await, 3);
    server.stop().await;
}

#[tokio::test]
async fn keys_belong_to_an_account_and_survive_a_restart() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.member("alice").await, server.member("bob").await);
    let body = json!({"content": "the same words"});
    let first = post(&alice, "k", &body).await.ok();
    let others = post(&bob, "k", &body).await.ok();
    assert_ne!(first["id"], others["id"]);

    let server = server.restart().await;
    let alice = server.anonymous().bearing(&alice.token);
    let again = post(&alice, "k", &body).await.ok();

    assert_eq!(again, first);
    assert_eq!(count(&alice).await, 2);
    server.stop().await;
}

#[tokio::test]
async fn a_repeat_returns_the_current_row_if_readable() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;
    let body = json!({"content": "first"});
    let id = post(&alice, "k", &body).await.ok()["id"].clone();

    alice.patch(&format!("/items/messages/{id}"), &json!({"content": "edited"})).await.ok();
    assert_eq!(post(&alice, "k", &body).await.ok()["content"], "edited");

    // A deleted message is neither returned nor created again.
    alice.delete(&format!("/items/messages/{id}")).await.nothing();
    post(&alice, "k", &body).await.nothing();
    assert_eq!(count(&alice).await, 0);

    // For an account that may create but not read, a repeat reveals no more than the first request.
    let writer = server.user_with("writer", &[Permission::to("create", "messages")]).await;
    post(&writer, "k", &body).await.nothing();
    post(&writer, "k", &body).await.nothing();
    assert_eq!(count(&alice).await, 1);
    server.stop().await;
}

#[tokio::test]
async fn a_failed_request_does_not_use_up_its_key() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    admin.post("/items/messages", &json!({"id": 7, "content": "in the way"})).await.ok();

    let refused = post(&admin, "k", &json!([{"content": "a"}, {"id": 7, "content": "b"}])).await;
    refused.refused(400, "RECORD_NOT_UNIQUE");
    let other = post(&admin, "k", &json!({"content": "a"})).await.ok();

    assert_eq!(other["content"], "a");
    server.stop().await;
}

#[tokio::test]
async fn anonymous_keys_are_shared_and_must_be_hard_to_guess() {
    let server = TestServer::start().await;
    server
        .allow_public(&[Permission::to("create", "messages"), Permission::to("read", "messages")])
        .await;
    let visitor = server.anonymous();
    let body = json!({"content": "from a visitor"});

    let simple = post(&visitor, "1", &body).await;
    simple.refused(400, "INVALID_PAYLOAD");
    let first = post(&visitor, KEY, &body).await.ok();
    let mut socket = Socket::connect(&server).await;
    let frame = socket.ask(&create(KEY, &body)).await;

    assert_eq!(frame["data"], first);
    assert_eq!(count(&visitor).await, 1);
    server.stop().await;
}

#[tokio::test]
async fn malformed_keys_are_refused() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;
    let mut socket = Socket::signed_in(&server, &alice).await;

    post(&alice, "", &json!({})).await.refused(400, "INVALID_PAYLOAD");
    let long = "x".repeat(256);
    post(&alice, &long, &json!({})).await.refused(400, "INVALID_PAYLOAD");
    let mut number = create("", &json!({}));
    number["idempotency_key"] = json!(7);
    assert_eq!(error(&socket.ask(&number).await).1, "INVALID_PAYLOAD");
    assert_eq!(count(&alice).await, 0);
    server.stop().await;
}
