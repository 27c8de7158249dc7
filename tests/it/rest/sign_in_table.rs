//! Every sign-in method for every state of an account: one table.

use serde_json::json;

use crate::support::{Answer, Permission, Socket, TestServer, User};

/// The states of the account or of the credential.
const STATES: [&str; 6] = ["active", "suspended", "deleted", "signed out", "wrong", "factor due"];

/// The outcome of each method in each state, in the order of [`STATES`]. `wrong` is another
/// password, or a token with one character changed. A session that began before the account got a
/// second factor continues.
const TABLE: [(&str, [&str; 6]); 11] = [
    ("password by REST", ["ok", "UNKNOWN", "UNKNOWN", "ok", "UNKNOWN", "INVALID_OTP"]),
    ("password for a cookie", ["ok", "UNKNOWN", "UNKNOWN", "ok", "UNKNOWN", "INVALID_OTP"]),
    (
        "password by socket",
        ["ok", "AUTH_FAILED", "AUTH_FAILED", "ok", "AUTH_FAILED", "INVALID_OTP"],
    ),
    ("access token by header", ["ok", "UNKNOWN", "UNKNOWN", "UNKNOWN", "INVALID_TOKEN", "ok"]),
    ("access token in the address", ["ok", "UNKNOWN", "UNKNOWN", "UNKNOWN", "INVALID_TOKEN", "ok"]),
    (
        "access token by socket",
        ["ok", "AUTH_FAILED", "AUTH_FAILED", "AUTH_FAILED", "AUTH_FAILED", "ok"],
    ),
    ("access token at the upgrade", ["ok", "401", "401", "401", "401", "ok"]),
    ("session cookie", ["ok", "UNKNOWN", "UNKNOWN", "UNKNOWN", "INVALID_TOKEN", "ok"]),
    ("refresh token by REST", ["ok", "UNKNOWN", "UNKNOWN", "UNKNOWN", "UNKNOWN", "ok"]),
    (
        "refresh token by socket",
        ["ok", "AUTH_FAILED", "AUTH_FAILED", "AUTH_FAILED", "AUTH_FAILED", "ok"],
    ),
    ("static token", ["ok", "UNKNOWN", "UNKNOWN", "ok", "UNKNOWN", "ok"]),
];

#[tokio::test]
async fn every_sign_in_method_matches_the_table() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let mut number = 0;
    let mut wrong = Vec::new();
    for (road, outcomes) in TABLE {
        for (state, expected) in STATES.into_iter().zip(outcomes) {
            number += 1;
            let found = outcome(&server, &admin, road, state, number).await;
            let found = if found == "INVALID_CREDENTIALS" { "UNKNOWN" } else { &found };
            if found != expected {
                wrong.push(format!("{road}, {state}: {found}, should be {expected}"));
            }
        }
    }

    assert!(wrong.is_empty(), "{wrong:#?}");
    server.stop().await;
}

async fn outcome(
    server: &TestServer,
    admin: &User,
    road: &str,
    state: &str,
    number: u32,
) -> String {
    let own = json!({"id": {"_eq": "$CURRENT_USER"}});
    let factor = Permission::to("update", "directus_users").fields(&["tfa_secret"]).on(own);
    let user = server.user_with(&format!("user{number}"), &[factor]).await;
    let path = format!("/users/{}", user.id);
    let (anyone, fixed) = (server.anonymous(), format!("static token {number}"));
    admin.patch(&path, &json!({"token": fixed})).await.ok();
    let login = json!({"email": user.email, "password": user.password, "mode": "session"});
    let answer = anyone.post("/auth/login", &login).await;
    let cookie = answer.cookie("directus_session_token").unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    match state {
        "suspended" => drop(admin.patch(&path, &json!({"status": "suspended"})).await.ok()),
        "deleted" => admin.delete(&path).await.nothing(),
        "signed out" => user.delete("/users/me/sessions").await.nothing(),
        "factor due" => drop(user.enable_factor(server).await),
        _ => {}
    }
    let is_wrong = state == "wrong";
    let bent = |token: &str| if is_wrong { bend(token) } else { token.to_owned() };
    let password = if is_wrong { "wrong" } else { &user.password };
    let token = bent(&user.token);
    match road {
        "password by REST" | "password for a cookie" => {
            let mode = if road.ends_with("REST") { "json" } else { "session" };
            let body = json!({"email": user.email, "password": password, "mode": mode});
            told(&anyone.post("/auth/login", &body).await)
        }
        "password by socket" => {
            by_socket(server, json!({"email": user.email, "password": password})).await
        }
        "access token by header" => told(&anyone.bearing(&token).get("/users/me").await),
        "access token in the address" => {
            told(&anyone.get(&format!("/users/me?access_token={token}")).await)
        }
        "access token by socket" => by_socket(server, json!({"access_token": token})).await,
        "access token at the upgrade" => {
            let request = Socket::request(server, &format!("?access_token={token}"));
            match Socket::open(request).await {
                Ok(_) => "ok".to_owned(),
                Err(status) => status.to_string(),
            }
        }
        "session cookie" => {
            let request = anyone.request("GET", "/users/me").header("cookie", bent(&cookie));
            told(&Answer::to(request).await)
        }
        "refresh token by REST" => {
            let body = json!({"refresh_token": bent(&user.refresh_token)});
            told(&anyone.post("/auth/refresh", &body).await)
        }
        "refresh token by socket" => {
            by_socket(server, json!({"refresh_token": bent(&user.refresh_token)})).await
        }
        "static token" => told(&anyone.bearing(&bent(&fixed)).get("/users/me").await),
        other => panic!("{other}"),
    }
}

/// Returns the token with one character of its signature changed.
fn bend(token: &str) -> String {
    let at = token.len() - 10;
    let other = if &token[at..=at] == "A" { "B" } else { "A" };
    format!("{}{other}{}", &token[..at], &token[at + 1..])
}

fn told(answer: &Answer) -> String {
    if answer.status == 200 { "ok".to_owned() } else { answer.code().to_owned() }
}

async fn by_socket(server: &TestServer, mut frame: serde_json::Value) -> String {
    frame["type"] = json!("auth");
    let answer = Socket::connect(server).await.ask(&frame).await;
    match answer["error"]["code"].as_str() {
        None => answer["status"].as_str().unwrap().to_owned(),
        Some(code) => code.to_owned(),
    }
}
