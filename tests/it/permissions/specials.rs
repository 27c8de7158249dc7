//! Server-managed fields cannot be set at any entry point, not even by administrators.

use serde_json::Value as Json;
use serde_json::json;

use crate::support::{Permission, Socket, TestServer, User};

const NOON: &str = "2026-01-31T12:00:00.000Z";

/// A message with authors and times made up by a client.
fn made_up(content: &str) -> Json {
    let (author, at) = ("a7e169a7-0000-4000-8000-00000000000a", "2001-01-01T00:00:00Z");
    json!({"content": content, "user_created": author, "date_created": at, "user_updated": author,
        "date_updated": at})
}

fn with(mut payload: Json, name: &str, value: Json) -> Json {
    payload[name] = value;
    payload
}

/// Returns the server-managed fields of all messages.
async fn kept(admin: &User) -> Vec<Json> {
    let list = admin
        .get("/items/messages?fields=user_created,date_created,user_updated,date_updated")
        .await
        .ok();
    list.as_array().unwrap().clone()
}

#[tokio::test]
async fn clients_cannot_set_authors_or_timestamps() {
    let server = TestServer::at_noon(|_| {}).await;
    let admin = server.admin().await;
    let all = ["create", "read", "update"].map(|action| Permission::to(action, "messages"));
    let writer = server.user_with("writer", &all).await;

    for author in [&admin, &writer] {
        let mut socket = Socket::signed_in(&server, author).await;
        let frame = |action: &str, more: Json| {
            let frame = json!({"type": "items", "collection": "messages", "action": action});
            more.as_object()
                .unwrap()
                .iter()
                .fold(frame, |frame, (name, value)| with(frame, name, value.clone()))
        };
        let first = kept(&admin).await.len();
        author.post("/items/messages", &made_up("a")).await.ok();
        author.post("/items/messages", &json!([made_up("b"), made_up("c")])).await.ok();
        for data in [made_up("d"), json!([made_up("e"), made_up("f")])] {
            let made = socket.ask(&frame("create", json!({"data": data}))).await;
            assert!(made["data"].is_object() || made["data"].is_array(), "{made}");
        }

        let made = kept(&admin).await.split_off(first);

        let by_author = json!({"user_created": author.id, "date_created": NOON, "user_updated": null,
            "date_updated": null});
        assert_eq!(made, vec![by_author; 6]);

        let list = author.get("/items/messages?fields=id&sort=-id&limit=6").await.ok();
        let ids: Vec<Json> = list.as_array().unwrap().iter().map(|one| one["id"].clone()).collect();
        let data = made_up("x");
        let one = |id: &Json| json!({"id": {"_eq": id}});
        author.patch(&format!("/items/messages/{}", ids[0]), &data).await.ok();
        author.patch("/items/messages", &json!({"keys": [ids[1]], "data": data})).await.ok();
        let by_query = json!({"query": {"filter": one(&ids[2])}, "data": data});
        author.patch("/items/messages", &by_query).await.ok();
        let each = json!([with(made_up("x"), "id", ids[3].clone())]);
        author.patch("/items/messages", &each).await.ok();
        for more in [
            json!({"id": ids[4], "data": data}),
            json!({"ids": [ids[5]], "data": data}),
            json!({"query": {"filter": one(&ids[0])}, "data": data}),
            json!({"data": [with(made_up("x"), "id", ids[1].clone())]}),
        ] {
            let changed = socket.ask(&frame("update", more)).await;
            assert!(changed.get("error").is_none(), "{changed}");
        }

        let changed = kept(&admin).await.split_off(first);

        let by_author = json!({"user_created": author.id, "date_created": NOON,
            "user_updated": author.id, "date_updated": NOON});
        assert_eq!(changed, vec![by_author; 6]);
    }
    server.stop().await;
}

#[tokio::test]
async fn secrets_are_hashed_and_masked_at_every_entry_point() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let bob = server.member("bob").await;
    let fields = "fields=password,token,tfa_secret";
    let secrets = |token: &str| json!({"password": "a new password of his", "token": token});
    let hidden = json!({"password": "**********", "token": "**********", "tfa_secret": null});

    let carol = with(secrets("of-carol"), "email", json!("carol@example.com"));
    assert_eq!(admin.post(&format!("/users?{fields}"), &carol).await.ok(), hidden);
    let dora = with(secrets("of-dora"), "email", json!("dora@example.com"));
    assert_eq!(admin.post(&format!("/users?{fields}"), &json!([dora])).await.ok(), json!([hidden]));
    let path = format!("/users/{}?{fields}", bob.id);
    assert_eq!(admin.patch(&path, &secrets("t1")).await.ok(), hidden);
    let many = format!("/users?{fields}");
    let query = json!({"filter": {"id": {"_eq": bob.id}}});
    for body in [
        json!({"keys": [bob.id], "data": secrets("t2")}),
        json!({"query": query, "data": secrets("t3")}),
        json!([with(secrets("t4"), "id", json!(bob.id))]),
    ] {
        assert_eq!(admin.patch(&many, &body).await.ok(), json!([hidden]), "{body}");
        let login = json!({"email": bob.email, "password": "a new password of his"});
        server.anonymous().post("/auth/login", &login).await.ok();
    }
    assert_eq!(
        server.anonymous().bearing("t4").get("/users/me?fields=id").await.ok()["id"],
        bob.id.as_str()
    );
    server.anonymous().bearing("t3").get("/users/me").await.unknown();

    for (name, value) in [("tfa_secret", json!("x")), ("last_access", json!(NOON))] {
        let data = json!({name: value});
        for (method, path, body) in [
            ("POST", "/users".to_owned(), with(data.clone(), "email", json!("e@example.com"))),
            ("PATCH", format!("/users/{}", bob.id), data.clone()),
            ("PATCH", "/users".to_owned(), json!({"keys": [bob.id], "data": data})),
            ("PATCH", "/users".to_owned(), json!({"query": query, "data": data})),
            ("PATCH", "/users".to_owned(), json!([with(data.clone(), "id", json!(bob.id))])),
            ("PATCH", "/users/me".to_owned(), data.clone()),
        ] {
            let answer = admin.send_json(method, &path, &body).await;
            assert_eq!((answer.status, answer.code()), (400, "INVALID_PAYLOAD"), "{method} {path}");
        }
    }
    server.stop().await;
}
