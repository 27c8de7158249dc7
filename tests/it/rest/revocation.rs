//! Revocation: suspension, deletion, signing out or a new password end access at once, since the
//! session is looked up on every use.

use serde_json::json;

use crate::support::{Answer, Permission, TestServer, User};

#[tokio::test]
async fn account_changes_and_logout_revoke_access() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let (nobody, bystander) = (server.anonymous(), server.member("bystander").await);

    for what in ["suspend", "archive", "delete", "password", "email", "logout"] {
        let user = server.member(what).await;
        let second = User::sign_in(&nobody, &user.id, &user.email, &user.password).await;
        user.say("still here").await;
        let path = format!("/users/{}", user.id);

        match what {
            "suspend" => drop(admin.patch(&path, &json!({"status": "suspended"})).await.ok()),
            "archive" => drop(admin.patch(&path, &json!({"status": "archived"})).await.ok()),
            "delete" => admin.delete(&path).await.nothing(),
            "password" => drop(admin.patch(&path, &json!({"password": "new password"})).await.ok()),
            "email" => drop(admin.patch(&path, &json!({"email": "new@example.com"})).await.ok()),
            _ => {
                let body = json!({"refresh_token": user.refresh_token});
                nobody.post("/auth/logout", &body).await.nothing();
            }
        }

        user.get("/users/me").await.unknown();
        user.post("/items/messages", &json!({"content": "gone"})).await.unknown();
        let refresh = json!({"refresh_token": user.refresh_token});
        nobody.post("/auth/refresh", &refresh).await.unknown();
        let other = second.get("/users/me").await;
        assert_eq!(other.status == 200, what == "logout", "{what}: {}", other.text);
    }
    bystander.get("/users/me").await.ok();
    let said = bystander.get("/items/messages?filter[content][_eq]=gone").await.ok();
    assert_eq!(said, json!([]));
    server.stop().await;
}

#[tokio::test]
async fn lifting_a_suspension_does_not_restore_sessions() {
    let server = TestServer::start().await;
    let (admin, alice) = (server.admin().await, server.member("alice").await);
    let path = format!("/users/{}", alice.id);

    admin.patch(&path, &json!({"status": "suspended"})).await.ok();
    admin.patch(&path, &json!({"status": "active"})).await.ok();

    alice.get("/users/me").await.unknown();
    let again = User::sign_in(&server.anonymous(), &alice.id, &alice.email, &alice.password).await;
    again.get("/users/me").await.ok();
    server.stop().await;
}

#[tokio::test]
async fn a_password_change_keeps_only_the_current_cookie_session() {
    let server = TestServer::start().await;
    let own = json!({"id": {"_eq": "$CURRENT_USER"}});
    let permissions = [
        Permission::to("update", "directus_users").fields(&["password"]).on(own.clone()),
        Permission::to("read", "directus_users").fields(&["id"]).on(own),
    ];
    let user = server.user_with("alice", &permissions).await;
    let anyone = server.anonymous();
    let login =
        |password: &str| json!({"email": user.email, "password": password, "mode": "session"});
    let signed_in = anyone.post("/auth/login", &login(&user.password)).await;
    let cookie = signed_in.cookie("directus_session_token").unwrap().split(';').next().unwrap();
    let with_cookie = |method, body: serde_json::Value| {
        let request = anyone.request(method, "/users/me").header("cookie", cookie).json(&body);
        Answer::to(request)
    };

    with_cookie("PATCH", json!({"password": "another password"})).await.ok();
    user.get("/users/me").await.unknown();
    let again = User::sign_in(&anyone, &user.id, &user.email, "another password").await;
    again.patch("/users/me", &json!({"password": "a third password"})).await.ok();

    again.get("/users/me").await.unknown();
    with_cookie("GET", json!(null)).await.unknown();
    server.stop().await;
}

#[tokio::test]
async fn a_static_token_works_until_cleared_or_suspended() {
    let server = TestServer::start().await;
    let (admin, alice) = (server.admin().await, server.member("alice").await);
    let (path, token) = (format!("/users/{}", alice.id), "alice's static token");
    let bot = server.anonymous().bearing(token);
    let set = async |what: serde_json::Value| admin.patch(&path, &what).await.ok();

    bot.get("/users/me").await.unknown();
    assert_eq!(set(json!({"token": token})).await["token"], "**********");
    assert_eq!(bot.get("/users/me").await.ok()["id"], alice.id.as_str());
    set(json!({"status": "suspended"})).await;
    bot.get("/users/me").await.unknown();
    set(json!({"status": "active"})).await;
    bot.get("/users/me").await.ok();
    set(json!({"token": null})).await;
    bot.get("/users/me").await.unknown();
    server.stop().await;
}

#[tokio::test]
async fn permission_changes_apply_to_the_next_request() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let reader = server.user_with("reader", &[]).await;
    let policy = admin.get("/policies?filter[name][_eq]=reader&fields=id").await.ok();

    reader.get("/items/messages").await.refused(403, "FORBIDDEN");
    let given = admin.grant(&policy[0]["id"], &[Permission::to("read", "messages")]).await;
    reader.get("/items/messages").await.ok();
    admin.delete(&format!("/permissions/{}", given[0])).await.nothing();

    reader.get("/items/messages").await.refused(403, "FORBIDDEN");
    server.stop().await;
}
