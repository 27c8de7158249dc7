//! How a request says who it is, and that a bad token never counts as none.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use serde_json::Value as Json;
use serde_json::json;

use crate::support::Answer;
use crate::support::Permission;
use crate::support::TestServer;
use crate::support::User;

/// Returns the token with other claims under the old signature.
fn forged(token: &str, bend: impl FnOnce(&mut Json)) -> String {
    let parts: Vec<&str> = token.split('.').collect();
    let claims = BASE64URL_NOPAD.decode(parts[1].as_bytes()).unwrap();
    let mut claims: Json = serde_json::from_slice(&claims).unwrap();
    bend(&mut claims);
    let claims = BASE64URL_NOPAD.encode(claims.to_string().as_bytes());
    format!("{}.{claims}.{}", parts[0], parts[2])
}

/// Returns the token as one that wants no signature.
fn unsigned(token: &str) -> String {
    let head = BASE64URL_NOPAD.encode(br#"{"typ":"JWT","alg":"none"}"#);
    format!("{head}.{}.", token.split('.').nth(1).unwrap())
}

async fn me(server: &TestServer, query: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = server.anonymous().request("GET", &format!("/users/me{query}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::to(request).await
}

#[tokio::test]
async fn a_token_may_stand_in_three_places() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;
    let session = session_cookie(&server, &alice).await;
    let (query, bearer) =
        (format!("?access_token={}", alice.token), format!("bEARer {}", alice.token));

    for answer in [
        me(&server, &query, &[]).await,
        me(&server, "", &[("authorization", &bearer)]).await,
        me(&server, "", &[("cookie", &session)]).await,
        // Query or header together with the cookie: the cookie is not looked at.
        me(&server, &query, &[("cookie", "directus_session_token=bad")]).await,
        me(&server, "", &[("authorization", &bearer), ("cookie", "directus_session_token=bad")])
            .await,
    ] {
        assert_eq!(answer.ok()["id"], alice.id.as_str());
    }
    me(&server, &query, &[("authorization", &bearer)]).await.refused_with(
        400,
        "INVALID_PAYLOAD",
        "Invalid payload. The request uses more than one method for including an access token.",
    );
    for scheme in ["Basic YTpi", "Bearer", "Bearer "] {
        me(&server, "", &[("authorization", scheme)]).await.unknown();
        me(&server, &query, &[("authorization", scheme)]).await.ok();
    }
    server.stop().await;
}

#[tokio::test]
async fn a_bad_token_is_never_the_public() {
    let server = TestServer::at_noon(|_| {}).await;
    server.allow_public(&[Permission::to("read", "messages")]).await;
    let (alice, nobody) = (server.member("alice").await, server.anonymous());
    let admin = server.admin().await;
    let expired = alice.token.clone();
    server.clock.advance(Duration::from_mins(15));
    let alice = User::sign_in(&nobody, &alice.id, &alice.email, &alice.password).await;
    let bob = server.member("bob").await;
    nobody.post("/auth/logout", &json!({"refresh_token": bob.refresh_token})).await.nothing();

    let bad = [
        ("nobody's".to_owned(), 401, "INVALID_CREDENTIALS"),
        (forged(&alice.token, |claims| claims["iss"] = json!("other")), 401, "INVALID_CREDENTIALS"),
        (bob.token.clone(), 401, "INVALID_CREDENTIALS"),
        (expired, 401, "TOKEN_EXPIRED"),
        (forged(&alice.token, |claims| claims["admin_access"] = json!(true)), 403, "INVALID_TOKEN"),
        (forged(&alice.token, |claims| claims["id"] = json!(admin.id)), 403, "INVALID_TOKEN"),
        (unsigned(&alice.token), 403, "INVALID_TOKEN"),
        (alice.refresh_token.clone(), 401, "INVALID_CREDENTIALS"),
    ];
    for (token, status, code) in bad {
        for (method, path) in [
            ("GET", "/items/messages"),
            ("POST", "/auth/login"),
            ("POST", "/auth/refresh"),
            ("GET", "/server/info"),
            ("GET", "/users/me"),
        ] {
            let login = json!({"email": alice.email, "password": alice.password,
                "refresh_token": alice.refresh_token});
            let answer = nobody.bearing(&token).send_json(method, path, &login).await;
            answer.refused(status, code);
            assert!(!answer.text.contains(&token), "{path} tells the token");
        }
        assert_eq!(nobody.bearing(&token).get("/server/ping").await.text, "pong");
    }
    nobody.get("/items/messages").await.ok();
    server.stop().await;
}

#[tokio::test]
async fn a_bad_session_cookie_is_emptied() {
    let server = TestServer::start().await;

    let answer = me(&server, "", &[("cookie", "directus_session_token=bad")]).await;

    answer.unknown();
    assert!(answer.cookie("directus_session_token").unwrap().contains("=; Max-Age=0;"));
    server.stop().await;
}

#[tokio::test]
async fn a_cookie_does_not_speak_for_pages_of_other_sites() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;
    let session = session_cookie(&server, &alice).await;
    let say = async |origin: &str| {
        let request = server.anonymous().request("POST", "/items/messages");
        let request = request.header("cookie", &session).header("origin", origin);
        Answer::to(request.json(&json!({"content": origin}))).await
    };

    say("https://evil.example").await.refused(403, "FORBIDDEN");
    say("null").await.refused(403, "FORBIDDEN");
    let own = format!("http://{}", server.address);
    say(&own).await.ok();

    let there = alice.get("/items/messages?fields=content").await.ok();
    assert_eq!(there, json!([{"content": own}]));
    server.stop().await;
}

async fn session_cookie(server: &TestServer, user: &User) -> String {
    let login = json!({"email": user.email, "password": user.password, "mode": "session"});
    let answer = server.anonymous().post("/auth/login", &login).await;
    answer.cookie("directus_session_token").unwrap().split(';').next().unwrap().to_owned()
}
