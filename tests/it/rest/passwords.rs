//! Password rules, at every entry point that sets a password.

use chinwag::config::Pattern;
use chinwag::domain::Error;
use serde_json::Value as Json;
use serde_json::json;

use crate::support::{Permission, TestServer, User};

/// Refused passwords, and their errors.
const REFUSED: [(&str, &str, &str); 4] = [
    ("sevensz", "min_length", "Value has to be at least \"8\" characters long."),
    ("password", "common", "Value is a very common password: choose another."),
    ("Iloveyou", "common", "Value is a very common password: choose another."),
    ("no digit here", "regex", "Value doesn't have the correct format."),
];

async fn server() -> TestServer {
    TestServer::with(|config| {
        config.auth.password_policy = Some(Pattern::parse("/[0-9]|'s password/").unwrap());
        config.bootstrap.admin_password =
            Some(chinwag::config::Secret("the administrator's password".to_owned()));
    })
    .await
}

#[tokio::test]
async fn a_password_cannot_be_set_to_null() {
    let server = server().await;
    let (admin, alice) = (server.admin().await, server.member("alice").await);
    let path = format!("/users/{}", alice.id);
    let set = json!({"first_name": "Renamed", "password": null});

    for (who, method, path, body) in [
        (&alice, "PATCH", "/users/me", set.clone()),
        (&admin, "PATCH", "/users/me", set.clone()),
        (&admin, "PATCH", path.as_str(), set.clone()),
        (&admin, "PATCH", "/users", json!({"keys": [alice.id], "data": set})),
    ] {
        let answer = who.send_json(method, path, &body).await;
        answer.refused(400, "FAILED_VALIDATION");
        let extensions = &answer.body["errors"][0]["extensions"];
        assert_eq!(
            (&extensions["field"], &extensions["type"]),
            (&json!("password"), &json!("nnull"))
        );
    }

    assert_ne!(alice.get("/users/me").await.ok()["first_name"], "Renamed");
    let login = json!({"email": alice.email, "password": alice.password});
    server.anonymous().post("/auth/login", &login).await.ok();
    // An account without a password stays without one.
    let invited =
        admin.post("/users", &json!({"email": "b@example.com", "password": null})).await.ok();
    let path = format!("/users/{}", invited["id"].as_str().unwrap());
    assert_eq!(admin.patch(&path, &set).await.ok()["first_name"], "Renamed");
    server.stop().await;
}

#[tokio::test]
async fn accounts_cannot_remove_their_own_email_address() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let own = Permission::to("update", "directus_users").on(json!({"id": "$CURRENT_USER"}));
    let alice = server.user_with("alice", &[Permission::to("read", "directus_users"), own]).await;

    let sent = json!({"first_name": "Alice", "email": null});
    for user in [&alice, &admin] {
        user.patch("/users/me", &sent).await.refused(400, "FAILED_VALIDATION");
        user.patch(&format!("/users/{}", user.id), &sent).await.refused(400, "FAILED_VALIDATION");
        user.get("/users/me").await.ok();
    }
    // An administrator may remove the address of an account, so that it signs in with a token only.
    admin.patch(&format!("/users/{}", alice.id), &sent).await.ok();
    server.stop().await;
}

#[tokio::test]
async fn invisible_static_tokens_are_refused() {
    let server = TestServer::start().await;
    let admin = server.admin().await;

    for token in [" ", "\t", "\u{200b}", "\u{a0}\u{3164}"] {
        let answer = admin.patch("/users/me", &json!({"token": token})).await;
        answer.refused(400, "INVALID_PAYLOAD");
    }
    server.stop().await;
}

#[tokio::test]
async fn weak_passwords_are_refused_by_every_entry_point() {
    let server = server().await;
    let (admin, alice) = (server.admin().await, server.member("alice").await);
    let path = format!("/users/{}", alice.id);
    let keys = json!([alice.id]);

    for (password, kind, words) in REFUSED {
        let message = format!("Validation failed for field \"password\". {words}");
        let set = json!({"password": password});
        let new = json!({"email": "new@example.com", "password": password});
        for (who, method, path, body) in [
            (&admin, "POST", "/users", new.clone()),
            (&admin, "POST", "/users", json!([new])),
            (&admin, "PATCH", path.as_str(), set.clone()),
            (&admin, "PATCH", "/users", json!({"keys": keys, "data": set})),
            (&admin, "PATCH", "/users", json!([{"id": alice.id, "password": password}])),
            (&alice, "PATCH", "/users/me", set.clone()),
        ] {
            let answer = who.send_json(method, path, &body).await;
            answer.refused_with(400, "FAILED_VALIDATION", &message);
            assert_eq!(answer.body["errors"][0]["extensions"]["type"], kind);
            // Directus includes the refused password in the error.
            assert!(!answer.text.contains(password) || kind == "common", "{}", answer.text);
            assert!(answer.body["errors"][0]["extensions"].get("invalid").is_none());
        }
        let accounts = &server.app().services().accounts;
        let made = accounts.create("new@example.com", None, None, Some(password)).await;
        assert!(matches!(made, Err(Error::FailedValidation(_))), "{made:?}");
        let set = accounts.set_password(&alice.email, Some(password)).await;
        assert!(matches!(set, Err(Error::FailedValidation(_))), "{set:?}");
    }
    let found = admin.get("/users?filter[email][_eq]=new@example.com").await.ok();
    assert_eq!(found, json!([]));
    alice.get("/users/me").await.ok();
    server.stop().await;
}

#[tokio::test]
async fn passwords_are_used_verbatim_up_to_the_maximum_length() {
    let server = TestServer::start().await;
    let (admin, anyone) = (server.admin().await, server.anonymous());
    let alice = server.member("alice").await;
    let path = format!("/users/{}", alice.id);
    let login = async |password: &str| {
        let body: Json = json!({"email": alice.email, "password": password});
        anyone.post("/auth/login", &body).await
    };

    let longest = "é".repeat(512);
    for password in
        ["  spaces around  ", "tab\tand\nline", "ŝtĝĵ 👩‍👩‍👧 e\u{301}", &"64".repeat(32), &longest]
    {
        admin.patch(&path, &json!({"password": password})).await.ok();
        login(password).await.ok();
        login(password.trim()).await.status.eq(&200).then(|| assert_eq!(password, password.trim()));
        login(&password[..password.floor_char_boundary(password.len() - 1)]).await.unknown();
        login(&password.to_uppercase()).await.status.eq(&200).then(|| {
            assert_eq!(password, password.to_uppercase());
        });
    }
    let too_long = format!("{longest}a");
    let refused = admin.patch(&path, &json!({"password": too_long})).await;
    refused.refused(400, "INVALID_PAYLOAD");
    assert!(refused.message().contains("1024"), "{}", refused.text);
    login(&longest).await.ok();
    server.stop().await;
}

#[tokio::test]
async fn an_existing_weak_password_still_signs_in() {
    let server = TestServer::with(|config| {
        config.bootstrap.admin_password = Some(chinwag::config::Secret("password".to_owned()));
    })
    .await;

    let admin = User::sign_in(&server.anonymous(), "", "admin@example.com", "password").await;

    admin.get("/users/me").await.ok();
    server.stop().await;
}

#[tokio::test]
async fn a_changed_password_policy_applies_to_the_next_password() {
    let server = TestServer::start().await;
    let (admin, alice) = (server.admin().await, server.member("alice").await);
    let set = async |password: &str| alice.patch("/users/me", &json!({"password": password})).await;
    let policy = async |policy: Json| {
        admin.patch("/settings", &json!({"auth_password_policy": policy})).await
    };

    policy(json!("/^.{12,}$/")).await.ok();
    let refused = set("eleven char").await;
    let words = "Validation failed for field \"password\". Value doesn't have the correct format.";
    refused.refused_with(400, "FAILED_VALIDATION", words);
    policy(json!("/(/")).await.refused(400, "INVALID_PAYLOAD");
    set("eleven char").await.refused(400, "FAILED_VALIDATION");
    policy(json!(null)).await.ok();

    set("eleven char").await.ok();
    server.stop().await;
}
