//! Rules that test for null behind a relation: as in Directus, items with an empty relation match.

use serde_json::json;

use crate::support::{Permission, Socket, TestServer};

#[tokio::test]
async fn null_rules_on_related_fields_match_empty_relations() {
    let server = TestServer::start().await;
    server.allow_public(&[Permission::to("create", "messages")]).await;
    let named = server.member("alice").await;
    let nameless = server.member("bob").await;
    let admin = server.admin().await;
    admin.patch(&format!("/users/{}", nameless.id), &json!({"last_name": null})).await.ok();
    admin.patch(&format!("/users/{}", named.id), &json!({"last_name": "Liddell"})).await.ok();
    let rule = json!({"user_created": {"last_name": {"_null": true}}});
    let reader = server.user_with("reader", &[Permission::to("read", "messages").on(rule)]).await;
    let mut socket = Socket::signed_in(&server, &reader).await;
    socket.subscribe("s", json!({"event": "create", "query": {"fields": ["id"]}})).await;

    named.say("of somebody with a name").await;
    let own = nameless.say("of somebody without").await;
    server.anonymous().post("/items/messages", &json!({"content": "of nobody"})).await.nothing();

    let expected = json!([{"id": own}, {"id": own + 1}]);
    assert_eq!(reader.get("/items/messages?fields=id").await.ok(), expected);
    for id in [own, own + 1] {
        assert_eq!(socket.next().await["data"], json!([{"id": id}]));
    }
    socket.quiet().await;
    server.stop().await;
}

/// An author that the reader may not see is different from no author.
#[tokio::test]
async fn null_filters_do_not_reveal_hidden_related_items() {
    let server = TestServer::start().await;
    server.allow_public(&[Permission::to("create", "messages")]).await;
    let (alice, bob) = (server.member("alice").await, server.member("bob").await);
    let permissions = [
        Permission::to("read", "messages"),
        Permission::to("read", "directus_users").on(json!({"id": {"_eq": alice.id}})),
    ];
    let reader = server.user_with("reader", &permissions).await;
    alice.say("shown").await;
    let hidden = bob.say("hidden author").await;
    server.anonymous().post("/items/messages", &json!({"content": "no author"})).await;

    for filter in [
        json!({"user_created": {"last_name": {"_null": true}}}),
        json!({"user_created": {"id": {"_null": true}}}),
    ] {
        let query = json!({"query": {"filter": filter, "fields": ["id"]}});
        let found = reader.search("/items/messages", &query).await.ok();
        let ids: Vec<i64> =
            found.as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect();
        assert!(!ids.contains(&hidden) && ids.contains(&(hidden + 1)), "{filter}: {ids:?}");
    }
    server.stop().await;
}
