//! Creating, updating and deleting items: one, several, each with its own data, all or none.

use serde_json::Value as Json;
use serde_json::json;

use crate::support::{Answer, Permission, Socket, TestServer, User};

async fn contents(user: &User) -> Json {
    let list = user.get("/items/messages?fields=id,content").await.ok();
    let pair = |item: &Json| json!([item["id"], item["content"]]);
    list.as_array().unwrap().iter().map(pair).collect()
}

#[tokio::test]
async fn a_create_returns_the_created_item() {
    let server = TestServer::at_noon(|_| {}).await;
    let alice = server.member("alice").await;
    let sent = json!({"content": "hi", "user_created": "a7e169a7-0000-4000-8000-00000000000a",
        "date_created": "2001-01-01T00:00:00Z", "unknown": 1});

    let made = alice.post("/items/messages", &sent).await.ok();

    assert_eq!(
        made,
        json!({"id": 1, "user_created": alice.id, "date_created": "2026-01-31T12:00:00.000Z",
            "content": "hi"})
    );
    let path = "/items/messages?fields=id,user_created.first_name";
    let shaped = alice.post(path, &json!({"content": "hi"})).await;
    assert_eq!(shaped.ok(), json!({"id": 2, "user_created": {"first_name": "alice"}}));
    server.stop().await;
}

#[tokio::test]
async fn values_are_converted_to_text_as_in_directus() {
    let server = TestServer::with(|config| config.query.require_content = false).await;
    let alice = server.member("alice").await;

    for (sent, stored) in [
        (json!(12), json!("12")),
        (json!(""), json!("")),
        (json!(null), json!(null)),
        (json!({"a": [1]}), json!("{\"a\":[1]}")),
        (json!("<script>alert('x')</script>"), json!("<script>alert('x')</script>")),
        (json!("héllo 你好 🎉 \" \\ \n"), json!("héllo 你好 🎉 \" \\ \n")),
    ] {
        let made = alice.post("/items/messages", &json!({"content": sent})).await.ok();
        assert_eq!(made["content"], stored);
        let read = alice.get(&format!("/items/messages/{}", made["id"])).await.ok();
        assert_eq!(read, made);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_bulk_create_is_ordered_and_atomic() {
    let server = TestServer::start().await;
    let (admin, alice) = (server.admin().await, server.member("alice").await);

    let list = json!([{"content": "a"}, {"content": "b"}]);
    let made = alice.post("/items/messages?fields=id,content", &list).await.ok();
    assert_eq!(made, json!([{"id": 1, "content": "a"}, {"id": 2, "content": "b"}]));
    assert_eq!(alice.post("/items/messages", &json!([])).await.ok(), json!([]));

    let taken = json!([{"content": "c"}, {"id": 1, "content": "again"}]);
    admin.post("/items/messages", &taken).await.refused(400, "RECORD_NOT_UNIQUE");
    alice
        .post("/items/messages", &json!([{"content": "c"}, 5]))
        .await
        .refused(400, "INVALID_PAYLOAD");
    assert_eq!(contents(&alice).await, json!([[1, "a"], [2, "b"]]));
    server.stop().await;
}

#[tokio::test]
async fn updates_select_items_in_four_ways() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;
    for content in ["a", "b", "c"] {
        alice.say(content).await;
    }
    let path = "/items/messages?fields=id,content";

    let one = json!({"content": "A", "id": 9});
    let one = alice.patch("/items/messages/1?fields=id,content", &one).await;
    assert_eq!(one.ok(), json!({"id": 1, "content": "A"}));
    let keys = json!({"keys": [3, "2"], "data": {"content": "x"}});
    let shown = json!([{"id": 3, "content": "x"}, {"id": 2, "content": "x"}]);
    assert_eq!(alice.patch(path, &keys).await.ok(), shown);
    let query = json!({"query": {"filter": {"content": {"_eq": "x"}}}, "data": {"content": "y"}});
    let shown = json!([{"id": 2, "content": "y"}, {"id": 3, "content": "y"}]);
    assert_eq!(alice.patch(path, &query).await.ok(), shown);
    let each = json!([{"id": 1, "content": "one"}, {"id": 2, "content": "two"}]);
    assert_eq!(alice.patch(path, &each).await.ok(), each);

    assert_eq!(contents(&alice).await, json!([[1, "one"], [2, "two"], [3, "y"]]));
    assert_eq!(
        alice.patch(path, &json!({"keys": [], "data": {"content": "z"}})).await.ok(),
        json!([])
    );
    server.stop().await;
}

#[tokio::test]
async fn deletes_select_items_in_four_ways() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;
    for content in ["a", "b", "c", "d", "e", "f", "g"] {
        alice.say(content).await;
    }

    alice.delete("/items/messages/1").await.nothing();
    alice.delete_many("/items/messages", &json!([2, "3"])).await.nothing();
    alice.delete_many("/items/messages", &json!({"keys": [4]})).await.nothing();
    let query = json!({"query": {"filter": {"content": {"_in": ["e", "f"]}}}});
    alice.delete_many("/items/messages", &query).await.nothing();

    assert_eq!(contents(&alice).await, json!([[7, "g"]]));
    alice.delete_many("/items/messages", &json!([])).await.nothing();
    let none = json!({"query": {"filter": {"content": {"_eq": "nothing"}}}});
    alice.delete_many("/items/messages", &none).await.nothing();
    assert_eq!(contents(&alice).await, json!([[7, "g"]]));
    server.stop().await;
}

#[tokio::test]
async fn bulk_changes_without_a_selection_are_refused() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    admin.say("a").await;

    for body in [json!({}), json!({"query": {}}), json!({"keys": [1], "query": {}})] {
        admin.delete_many("/items/messages", &body).await.refused(400, "INVALID_PAYLOAD");
        let mut body = body;
        body["data"] = json!({"content": "z"});
        admin.patch("/items/messages", &body).await.refused(400, "INVALID_PAYLOAD");
    }
    admin.send("DELETE", "/items/messages").await.refused(400, "INVALID_PAYLOAD");
    admin.send("PATCH", "/items/messages").await.refused(400, "INVALID_PAYLOAD");
    let unnamed = json!([{"content": "z"}]);
    admin.patch("/items/messages", &unnamed).await.refused(400, "INVALID_PAYLOAD");
    assert_eq!(contents(&admin).await, json!([[1, "a"]]));
    server.stop().await;
}

#[tokio::test]
async fn writes_without_read_permission_return_no_body() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let writer = server
        .user_with(
            "writer",
            &[Permission::to("create", "messages"), Permission::to("update", "messages")],
        )
        .await;
    let member = server.member("member").await;

    writer.post("/items/messages", &json!({"content": "unseen"})).await.nothing();
    assert_eq!(contents(&admin).await, json!([[1, "unseen"]]));
    writer.patch("/items/messages/1", &json!({"content": "changed"})).await.nothing();
    assert_eq!(contents(&admin).await, json!([[1, "changed"]]));
    let hidden = "/items/messages?fields=id,user_created.email";
    member.post(hidden, &json!({"content": "hidden field"})).await.nothing();
    member.post("/items/messages?fields=nope", &json!({"content": "no field"})).await.nothing();
    assert_eq!(contents(&admin).await.as_array().unwrap().len(), 3);
    // For an administrator a missing item is not an error.
    admin.patch("/items/messages/99", &json!({"content": "x"})).await.nothing();
    admin.delete("/items/messages/99").await.nothing();
    server.stop().await;
}

#[tokio::test]
async fn one_request_changes_a_bounded_number_of_items() {
    let server = TestServer::with(|config| config.query.batch_max = 3).await;
    let alice = server.member("alice").await;
    let list = |count: usize| (0..count).map(|_| json!({"content": "a"})).collect::<Json>();

    let message = "Invalid payload. Exceeded max batch mutation limit of 3.";
    let refused = |answer: &Answer| answer.refused_with(400, "INVALID_PAYLOAD", message);

    alice.post("/items/messages", &list(3)).await.ok();
    refused(&alice.post("/items/messages", &list(4)).await);
    alice.say("a").await;

    let query = json!({"query": {"filter": {"content": {"_eq": "a"}}}});
    let values = json!({"content": "b"});
    let changes = (1..=4).map(|id| json!({"id": id, "content": "b"})).collect::<Json>();
    refused(&alice.delete_many("/items/messages", &query).await);
    refused(&alice.delete_many("/items/messages", &json!([1, 2, 3, 4])).await);
    refused(&alice.patch("/items/messages", &changes).await);
    let keys = json!({"keys": [1, 2, 3, 4], "data": values});
    refused(&alice.patch("/items/messages", &keys).await);
    assert_eq!(contents(&alice).await.as_array().unwrap().len(), 4);

    let mut socket = Socket::signed_in(&server, &alice).await;
    let answer = socket
        .ask(&json!({"type": "items", "collection": "messages", "action": "create", "data": list(4)}))
        .await;
    assert_eq!(answer["error"], json!({"code": "INVALID_PAYLOAD", "message": message}));
    server.stop().await;
}
