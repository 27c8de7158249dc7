//! `/users/me/tfa/…`, and `otp` in every sign-in.

use std::time::Duration;

use chinwag::model::Key;
use chinwag::model::schema::users;
use serde_json::Value as Json;
use serde_json::json;

use crate::support::code;
use crate::support::{Answer, Client, Permission, Socket, TestServer, User};

/// Returns an account that may only set a second factor.
async fn careful(server: &TestServer, name: &str) -> User {
    let own = json!({"id": {"_eq": "$CURRENT_USER"}});
    let permission = Permission::to("update", "directus_users").fields(&["tfa_secret"]).on(own);
    server.user_with(name, &[permission]).await
}

async fn login(client: &Client, user: &User, otp: Option<&str>, mode: &str) -> Answer {
    let body = json!({"email": user.email, "password": user.password, "otp": otp, "mode": mode});
    client.post("/auth/login", &body).await
}

fn step(server: &TestServer) {
    server.clock.advance(Duration::from_secs(30));
}

#[tokio::test]
async fn an_enabled_second_factor_requires_a_code_at_sign_in() {
    let server = TestServer::at_noon(|_| {}).await;
    let (alice, anyone) = (careful(&server, "alice").await, server.anonymous());

    let secret = alice.enable_factor(&server).await;

    for mode in ["json", "cookie", "session"] {
        step(&server);
        let otp = code(&secret, server.clock.now(), 0);
        for wrong in [None, Some(""), Some("000000"), Some("12345"), Some("not a code")] {
            let refused = login(&anyone, &alice, wrong, mode).await;
            refused.refused_with(401, "INVALID_OTP", "Invalid user OTP.");
            assert!(refused.headers.get("set-cookie").is_none());
        }
        let guess = json!({"email": alice.email, "password": "wrong", "otp": otp, "mode": mode});
        anyone.post("/auth/login", &guess).await.unknown();
        login(&anyone, &alice, Some(&otp), mode).await.ok();
    }
    server.stop().await;
}

#[tokio::test]
async fn a_code_is_valid_once() {
    let server = TestServer::at_noon(|config| config.auth.throttle = false).await;
    let (alice, anyone) = (careful(&server, "alice").await, server.anonymous());
    let secret = alice.enable_factor(&server).await;
    let at = |steps| code(&secret, server.clock.now(), steps);

    // The code that enabled the second factor is valid for one sign-in.
    login(&anyone, &alice, Some(&at(0)), "json").await.ok();
    login(&anyone, &alice, Some(&at(0)), "json").await.refused(401, "INVALID_OTP");
    step(&server);
    step(&server);
    // A code from the next time step invalidates earlier ones.
    login(&anyone, &alice, Some(&at(1)), "json").await.ok();
    for steps in [-1, 0, 1] {
        let again = login(&anyone, &alice, Some(&at(steps)), "json").await;
        again.refused(401, "INVALID_OTP");
    }
    step(&server);
    step(&server);
    let late = at(-1);
    assert_eq!(login(&anyone, &alice, Some(&late), "json").await.code(), "INVALID_OTP");
    // Of several concurrent sign-ins one succeeds.
    let otp = at(0);
    let tries = (0..8).map(|_| login(&anyone, &alice, Some(&otp), "json"));
    let answers = futures_util::future::join_all(tries).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.code() == "INVALID_OTP").count(), 7);
    server.stop().await;
}

#[tokio::test]
async fn socket_sign_in_requires_a_code() {
    let server = TestServer::at_noon(|_| {}).await;
    let alice = careful(&server, "alice").await;
    let secret = alice.enable_factor(&server).await;
    let auth = |otp: Json| json!({"type": "auth", "email": alice.email, "password": alice.password, "otp": otp});

    let mut socket = Socket::connect(&server).await;
    for otp in [json!(null), json!("000000")] {
        let refused = socket.ask(&auth(otp)).await;
        assert_eq!(refused["error"]["code"], "INVALID_OTP", "{refused}");
    }
    let otp = code(&secret, server.clock.now(), 0);
    let granted = socket.ask(&auth(json!(otp))).await;

    assert_eq!(granted["status"], "ok", "{granted}");
    let again = Socket::connect(&server).await.ask(&auth(json!(otp))).await;
    assert_eq!(again["error"]["code"], "INVALID_OTP");
    server.stop().await;
}

#[tokio::test]
async fn enabling_requires_password_secret_code_and_permission() {
    let server = TestServer::at_noon(|_| {}).await;
    let alice = careful(&server, "alice").await;
    let helpless = server.user_with("helpless", &[]).await;
    let post = async |who: &User, path: &str, body: Json| {
        who.post(&format!("/users/me/tfa/{path}"), &body).await
    };

    post(&alice, "generate", json!({})).await.refused(400, "INVALID_PAYLOAD");
    post(&alice, "generate", json!({"password": "wrong"})).await.unknown();
    let made = post(&alice, "generate", json!({"password": alice.password})).await;
    assert_eq!(made.header("cache-control"), "no-store");
    let secret = made.ok()["secret"].as_str().unwrap().to_owned();
    let url = made.ok()["otpauth_url"].as_str().unwrap().to_owned();
    let expected = format!("otpauth://totp/chinwag:alice%40example.com?secret={secret}&");
    assert!(url.starts_with(&expected), "{url}");
    let otp = code(&secret, server.clock.now(), 0);

    for (body, reason) in [
        (json!({"otp": otp}), "\"secret\" is required"),
        (json!({"secret": secret}), "\"otp\" is required"),
        (json!({"secret": secret, "otp": "000000"}), "\"otp\" is invalid"),
        (json!({"secret": "A", "otp": otp}), "\"secret\" is invalid"),
    ] {
        let words = format!("Invalid payload. {reason}.");
        post(&alice, "enable", body).await.refused_with(400, "INVALID_PAYLOAD", &words);
    }
    let proof = json!({"secret": secret, "otp": otp});
    post(&helpless, "enable", proof.clone()).await.refused(403, "FORBIDDEN");
    post(&alice, "enable", proof.clone()).await.nothing();
    post(&alice, "enable", proof).await.refused(400, "INVALID_PAYLOAD");
    let again = json!({"password": alice.password});
    post(&alice, "generate", again).await.refused(400, "INVALID_PAYLOAD");
    server.anonymous().post("/users/me/tfa/generate", &json!({})).await.unknown();
    server.stop().await;
}

#[tokio::test]
async fn enforce_tfa_grants_permission_to_enable_the_factor() {
    let server = TestServer::at_noon(|_| {}).await;
    let admin = server.admin().await;
    let bound = server.user_with("bound", &[]).await;
    let globals = async || bound.get("/policies/me/globals").await.ok()["enforce_tfa"].clone();
    assert_eq!(globals().await, false);

    let policy = admin.get("/policies?filter[name][_eq]=bound&fields=id").await.ok();
    let path = format!("/policies/{}", policy[0]["id"].as_str().unwrap());
    admin.patch(&path, &json!({"enforce_tfa": true})).await.ok();

    assert_eq!(globals().await, true);
    bound.enable_factor(&server).await;
    let refused = login(&server.anonymous(), &bound, None, "json").await;
    refused.refused(401, "INVALID_OTP");
    server.stop().await;
}

#[tokio::test]
async fn a_code_or_an_administrator_disables_the_second_factor() {
    let server = TestServer::at_noon(|_| {}).await;
    let (admin, anyone) = (server.admin().await, server.anonymous());
    let alice = careful(&server, "alice").await;
    let bob = careful(&server, "bob").await;
    let disable = async |otp: &str| alice.post("/users/me/tfa/disable", &json!({"otp": otp})).await;

    disable("000000").await.refused(400, "INVALID_PAYLOAD");
    let secret = alice.enable_factor(&server).await;
    disable("000000").await.refused(400, "INVALID_PAYLOAD");
    disable(&code(&secret, server.clock.now(), 0)).await.nothing();
    login(&anyone, &alice, None, "json").await.ok();

    bob.enable_factor(&server).await;
    let path = format!("/users/{}/tfa/disable", bob.id);
    alice.send("POST", &path).await.refused(403, "FORBIDDEN");
    login(&anyone, &bob, None, "json").await.refused(401, "INVALID_OTP");
    admin.send("POST", &path).await.nothing();
    login(&anyone, &bob, None, "json").await.ok();
    for nobody in ["no-key", "a7e169a7-3a52-4ac8-9f02-2d6a5c6a2f3b"] {
        let path = format!("/users/{nobody}/tfa/disable");
        admin.send("POST", &path).await.refused(403, "FORBIDDEN");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_recovery_code_is_accepted_once() {
    let server = TestServer::at_noon(|_| {}).await;
    let (alice, anyone) = (careful(&server, "alice").await, server.anonymous());
    let make = async |password: &str| {
        let path = "/users/me/tfa/recovery-codes";
        alice.post(path, &json!({"password": password})).await
    };
    make(&alice.password).await.refused(400, "INVALID_PAYLOAD");
    alice.enable_factor(&server).await;
    make("wrong").await.unknown();

    let old = make(&alice.password).await.ok()["recovery_codes"].clone();
    let new = make(&alice.password).await.ok()["recovery_codes"].clone();
    let code = |set: &Json, at: usize| set[at].as_str().unwrap().to_owned();

    assert_eq!(new.as_array().unwrap().len(), 10);
    login(&anyone, &alice, Some(&code(&old, 0)), "json").await.refused(401, "INVALID_OTP");
    let spoken = code(&new, 0).to_lowercase().replace('-', " ");
    login(&anyone, &alice, Some(&spoken), "json").await.ok();
    login(&anyone, &alice, Some(&code(&new, 0)), "json").await.refused(401, "INVALID_OTP");
    let tries = (0..5).map(|_| async {
        let otp = code(&new, 1);
        login(&anyone, &alice, Some(&otp), "json").await.status
    });
    let statuses = futures_util::future::join_all(tries).await;
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1);
    let otp = json!({"otp": code(&new, 2)});
    alice.post("/users/me/tfa/disable", &otp).await.nothing();
    login(&anyone, &alice, None, "json").await.ok();
    server.stop().await;
}

#[tokio::test]
async fn an_account_can_read_its_second_factor_status() {
    let server = TestServer::at_noon(|_| {}).await;
    let (alice, anyone) = (careful(&server, "alice").await, server.anonymous());
    let state = async || alice.get("/users/me/tfa").await.ok();
    assert_eq!(state().await, json!({"enabled": false, "recovery_codes_left": 0}));

    alice.enable_factor(&server).await;
    assert_eq!(state().await, json!({"enabled": true, "recovery_codes_left": 0}));

    let password = json!({"password": alice.password});
    let made = alice.post("/users/me/tfa/recovery-codes", &password).await.ok();
    login(&anyone, &alice, made["recovery_codes"][3].as_str(), "json").await.ok();
    assert_eq!(state().await, json!({"enabled": true, "recovery_codes_left": 9}));

    let otp = json!({"otp": made["recovery_codes"][4]});
    alice.post("/users/me/tfa/disable", &otp).await.nothing();
    assert_eq!(state().await, json!({"enabled": false, "recovery_codes_left": 0}));
    anyone.get("/users/me/tfa").await.refused(401, "INVALID_CREDENTIALS");
    server.stop().await;
}

#[tokio::test]
async fn secret_and_recovery_codes_are_never_exposed() {
    let server = TestServer::at_noon(|_| {}).await;
    let (admin, alice) = (server.admin().await, careful(&server, "alice").await);
    let mut socket = Socket::signed_in(&server, &admin).await;
    socket.subscribe("users", json!({"collection": "directus_users"})).await;
    let secret = alice.enable_factor(&server).await;
    let made =
        alice.post("/users/me/tfa/recovery-codes", &json!({"password": alice.password})).await.ok();
    let first = made["recovery_codes"][0].as_str().unwrap();

    let path = format!("/users/{}?fields=*", alice.id);
    let shown = admin.get(&path).await;
    assert_eq!(shown.ok()["tfa_secret"], "**********");
    let told = loop {
        let frame = socket.next().await;
        if frame["event"] == "update" {
            break frame.to_string();
        }
    };
    let set = json!({"tfa_secret": "GEZDGNBVGY3TQOJQ"});
    admin.patch(&path, &set).await.refused(400, "INVALID_PAYLOAD");
    let filter = format!("/users?filter[tfa_secret][_eq]={secret}");
    let found = admin.get(&filter).await.text;
    let stored = {
        let id = alice.id.parse().unwrap();
        let listed = server.app().services().accounts.list().await.unwrap();
        let row = listed.into_iter().find(|row| row.key() == Some(Key::Uuid(id))).unwrap();
        row.get(&users::tfa_secret).unwrap().to_owned()
    };
    let database = server.database();
    for text in [&shown.text, &told, &found, &stored] {
        assert!(!text.contains(&secret), "{text}");
    }
    server
        .stop_and(|| {
            let bytes = std::fs::read(&database).unwrap();
            let holds = |text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
            assert!(holds("alice@example.com"), "the database file contains the account");
            assert!(holds("sealed:"), "the secret is sealed");
            assert!(!holds(&secret) && !holds(first) && !holds(&first.replace('-', "")));
        })
        .await;
}
