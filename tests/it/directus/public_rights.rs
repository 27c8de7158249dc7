//! A connection whose sign-in failed, ended or never happened has the rights of the Public policy,
//! and no more. Servers of this kind had this flaw: they took a missing identity for the system.

use chinwag::config::WebSocketAuth;
use serde_json::Value as Json;
use serde_json::json;

use crate::directus::handshake::server;
use crate::support::{Permission, Socket, TestServer, User};

fn items(action: &str, more: Json) -> Json {
    let mut frame = more;
    frame["type"] = json!("items");
    frame["collection"] = json!("messages");
    frame["action"] = json!(action);
    frame
}

/// The ways in which an administrator's connection falls back to the public.
const WAYS: [&str; 5] = ["never", "bad token", "bad password", "bad refresh token", "logout"];

/// Returns a connection that was an administrator's, with subscriptions from that time.
async fn fallen(server: &TestServer, admin: &User, way: &str) -> Socket {
    let mut socket = Socket::connect(server).await;
    if way == "never" {
        return socket;
    }
    socket.auth(admin).await;
    socket.subscribe("messages", json!({"event": "create"})).await;
    socket.subscribe("users", json!({"event": "update", "collection": "directus_users"})).await;
    let frame = match way {
        "bad token" => json!({"type": "auth", "access_token": "bad"}),
        "bad password" => json!({"type": "auth", "email": admin.email, "password": "bad"}),
        "bad refresh token" => json!({"type": "auth", "refresh_token": "bad"}),
        _ => json!({"type": "auth", "action": "logout"}),
    };
    socket.send(&frame).await;
    // Skips the error and the notice of each subscription that lost access, in any order.
    socket.send(&json!({"type": "ping"})).await;
    while socket.next().await["type"] != "pong" {}
    socket
}

#[tokio::test]
async fn a_signed_out_connection_has_no_access_without_public_rights() {
    let server = server(WebSocketAuth::Public).await;
    let admin = server.admin().await;
    let id = admin.say("the administrator's").await;
    let before = admin.get("/items/messages").await.ok();

    for way in WAYS {
        let mut socket = fallen(&server, &admin, way).await;
        for frame in [
            items("create", json!({"data": {"content": "x"}})),
            items("create", json!({"data": {"id": 77, "content": "x"}})),
            items("read", json!({})),
            items("read", json!({"id": id})),
            items("read", json!({"query": {"fields": "user_created.email,user_created.password"}})),
            items("read", json!({"query": {"meta": "*", "limit": 0}})),
            items("update", json!({"id": id, "data": {"content": "x"}})),
            items("update", json!({"data": [{"id": id, "content": "x"}]})),
            items(
                "update",
                json!({"query": {"filter": {"id": {"_gt": 0}}}, "data": {"content": "x"}}),
            ),
            items("delete", json!({"id": id})),
            items("delete", json!({"ids": [id]})),
            items("delete", json!({"query": {"limit": -1}})),
        ] {
            let answer = socket.ask(&frame).await;
            assert_eq!(answer["error"]["code"], "FORBIDDEN", "{way}: {frame} {answer}");
        }
        assert_eq!(admin.get("/items/messages").await.ok(), before, "{way}");
        for collection in ["messages", "directus_users", "directus_sessions", "directus_access"] {
            let frame = json!({"type": "subscribe", "collection": collection, "uid": collection});
            let answer = socket.ask(&frame).await;
            assert_eq!(answer["status"], "error", "{way}: {collection} {answer}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_signed_out_connection_reads_only_public_data() {
    let server = server(WebSocketAuth::Public).await;
    let some = Permission::to("read", "messages").fields(&["id", "content"]);
    server.allow_public(&[some.on(json!({"content": {"_starts_with": "open"}}))]).await;
    let (admin, alice) = (server.admin().await, server.member("alice").await);
    admin.say("open").await;
    admin.say("secret").await;

    for way in WAYS {
        let mut socket = fallen(&server, &admin, way).await;
        let list = socket.ask(&items("read", json!({"query": {"limit": 2}}))).await;
        assert_eq!(list["data"][0], json!({"id": 1, "content": "open"}), "{way}");
        let all = socket.ask(&items("read", json!({"query": {"meta": "total_count"}}))).await;
        let total =
            admin.get("/items/messages?filter[content][_starts_with]=open&meta=filter_count");
        assert_eq!(all["meta"]["total_count"], total.await.body["meta"]["filter_count"], "{way}");

        // Subscriptions made by the administrator deliver the events that the public may read.
        if way != "never" {
            alice.say("secret of alice").await;
            let id = alice.say("open to all").await;
            socket
                .expect(&json!({"type": "subscription", "event": "create",
                    "data": [{"id": id, "content": "open to all"}], "uid": "messages"}))
                .await;
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn in_handshake_mode_a_signed_out_connection_has_no_rights_at_all() {
    let server = server(WebSocketAuth::Handshake).await;
    server
        .allow_public(&[Permission::to("read", "messages"), Permission::to("create", "messages")])
        .await;
    let admin = server.admin().await;
    admin.say("here").await;

    let mut socket = fallen(&server, &admin, "logout").await;

    for frame in [items("read", json!({})), items("create", json!({"data": {}}))] {
        assert_eq!(socket.ask(&frame).await["error"]["code"], "FORBIDDEN");
    }
    assert_eq!(admin.get("/items/messages?fields=id").await.ok(), json!([{"id": 1}]));
    server.stop().await;
}
