//! Scope of rules: for lists of keys, for several permissions side by side, and for presets.

use serde_json::Value as Json;
use serde_json::json;

use crate::support::{Permission, TestServer};

#[tokio::test]
async fn relation_key_lists_contain_only_readable_items() {
    let server = TestServer::start().await;
    let own = json!({"id": {"_eq": "$CURRENT_USER"}});
    let permissions = [
        Permission::to("read", "directus_roles"),
        Permission::to("read", "directus_users").on(own),
    ];
    let alice = server.user_with("alice", &permissions).await;
    let admin = server.admin().await;
    let role = admin.get(&format!("/users/{}?fields=role", alice.id)).await.ok()["role"].clone();
    let bob = json!({"email": "bob@example.com", "role": role});
    admin.post("/users", &bob).await.ok();

    for query in ["fields=users", "fields=*", "fields=id,users", ""] {
        let roles = alice.get(&format!("/roles?{query}")).await.ok();
        let users: Vec<&Json> = roles
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|role| role["users"].as_array().unwrap())
            .collect();
        assert_eq!(users, [&json!(alice.id)], "{query}");
    }
    let all = admin.get("/roles?fields=users").await.ok();
    assert!(all.to_string().contains(&admin.id), "{all}");
    server.stop().await;
}

#[tokio::test]
async fn permissions_without_row_rules_combine_their_fields() {
    let server = TestServer::start().await;
    let permissions = [
        Permission::to("read", "messages").fields(&["id"]),
        Permission::to("read", "messages").fields(&["content"]),
        Permission::to("read", "messages").fields(&["user_created"]),
        Permission::to("read", "directus_users").fields(&["first_name"]),
        Permission::to("read", "directus_users")
            .fields(&["email"])
            .on(json!({"id": {"_eq": "$CURRENT_USER"}})),
    ];
    let reader = server.user_with("reader", &permissions).await;
    let (alice, bob) = (server.member("alice").await, server.member("bob").await);
    bob.say("a").await;
    alice.say("a").await;
    alice.say("b").await;

    let both = json!({"_and": [{"id": {"_gt": 1}}, {"content": {"_eq": "a"}}]});
    let either = json!({"_or": [{"id": {"_eq": 1}}, {"content": {"_eq": "b"}}]});
    let related = json!({"user_created": {"first_name": {"_eq": "bob"}}, "id": {"_gt": 0}});
    for (filter, ids) in [
        (both, json!([{"id": 2}])),
        (either, json!([{"id": 1}, {"id": 3}])),
        (related, json!([{"id": 1}])),
    ] {
        let query = json!({"query": {"filter": filter, "fields": "id"}});
        assert_eq!(reader.search("/items/messages", &query).await.ok(), ids, "{filter}");
    }
    let sorted =
        async |sort: &str| reader.get(&format!("/items/messages?fields=id&sort={sort}")).await;
    let ids = |ids: [i64; 3]| json!(ids.map(|id| json!({"id": id})));
    assert_eq!(sorted("-content,-id").await.ok(), ids([3, 2, 1]));
    assert_eq!(sorted("user_created.first_name,-id").await.ok(), ids([3, 2, 1]));
    assert_eq!(sorted("-user_created.first_name,id").await.ok(), ids([1, 2, 3]));
    sorted("user_created.email").await.refused(403, "FORBIDDEN");
    server.stop().await;
}

#[tokio::test]
async fn presets_resolve_the_current_user_and_role() {
    let server = TestServer::start().await;
    let preset = Permission::to("create", "messages").presets(json!({"content": "$CURRENT_USER"}));
    let naming = Permission::to("update", "directus_users")
        .fields(&["first_name"])
        .presets(json!({"last_name": "$CURRENT_USER", "title": "$CURRENT_ROLE"}))
        .on(json!({"id": {"_eq": "$CURRENT_USER"}}));
    let read = ["messages", "directus_users"].map(|collection| Permission::to("read", collection));
    let permissions = [preset, naming, read[0].clone(), read[1].clone()];
    let writer = server.user_with("writer", &permissions).await;

    let made = writer.post("/items/messages", &json!({})).await.ok();
    let said = writer.post("/items/messages", &json!({"content": "said"})).await.ok();
    writer.patch("/users/me", &json!({"first_name": "W"})).await.ok();

    assert_eq!((&made["content"], &said["content"]), (&json!(writer.id), &json!("said")));
    let me = writer.get("/users/me?fields=first_name,last_name,title,role").await.ok();
    assert_eq!((&me["first_name"], &me["last_name"]), (&json!("W"), &json!(writer.id)));
    assert_eq!(me["title"], me["role"]);
    server.stop().await;
}
