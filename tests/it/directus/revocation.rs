//! Revocation: suspension, deletion, signing out or a new password end the rights of open sockets
//! before the next event.

use chinwag::config::WebSocketAuth;
use serde_json::json;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;

use crate::directus::handshake::server;
use crate::support::{Permission, Socket, TestServer, User};

#[tokio::test]
async fn revoked_credentials_end_the_access_of_open_sockets() {
    for mode in [WebSocketAuth::Handshake, WebSocketAuth::Public] {
        let server = server(mode).await;
        let (admin, bob) = (server.admin().await, server.member("bob").await);
        let nobody = server.anonymous();

        for way in ["suspend", "delete", "password", "logout", "token"] {
            let user = server.member(way).await;
            let path = format!("/users/{}", user.id);
            let mut socket = if way == "token" {
                admin.patch(&path, &json!({"token": "static"})).await.ok();
                let mut socket = Socket::connect(&server).await;
                socket.send(&json!({"type": "auth", "access_token": "static"})).await;
                socket.expect(&json!({"type": "auth", "status": "ok"})).await;
                socket
            } else {
                Socket::signed_in(&server, &user).await
            };
            let mut witness = Socket::signed_in(&server, &bob).await;
            for (listener, uid) in [(&mut socket, "s"), (&mut witness, "w")] {
                listener.subscribe(uid, json!({"event": "create"})).await;
            }
            bob.say("before").await;
            // Messages of an earlier round may still be in flight when a subscription begins.
            for listener in [&mut socket, &mut witness] {
                while listener.next().await["data"][0]["content"] != "before" {}
            }

            match way {
                "suspend" => drop(admin.patch(&path, &json!({"status": "suspended"})).await.ok()),
                "delete" => admin.delete(&path).await.nothing(),
                "password" => {
                    drop(admin.patch(&path, &json!({"password": "another one"})).await.ok());
                }
                "token" => drop(admin.patch(&path, &json!({"token": null})).await.ok()),
                _ => {
                    let body = json!({"refresh_token": user.refresh_token});
                    nobody.post("/auth/logout", &body).await.nothing();
                }
            }
            bob.say("after").await;

            witness.expect_event("create", "after").await;
            let told = socket.next().await;
            assert_eq!(told["type"], "auth", "{way}: {told}");
            assert_eq!(told["error"]["code"], "AUTH_FAILED", "{way}");
            if mode == WebSocketAuth::Handshake {
                assert_eq!(socket.closed().await, None, "{way}");
            } else {
                let read = json!({"type": "items", "collection": "messages", "action": "read"});
                socket.send(&read).await;
                // Subscriptions may send an error, but no events.
                let answer = loop {
                    let frame = socket.next().await;
                    assert!(frame.get("data").is_none(), "{way}: {frame}");
                    if frame["type"] == "items" {
                        break frame;
                    }
                };
                assert_eq!(answer["error"]["code"], "FORBIDDEN", "{way}");
            }
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn permission_changes_apply_to_the_next_event() {
    let server = server(WebSocketAuth::Public).await;
    let (admin, bob) = (server.admin().await, server.member("bob").await);
    let reader = server.user_with("reader", &[]).await;
    let policy =
        admin.get("/policies?filter[name][_eq]=reader&fields=id").await.ok()[0]["id"].clone();
    let given = admin.grant(&policy, &[Permission::to("read", "messages")]).await;
    let mut socket = Socket::signed_in(&server, &reader).await;
    socket.subscribe("s", json!({"event": "create"})).await;

    bob.say("one").await;
    socket.expect_event("create", "one").await;
    let path = format!("/permissions/{}", given[0]);
    admin.patch(&path, &json!({"fields": ["id", "content"]})).await.ok();
    bob.say("two").await;
    let shown = socket.expect_event("create", "two").await["data"].clone();
    assert_eq!(shown, json!([{"id": 2, "content": "two"}]));
    admin.patch(&path, &json!({"permissions": {"content": {"_neq": "three"}}})).await.ok();
    bob.say("three").await;
    bob.say("four").await;
    socket.expect_event("create", "four").await;

    admin.delete(&path).await.nothing();
    bob.say("five").await;
    let told = socket.next().await;
    assert_eq!(
        (told["type"].as_str(), told["error"]["code"].as_str()),
        (Some("subscription"), Some("FORBIDDEN"))
    );
    socket.quiet().await;
    server.stop().await;
}

#[tokio::test]
async fn removing_a_role_revokes_its_permissions() {
    let server = server(WebSocketAuth::Public).await;
    let (admin, alice, bob) =
        (server.admin().await, server.member("alice").await, server.member("bob").await);
    let mut socket = Socket::signed_in(&server, &alice).await;
    socket.subscribe("s", json!({"event": "create"})).await;
    bob.say("one").await;
    socket.expect_event("create", "one").await;

    admin.patch(&format!("/users/{}", alice.id), &json!({"role": null})).await.ok();
    bob.say("two").await;

    let told = socket.next().await;
    assert_eq!(
        (told["event"].as_str(), told["error"]["code"].as_str()),
        (Some("error"), Some("FORBIDDEN"))
    );
    let read = json!({"type": "items", "collection": "messages", "action": "read"});
    assert_eq!(socket.ask(&read).await["error"]["code"], "FORBIDDEN");
    server.stop().await;
}

#[tokio::test]
async fn a_suspended_account_cannot_act_while_delivery_is_delayed() {
    let server = server(WebSocketAuth::Public).await;
    server.allow_public(&[Permission::to("read", "messages")]).await;
    let (admin, alice) = (server.admin().await, server.member("alice").await);
    let mut socket = Socket::signed_in(&server, &alice).await;
    socket.say("before").await;

    let held = server.app().services().hub.hold().await;
    // Deliveries are held from here on, and so are all actions that depend on them.
    admin.say("on its way").await;
    let path = format!("/users/{}", alice.id);
    admin.patch(&path, &json!({"status": "suspended"})).await.ok();

    for action in ["create", "update", "delete"] {
        let frame = json!({"type": "items", "collection": "messages", "action": action, "id": 1,
            "data": {"content": "suspended"}});
        assert_eq!(socket.ask(&frame).await["error"]["code"], "FORBIDDEN", "{action}");
    }
    let typing = socket.ask(&json!({"type": "typing", "action": "start"})).await;
    assert_eq!(typing["error"]["code"], "FORBIDDEN");
    let stored = admin.get("/items/messages?fields=id,content").await.ok();
    assert_eq!(stored[0], json!({"id": 1, "content": "before"}));
    assert_eq!(stored.as_array().unwrap().len(), 2);

    drop(held);
    while socket.next().await["error"]["code"] != "AUTH_FAILED" {}
    server.stop().await;
}

#[tokio::test]
async fn a_suspended_account_cannot_publish_to_topics() {
    let server = server(WebSocketAuth::Public).await;
    server.allow_public(&[Permission::to("read", "messages")]).await;
    let (admin, alice) = (server.admin().await, server.member("alice").await);
    let mut topics = Socket::open(topics_request(&server, &alice)).await.unwrap();
    assert_eq!(topics.next().await["topic"], "_internal");

    let held = server.app().services().hub.hold().await;
    // Deliveries are held from here on, and so are all actions that depend on them.
    admin.say("on its way").await;
    let path = format!("/users/{}", alice.id);
    admin.patch(&path, &json!({"status": "suspended"})).await.ok();

    topics
        .send(&json!({"type": "publish", "topic": "chat", "payload": {"text": "suspended"}}))
        .await;
    let refused = loop {
        let frame = topics.next().await;
        if frame["status"] == "error" {
            break frame;
        }
    };
    assert_eq!(refused["error"]["code"], "FORBIDDEN");
    let stored = admin.get("/items/messages?fields=content").await.ok();
    assert_eq!(stored, json!([{"content": "on its way"}]));

    drop(held);
    while topics.next().await["error"]["code"] != "AUTH_FAILED" {}
    server.stop().await;
}

fn topics_request(server: &TestServer, user: &User) -> Request {
    let url = format!("ws://{}/_ws?access_token={}", server.address, user.token);
    url.into_client_request().unwrap()
}
