//! Fields of a permission: the allowed ones, presets, and validation.

use serde_json::json;

use crate::support::{Permission, Socket, TestServer};

#[tokio::test]
async fn a_write_to_a_forbidden_field_is_refused_with_its_name() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let writer = server
        .user_with(
            "writer",
            &[
                Permission::to("create", "messages").fields(&["content"]),
                Permission::to("update", "messages").fields(&["content"]),
                Permission::to("read", "messages"),
            ],
        )
        .await;
    let id = writer.say("mine").await;
    let path = format!("/items/messages/{id}");
    let before = admin.get(&format!("{path}?fields=*")).await.ok();
    let mut socket = Socket::signed_in(&server, &writer).await;

    for field in ["user_created", "date_created", "user_updated", "unknown"] {
        let mut payload = json!({"content": "x"});
        payload[field] = json!(admin.id);
        let words = format!(
            "You don't have permission to access field \"{field}\" in collection \"messages\" or it \
             does not exist. Queried in root."
        );
        writer.post("/items/messages", &payload).await.refused_with(403, "FORBIDDEN", &words);
        writer.patch(&path, &payload).await.refused_with(403, "FORBIDDEN", &words);
        let frame = json!({"type": "items", "collection": "messages", "action": "update", "id": id, "data": payload});
        assert_eq!(socket.ask(&frame).await["error"]["message"], words);
    }
    // The server chooses the key.
    writer.post("/items/messages", &json!({"id": 77})).await.refused(403, "FORBIDDEN");
    let frame =
        json!({"type": "items", "collection": "messages", "action": "create", "data": {"id": 77}});
    assert_eq!(socket.ask(&frame).await["error"]["code"], "FORBIDDEN");

    assert_eq!(admin.get("/items/messages?fields=*").await.ok(), json!([before]));
    server.stop().await;
}

#[tokio::test]
async fn only_administrators_choose_keys() {
    let server = TestServer::start().await;
    let (admin, alice) = (server.admin().await, server.member("alice").await);
    let mut socket = Socket::signed_in(&server, &alice).await;

    for id in [json!(77), json!("77"), json!(null), json!(-1)] {
        alice.post("/items/messages", &json!({"id": id})).await.refused(403, "FORBIDDEN");
        let list = json!([{"content": "x"}, {"id": id}]);
        alice.post("/items/messages", &list).await.refused(403, "FORBIDDEN");
        let frame = json!({"type": "items", "collection": "messages", "action": "create", "data": {"id": id}});
        assert_eq!(socket.ask(&frame).await["error"]["code"], "FORBIDDEN");
    }
    assert_eq!(admin.get("/items/messages").await.ok(), json!([]));
    for id in [json!(0), json!(-1), json!(9_007_199_254_740_992_i64)] {
        admin.post("/items/messages", &json!({"id": id})).await.refused(400, "INVALID_PAYLOAD");
    }
    assert_eq!(
        admin.post("/items/messages", &json!({"id": 77, "content": "x"})).await.ok()["id"],
        77
    );
    assert_eq!(alice.say("counted").await, 1);
    server.stop().await;
}

#[tokio::test]
async fn the_author_of_a_message_cannot_be_forged() {
    let server = TestServer::start().await;
    let (admin, alice) = (server.admin().await, server.member("alice").await);

    let made = alice
        .post("/items/messages", &json!({"content": "x", "user_created": admin.id}))
        .await
        .ok();
    assert_eq!(made["user_created"], alice.id.as_str());
    let path = format!("/items/messages/{}", made["id"]);
    alice.patch(&path, &json!({"user_created": admin.id})).await.refused(403, "FORBIDDEN");

    assert_eq!(admin.get(&path).await.ok()["user_created"], alice.id.as_str());
    server.stop().await;
}

#[tokio::test]
async fn presets_fill_in_missing_fields() {
    let server = TestServer::start().await;
    let preset = Permission::to("create", "messages").presets(json!({"content": "nothing said"}));
    let permissions = [preset, Permission::to("read", "messages")];
    let writer = server.user_with("writer", &permissions).await;

    let filled = writer.post("/items/messages", &json!({})).await.ok();
    let said = writer.post("/items/messages", &json!({"content": "said"})).await.ok();
    let null = writer.post("/items/messages", &json!({"content": null})).await;

    assert_eq!(filled["content"], "nothing said");
    assert_eq!(said["content"], "said");
    null.refused(400, "FAILED_VALIDATION");
    server.stop().await;
}

#[tokio::test]
async fn failed_validation_names_the_rule_and_writes_nothing() {
    let server = TestServer::start().await;
    let rule =
        json!({"_and": [{"content": {"_nnull": true}}, {"content": {"_starts_with": "ok"}}]});
    let permissions = [
        Permission::to("create", "messages").validation(rule.clone()),
        Permission::to("update", "messages").validation(rule),
        Permission::to("read", "messages"),
    ];
    let writer = server.user_with("writer", &permissions).await;
    let mut socket = Socket::signed_in(&server, &writer).await;
    let id = writer.say("ok then").await;

    let wrong = writer.post("/items/messages", &json!({"content": "no"})).await;
    wrong.refused_with(400, "FAILED_VALIDATION", "Validation failed for field \"content\".");
    assert_eq!(
        wrong.body["errors"][0]["extensions"],
        json!({"field": "content", "path": [], "type": "starts_with", "substring": "ok", "code": "FAILED_VALIDATION"})
    );
    let null = writer.post("/items/messages", &json!({"content": null})).await;
    let words = "Validation failed for field \"content\". Value can't be null.";
    null.refused_with(400, "FAILED_VALIDATION", words);
    let missing = writer.post("/items/messages", &json!({})).await;
    let words = "Validation failed for field \"content\". Value is required.";
    missing.refused_with(400, "FAILED_VALIDATION", words);
    let path = format!("/items/messages/{id}");
    writer.patch(&path, &json!({"content": "no"})).await.refused(400, "FAILED_VALIDATION");
    let list = json!([{"content": "ok"}, {"content": "no"}]);
    writer.post("/items/messages", &list).await.refused(400, "FAILED_VALIDATION");
    let frame = json!({"type": "items", "collection": "messages", "action": "update", "id": id, "data": {"content": "no"}});
    assert_eq!(socket.ask(&frame).await["error"]["code"], "FAILED_VALIDATION");

    let there = writer.get("/items/messages?fields=id,content").await.ok();
    assert_eq!(there, json!([{"id": id, "content": "ok then"}]));
    server.stop().await;
}

#[tokio::test]
async fn readable_fields_may_differ_between_items() {
    let server = TestServer::start().await;
    let permissions = [
        Permission::to("read", "messages").fields(&["id"]),
        Permission::to("read", "messages")
            .fields(&["content"])
            .on(json!({"content": {"_starts_with": "open"}})),
    ];
    let reader = server.user_with("reader", &permissions).await;
    let admin = server.admin().await;
    for content in ["secret", "open", "secret as well"] {
        admin.say(content).await;
    }

    let list = reader.get("/items/messages?fields=id,content").await.ok();
    let secret = |id: i64| json!({"id": id, "content": null});
    assert_eq!(list, json!([secret(1), {"id": 2, "content": "open"}, secret(3)]));
    assert_eq!(reader.get("/items/messages/1").await.ok(), secret(1));
    // A field that is hidden in an item cannot be filtered by either.
    for filter in ["[_starts_with]=secret", "[_neq]=x", "[_nnull]=true", "[_contains]=e"] {
        let found = reader.get(&format!("/items/messages?fields=id&filter[content]{filter}")).await;
        let found = found.ok();
        assert!(
            !found.to_string().contains('1') && !found.to_string().contains('3'),
            "{filter}: {found}"
        );
    }
    let found = reader.get("/items/messages?fields=id&search=secret").await.ok();
    assert_eq!(found, json!([]));
    let mut socket = Socket::signed_in(&server, &reader).await;
    socket.subscribe("s", json!({"query": {"fields": "id,content"}})).await;
    admin.say("secret again").await;
    assert_eq!(socket.next().await["data"], json!([secret(4)]));
    server.stop().await;
}

#[tokio::test]
async fn update_permissions_for_different_items_do_not_combine() {
    let server = TestServer::start().await;
    let on = |content: &str| json!({"content": {"_eq": content}});
    let permissions = [
        Permission::to("update", "messages").fields(&["content"]).on(on("a")),
        Permission::to("update", "messages").fields(&["date_created"]).on(on("b")),
        Permission::to("read", "messages"),
    ];
    let writer = server.user_with("writer", &permissions).await;
    let admin = server.admin().await;
    admin.say("a").await;
    admin.say("b").await;
    let before = admin.get("/items/messages").await.ok();

    for (id, payload) in [
        (2, json!({"content": "x"})),
        (1, json!({"content": "x", "date_created": "2001-01-01T00:00:00Z"})),
        (2, json!({"content": "x", "date_created": "2001-01-01T00:00:00Z"})),
    ] {
        writer.patch(&format!("/items/messages/{id}"), &payload).await.refused(403, "FORBIDDEN");
    }
    assert_eq!(admin.get("/items/messages").await.ok(), before);
    writer.patch("/items/messages/1", &json!({"content": "x"})).await.ok();
    server.stop().await;
}
