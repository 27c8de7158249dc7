//! Class 13: browsers attach cookies to requests from any page, so a cookie authenticates requests
//! from this origin and from named origins only, at every entry point.

use reqwest::RequestBuilder;
use serde_json::json;

use crate::browsers::befriended;
use crate::browsers::cookie;
use crate::browsers::server;
use crate::browsers::{FRIEND, STRANGER};
use crate::support::{Answer, Socket, TestServer};

const WHY: &str = "Cookies are not accepted from a page of another origin. Add its origin to \
                   CORS_ORIGIN, with CORS_ENABLED=true, or send the token in the Authorization \
                   header.";

/// Header names and values.
type Headers = &'static [(&'static str, &'static str)];

/// Origin headers of a request, and whether a cookie may authenticate it. `OWN` stands for the
/// address of the service.
const PAGES: &[(&str, Headers, bool)] = &[
    ("no page", &[], true),
    ("the own page", &[("origin", "OWN")], true),
    ("a named page", &[("origin", FRIEND)], true),
    ("a named page of another site", &[("origin", FRIEND), ("sec-fetch-site", "cross-site")], true),
    (
        "the own page behind a proxy with another name",
        &[("origin", "http://localhost:3000"), ("sec-fetch-site", "same-origin")],
        true,
    ),
    ("a stranger's page", &[("origin", STRANGER)], false),
    (
        "a stranger's page, with Sec-Fetch-Site",
        &[("origin", STRANGER), ("sec-fetch-site", "cross-site")],
        false,
    ),
    ("a page of another port", &[("origin", "http://127.0.0.1:1")], false),
    ("a page without a name", &[("origin", "null")], false),
    ("a page without an origin, of another site", &[("sec-fetch-site", "cross-site")], false),
    ("a page without an origin, of the same site", &[("sec-fetch-site", "same-site")], false),
];

/// Returns the request with the headers of a page.
fn from(server: &TestServer, request: RequestBuilder, page: &[(&str, &str)]) -> RequestBuilder {
    let own = format!("http://{}", server.address);
    page.iter().fold(request, |request, (name, value)| {
        request.header(*name, if *value == "OWN" { &own } else { *value })
    })
}

#[tokio::test]
async fn cookies_authenticate_changes_only_from_trusted_pages() {
    let server = befriended().await;
    let alice = server.member("alice").await;
    let session = cookie(&server, &alice, "session").await;
    let refreshing = cookie(&server, &alice, "cookie").await;

    for (what, page, trusted) in PAGES {
        let id = alice.say("before").await;
        let item = format!("/items/messages/{id}");
        let content = json!({"content": "after"});
        let both = format!("{session}; {refreshing}");
        let ask = async |method: &str, path: &str, body: &serde_json::Value| {
            let request = server.anonymous().request(method, path).header("cookie", &both);
            Answer::to(from(&server, request, page).json(body)).await
        };
        let count = async || alice.get("/items/messages?fields=id").await.ok();
        let before = count().await;

        let answers = [
            ask("POST", "/items/messages", &content).await,
            ask("PATCH", &item, &content).await,
            ask("PATCH", "/users/me", &json!({"first_name": "Mallory"})).await,
            ask("DELETE", &item, &json!(null)).await,
        ];
        let name = alice.get("/users/me?fields=first_name").await.ok();

        if *trusted {
            for answer in &answers {
                assert!(answer.status < 300, "{what}: {}", answer.text);
            }
            assert_eq!(name["first_name"], "Mallory", "{what}");
            alice.patch("/users/me", &json!({"first_name": "alice"})).await.ok();
        } else {
            for answer in &answers {
                answer.refused_with(403, "FORBIDDEN", WHY);
            }
            assert_eq!(count().await, before, "{what}");
            let there = alice.get(&format!("{item}?fields=content")).await.ok();
            assert_eq!(there["content"], "before", "{what}");
            assert_ne!(name["first_name"], "Mallory", "{what}");
        }
        // Requests from an untrusted page must not end the session.
        if !trusted {
            for path in ["/auth/refresh", "/auth/logout"] {
                for mode in ["cookie", "session"] {
                    let answer = ask("POST", path, &json!({"mode": mode})).await;
                    answer.refused_with(403, "FORBIDDEN", WHY);
                    assert!(answer.headers.get("set-cookie").is_none(), "{what}");
                }
            }
        }
        let me =
            server.anonymous().request("GET", "/users/me?fields=id").header("cookie", &session);
        assert_eq!(Answer::to(me).await.ok()["id"], alice.id.as_str(), "{what}");
    }
    server.stop().await;
}

#[tokio::test]
async fn sign_in_sets_cookies_only_for_trusted_pages() {
    let server = befriended().await;
    let alice = server.member("alice").await;

    for (what, page, trusted) in PAGES {
        for mode in ["cookie", "session", "json"] {
            let login = json!({"email": alice.email, "password": alice.password, "mode": mode});
            let request = server.anonymous().request("POST", "/auth/login");
            let answer = Answer::to(from(&server, request, page).json(&login)).await;
            if *trusted || mode == "json" {
                answer.ok();
                assert_eq!(answer.headers.contains_key("set-cookie"), mode != "json", "{what}");
            } else {
                answer.refused_with(403, "FORBIDDEN", WHY);
                assert!(!answer.headers.contains_key("set-cookie"), "{what} {mode}");
            }
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn explicit_tokens_are_accepted_from_any_origin() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;
    let session = cookie(&server, &alice, "session").await;
    let say = json!({"content": "by a token"});

    let bearer = alice.request("POST", "/items/messages").header("cookie", &session);
    Answer::to(bearer.header("origin", STRANGER).json(&say)).await.ok();
    let address = format!("/items/messages?access_token={}", alice.token);
    let query = server.anonymous().request("POST", &address).header("cookie", &session);
    Answer::to(query.header("origin", STRANGER).json(&say)).await.ok();
    let body = json!({"refresh_token": alice.refresh_token});
    let refresh = server.anonymous().request("POST", "/auth/refresh").header("cookie", &session);
    // A refresh with the token in its body ignores the cookie.
    Answer::to(refresh.header("origin", STRANGER).json(&body)).await.ok();
    server.stop().await;
}

/// A form of another site can send three content types. None of the three is JSON. Their bodies
/// are never read, as in Directus, and requests with a cookie are refused.
#[tokio::test]
async fn form_submissions_from_other_origins_are_refused() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;
    let session = cookie(&server, &alice, "session").await;

    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
        let form = |request: RequestBuilder, body: String| {
            Answer::to(request.header("content-type", kind).header("origin", STRANGER).body(body))
        };
        let smuggled = json!({"content": "smuggled"}).to_string();

        let with_cookie = server.anonymous().request("POST", "/items/messages");
        let with_cookie = with_cookie.header("cookie", &session);
        form(with_cookie, smuggled.clone()).await.refused_with(403, "FORBIDDEN", WHY);
        let with_token = alice.request("POST", "/items/messages");
        form(with_token, smuggled).await.refused(400, "INVALID_PAYLOAD");
        let login = json!({"email": alice.email, "password": alice.password}).to_string();
        let answer = form(server.anonymous().request("POST", "/auth/login"), login).await;
        answer.refused(400, "INVALID_PAYLOAD");
    }
    let there = alice.get("/items/messages?fields=content").await.ok();
    assert_eq!(there, json!([]));
    server.stop().await;
}

#[tokio::test]
async fn sockets_accept_cookies_only_from_trusted_pages() {
    let server = befriended().await;
    let alice = server.member("alice").await;
    let session = cookie(&server, &alice, "session").await;

    for endpoint in ["websocket", "_ws"] {
        for (what, page, trusted) in PAGES {
            let open = async |with: Option<&str>, query: &str| {
                let mut request = Socket::request(&server, query);
                let address = format!("ws://{}/{endpoint}{query}", server.address);
                *request.uri_mut() = address.parse().unwrap();
                let own = format!("http://{}", server.address);
                for (name, value) in *page {
                    let value = if *value == "OWN" { &own } else { *value };
                    request.headers_mut().insert(*name, value.parse().unwrap());
                }
                if let Some(cookie) = with {
                    request.headers_mut().insert("cookie", cookie.parse().unwrap());
                }
                Socket::open(request).await.map(drop)
            };
            let expected = if *trusted { Ok(()) } else { Err(403) };

            assert_eq!(open(Some(&session), "").await, expected, "{endpoint}: {what}");
            // The error does not reveal whether the cookie is valid.
            let bad = match (*trusted, endpoint) {
                (false, _) => Err(403),
                (true, "websocket") => Err(401),
                // These pages do not authenticate, so a dead session is ignored.
                (true, _) => Ok(()),
            };
            assert_eq!(open(Some("directus_session_token=bad"), "").await, bad, "{what}");
            // Any page may connect without a cookie, or with a token of its own.
            assert_eq!(open(None, "").await, Ok(()), "{endpoint}: {what}");
            let token = format!("?access_token={}", alice.token);
            assert_eq!(open(Some(&session), &token).await, Ok(()), "{endpoint}: {what}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_refused_upgrade_states_the_reason() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;
    let session = cookie(&server, &alice, "session").await;

    for path in ["/websocket", "/_ws"] {
        let request = server.anonymous().request("GET", path).header("cookie", &session);
        let request = request
            .header("origin", STRANGER)
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        Answer::to(request).await.refused_with(403, "FORBIDDEN", WHY);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_wildcard_cors_origin_never_authenticates_cookies() {
    let server = server(&[("CORS_ENABLED", "true"), ("CORS_ORIGIN", "true")]).await;
    let alice = server.member("alice").await;
    let session = cookie(&server, &alice, "session").await;

    let request = server.anonymous().request("POST", "/items/messages").header("cookie", &session);
    let answer =
        Answer::to(request.header("origin", STRANGER).json(&json!({"content": "x"}))).await;
    answer.refused_with(403, "FORBIDDEN", WHY);
    // The page may read the reason.
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    let mut request = Socket::request(&server, "");
    request.headers_mut().insert("cookie", session.parse().unwrap());
    request.headers_mut().insert("origin", STRANGER.parse().unwrap());
    assert_eq!(Socket::open(request).await.err(), Some(403));
    assert_eq!(alice.get("/items/messages").await.ok(), json!([]));
    server.stop().await;
}
