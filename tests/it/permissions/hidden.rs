//! Hidden fields: their values cannot be found by a filter, sort order, search, aggregate or alias,
//! at any entry point.

use serde_json::Value as Json;
use serde_json::json;

use crate::support::{Permission, Socket, TestServer};

/// Queries that would reveal `content`, an author's email address, or a password.
fn queries() -> Vec<Json> {
    vec![
        json!({"filter": {"content": {"_starts_with": "s"}}}),
        json!({"filter": {"content": {"_null": true}}}),
        json!({"filter": {"_or": [{"id": {"_gt": 0}}, {"content": {"_contains": "e"}}]}}),
        json!({"filter": {"_and": [{"_or": [{"content": "secret"}]}]}}),
        json!({"filter": {"user_created": {"email": {"_contains": "@"}}}}),
        json!({"filter": {"user_created": {"password": {"_nnull": true}}}}),
        json!({"filter": {"user_created": {"role": {"name": {"_nnull": true}}}}}),
        json!({"filter": {"user_updated": {"first_name": {"_nnull": true}}}}),
        json!({"sort": "content"}),
        json!({"sort": ["-content"]}),
        json!({"sort": "user_created.email"}),
        json!({"sort": "user_created.role.name"}),
        json!({"fields": "content"}),
        json!({"fields": ["id", "user_created.email"]}),
        json!({"fields": "user_created.password"}),
        json!({"fields": "user_created.role.name"}),
        json!({"meta": "filter_count", "limit": 0, "filter": {"content": {"_eq": "secret"}}}),
    ]
}

#[tokio::test]
async fn hidden_fields_cannot_be_queried() {
    let server = TestServer::start().await;
    let permissions = [
        Permission::to("read", "messages").fields(&["id", "user_created"]),
        Permission::to("read", "directus_users").fields(&["id", "first_name"]),
    ];
    let (admin, reader) = (server.admin().await, server.user_with("reader", &permissions).await);
    admin.say("secret").await;
    let mut socket = Socket::signed_in(&server, &reader).await;

    for query in queries() {
        let over_rest = reader.search("/items/messages", &json!({"query": query})).await;
        over_rest.refused(403, "FORBIDDEN");
        let read =
            json!({"type": "items", "collection": "messages", "action": "read", "query": query});
        assert_eq!(socket.ask(&read).await["error"]["code"], "FORBIDDEN", "{query}");
        for event in [json!(null), json!("create"), json!("delete")] {
            let subscribe = json!({"type": "subscribe", "collection": "messages", "event": event, "query": query});
            assert_eq!(socket.ask(&subscribe).await["error"]["code"], "FORBIDDEN", "{query}");
        }
    }
    // `*` omits hidden fields, and a search does not include them.
    let all = reader.get("/items/messages?fields=*").await.ok();
    assert_eq!(all, json!([{"id": 1, "user_created": admin.id}]));
    assert_eq!(reader.get("/items/messages?search=secret").await.ok(), json!([]));
    server.stop().await;
}

#[tokio::test]
async fn aliases_and_aggregates_do_not_reveal_hidden_fields() {
    let server = TestServer::start().await;
    let permissions = [Permission::to("read", "messages").fields(&["id"])];
    let (admin, reader) = (server.admin().await, server.user_with("reader", &permissions).await);
    admin.say("a-secret").await;

    for query in [
        "alias[a]=content&fields=id,a",
        "aggregate[min]=content",
        "aggregate[count]=content",
        "groupBy[]=content",
        "deep[user_created][_filter][email][_contains]=@",
        "export=json&fields=content",
        "fields=id,content:x",
        "fields=year(date_created)",
    ] {
        let answer = reader.get(&format!("/items/messages?{query}")).await;
        assert!(answer.status < 500, "{query}: {}", answer.text);
        assert!(!answer.text.contains("a-secret"), "{query}: {}", answer.text);
        assert!(!answer.text.contains("admin@"), "{query}: {}", answer.text);
    }
    server.stop().await;
}

#[tokio::test]
async fn related_items_are_limited_to_readable_ones() {
    let server = TestServer::start().await;
    let some = json!({"first_name": {"_eq": "alice"}});
    let permissions = [
        Permission::to("read", "messages"),
        Permission::to("read", "directus_users").fields(&["id", "first_name"]).on(some),
    ];
    let reader = server.user_with("reader", &permissions).await;
    let (alice, bob) = (server.member("alice").await, server.member("bob").await);
    alice.say("alice's").await;
    bob.say("bob's").await;

    let list = reader.get("/items/messages?fields=content,user_created.first_name").await.ok();
    assert_eq!(
        list,
        json!([{"content": "alice's", "user_created": {"first_name": "alice"}},
            {"content": "bob's", "user_created": null}])
    );
    for filter in ["[first_name][_eq]=bob", "[first_name][_starts_with]=b"] {
        let path = format!("/items/messages?filter[user_created]{filter}&meta=filter_count");
        let found = reader.get(&path).await.body;
        assert_eq!(found["data"], json!([]), "{filter}");
        assert_eq!(found["meta"]["filter_count"], 0, "{filter}");
    }
    reader.get("/items/messages?sort=user_created.first_name").await.refused(403, "FORBIDDEN");
    server.stop().await;
}

#[tokio::test]
async fn secrets_cannot_be_read_or_searched_even_by_administrators() {
    let server = TestServer::start().await;
    let (admin, alice) = (server.admin().await, server.member("alice").await);
    let path = format!("/users/{}", alice.id);
    admin.patch(&path, &json!({"token": "a static token"})).await.ok();

    let shown = admin.get(&format!("{path}?fields=password,token,tfa_secret")).await.ok();
    let stars = "**********";
    assert_eq!(shown, json!({"password": stars, "token": stars, "tfa_secret": null}));
    for filter in [
        "[password][_starts_with]=$argon2",
        "[token][_eq]=a",
        "[password][_contains]=a",
        "[token][_in]=a,b",
        "[password][_neq]=x",
    ] {
        admin.get(&format!("/users?filter{filter}")).await.refused(400, "INVALID_QUERY");
    }
    admin.get("/users?filter[token][_nnull]=true&fields=id").await.ok();
    for text in ["argon2", "$argon2id", "static"] {
        assert_eq!(admin.get(&format!("/users?search={text}")).await.ok(), json!([]), "{text}");
    }
    server.stop().await;
}
