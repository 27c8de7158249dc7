//! How requests carry credentials. An invalid token never counts as none.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use serde_json::Value as Json;
use serde_json::json;

use crate::support::{Answer, Permission, TestServer, User};

/// Returns the token with other claims under the old signature.
fn forged(token: &str, bend: impl FnOnce(&mut Json)) -> String {
    let parts: Vec<&str> = token.split('.').collect();
    let claims = BASE64URL_NOPAD.decode(parts[1].as_bytes()).unwrap();
    let mut claims: Json = serde_json::from_slice(&claims).unwrap();
    bend(&mut claims);
    let claims = BASE64URL_NOPAD.encode(claims.to_string().as_bytes());
    format!("{}.{claims}.{}", parts[0], parts[2])
}

/// Returns the token with the algorithm `none`.
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
async fn tokens_are_accepted_in_query_header_and_cookie() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;
    let session = session_cookie(&server, &alice).await;
    let (query, bearer) =
        (format!("?access_token={}", alice.token), format!("bEARer {}", alice.token));

    for answer in [
        me(&server, &query, &[]).await,
        me(&server, "", &[("authorization", &bearer)]).await,
        me(&server, "", &[("cookie", &session)]).await,
        // With a token in the query string or header, the cookie is ignored.
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
async fn invalid_tokens_do_not_fall_back_to_public_access() {
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
            ("POST", "/items/messages"),
            ("GET", "/users/me"),
            ("PATCH", "/users/me"),
        ] {
            let body = json!({"content": "Hello"});
            let answer = nobody.bearing(&token).send_json(method, path, &body).await;
            answer.refused(status, code);
            assert!(!answer.text.contains(&token), "{path} reveals the token");
        }
        assert_eq!(nobody.bearing(&token).get("/server/ping").await.text, "pong");
    }
    nobody.get("/items/messages").await.ok();
    server.stop().await;
}

/// Returns the ways in which a request may carry a credential that is no longer valid.
fn dead_credentials(expired: &str) -> [(String, [(&'static str, String); 2]); 4] {
    let none = ("x-nothing", String::new());
    [
        (String::new(), [("authorization", format!("Bearer {expired}")), none.clone()]),
        (String::new(), [("cookie", format!("directus_session_token={expired}")), none.clone()]),
        (format!("?access_token={expired}"), [none.clone(), none.clone()]),
        (
            format!("?access_token={expired}"),
            [("authorization", format!("Bearer {expired}")), none],
        ),
    ]
}

#[tokio::test]
async fn invalid_credentials_do_not_block_public_endpoints() {
    let server = TestServer::at_noon(|_| {}).await;
    let (alice, nobody) = (server.member("alice").await, server.anonymous());
    let expired = alice.token.clone();
    server.clock.advance(Duration::from_mins(15));

    for dead in [expired.as_str(), "revoked"] {
        for (query, headers) in dead_credentials(dead) {
            let send = async |method: &str, path: &str, body: Json| {
                let mut request = nobody.request(method, &format!("{path}{query}"));
                for (name, value) in &headers {
                    request = request.header(*name, value);
                }
                Answer::to(if method == "GET" { request } else { request.json(&body) }).await
            };
            let login = json!({"email": alice.email, "password": alice.password});
            let tokens = send("POST", "/auth/login", login).await.ok();
            let used = json!({"refresh_token": tokens["refresh_token"]});
            let newer = send("POST", "/auth/refresh", used).await.ok();
            let newest = json!({"refresh_token": newer["refresh_token"]});
            send("POST", "/auth/logout", newest.clone()).await.nothing();
            // The session has really ended.
            send("POST", "/auth/refresh", newest).await.unknown();
            let request = json!({"email": alice.email});
            // The only obstacle is the missing mail transport.
            let asked = send("POST", "/auth/password/request", request).await;
            asked.refused(422, "UNPROCESSABLE_CONTENT");
            for path in ["/auth", "/server/info", "/server/health", "/server/ping"] {
                let answer = send("GET", path, Json::Null).await;
                assert_eq!(answer.status, 200, "{path}{query} {headers:?}: {}", answer.text);
            }
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn an_invalid_session_cookie_is_cleared() {
    let server = TestServer::start().await;

    let answer = me(&server, "", &[("cookie", "directus_session_token=bad")]).await;

    answer.unknown();
    assert!(answer.cookie("directus_session_token").unwrap().contains("=; Max-Age=0;"));
    server.stop().await;
}

#[tokio::test]
async fn cross_origin_requests_with_a_session_cookie_are_refused() {
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
