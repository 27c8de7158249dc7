//! CORS: only pages of the configured origins may send requests and read responses.

use serde_json::json;

use crate::browsers::befriended;
use crate::browsers::server;
use crate::browsers::{FRIEND, STRANGER};
use crate::support::{Answer, TestServer};

/// Sends a preflight request.
async fn ask_first(server: &TestServer, origin: &str, path: &str) -> Answer {
    let request = server.anonymous().request("OPTIONS", path);
    Answer::to(
        request
            .header("origin", origin)
            .header("access-control-request-method", "SEARCH")
            .header("access-control-request-headers", "authorization,content-type,idempotency-key"),
    )
    .await
}

/// Sends a request from a page of another origin.
async fn send(server: &TestServer, origin: &str, path: &str) -> Answer {
    Answer::to(server.anonymous().request("GET", path).header("origin", origin)).await
}

/// Returns the CORS headers, sorted by name.
fn told(answer: &Answer) -> Vec<(&str, &str)> {
    let mut told: Vec<_> = answer
        .headers
        .iter()
        .filter_map(|(name, value)| {
            Some((name.as_str().strip_prefix("access-control-")?, value.to_str().unwrap()))
        })
        .collect();
    told.sort_unstable();
    told
}

#[tokio::test]
async fn cors_headers_are_absent_by_default() {
    let server = TestServer::start().await;

    for origin in [FRIEND, "http://localhost:3000", "null"] {
        let first = ask_first(&server, origin, "/items/messages").await;
        first.refused(404, "ROUTE_NOT_FOUND");
        assert_eq!(told(&first), []);
        let answer = send(&server, origin, "/server/ping").await;
        assert_eq!((answer.status, told(&answer)), (200, vec![]));
    }
    server.stop().await;
}

#[tokio::test]
async fn a_preflight_from_an_allowed_origin_is_answered() {
    let server = befriended().await;

    for path in ["/items/messages", "/auth/refresh", "/users/me", "/nowhere"] {
        let first = ask_first(&server, FRIEND, path).await;

        first.nothing();
        assert_eq!(
            told(&first),
            [
                ("allow-credentials", "true"),
                ("allow-headers", "Content-Type, Authorization, Idempotency-Key"),
                ("allow-methods", "GET, POST, PATCH, DELETE, SEARCH"),
                ("allow-origin", FRIEND),
                ("expose-headers", "Ignored-Fields, Retry-After, X-Request-Id"),
                ("max-age", "18000"),
            ]
        );
        assert!(first.header("vary").contains("Origin"), "{path}");
    }
    server.stop().await;
}

#[tokio::test]
async fn an_allowed_origin_may_read_responses_and_errors() {
    let server = befriended().await;
    let large = "x".repeat(2 << 20);

    for (path, status) in [
        ("/server/ping", 200),
        ("/", 200),
        ("/users/me", 401),
        ("/utils/random/string?length=1000", 400),
        ("/items/messages", 403),
        ("/nowhere", 404),
        (&*format!("/items/messages?{}", "x".repeat(33 << 10)), 414),
    ] {
        let answer = send(&server, FRIEND, path).await;

        assert_eq!(answer.status, status, "{path:.40}");
        assert_eq!(
            told(&answer),
            [
                ("allow-credentials", "true"),
                ("allow-origin", FRIEND),
                ("expose-headers", "Ignored-Fields, Retry-After, X-Request-Id"),
            ],
            "{path:.40}"
        );
        let answer = send(&server, STRANGER, path).await;
        assert_eq!((answer.status, told(&answer)), (status, vec![]), "{path:.40}");
    }
    let upload = server.anonymous().request("POST", "/items/messages").header("origin", FRIEND);
    let answer = Answer::to(upload.body(large)).await;
    assert_eq!((answer.status, told(&answer).len()), (413, 3));
    server.stop().await;
}

#[tokio::test]
async fn lookalike_origins_are_not_allowed() {
    let server = befriended().await;

    for origin in [
        STRANGER,
        "null",
        "http://friend.example",
        "https://friend.example:444",
        "https://friend.example.stranger.example",
        "https://sub.friend.example",
        "https://FRIEND.example",
        "https://friend.example/",
        "",
    ] {
        let first = ask_first(&server, origin, "/items/messages").await;
        first.refused(404, "ROUTE_NOT_FOUND");
        assert_eq!(told(&first), [], "{origin}");
        assert_eq!(told(&send(&server, origin, "/server/ping").await), [], "{origin}");
    }
    let bytes = server.anonymous().request("GET", "/server/ping").header("origin", &b"\xff"[..]);
    assert_eq!(told(&Answer::to(bytes).await), []);
    server.stop().await;
}

#[tokio::test]
async fn a_preflight_ignores_invalid_credentials() {
    let server = befriended().await;

    for (name, value) in [
        ("authorization", "Bearer nobody's"),
        ("cookie", "directus_session_token=nobody's"),
        ("cookie", "directus_refresh_token=nobody's"),
    ] {
        let request = server.anonymous().request("OPTIONS", "/users/me").header(name, value);
        let request =
            request.header("origin", FRIEND).header("access-control-request-method", "PATCH");
        Answer::to(request).await.nothing();
    }
    // An `OPTIONS` request that is not a preflight is an ordinary request.
    let request = server.anonymous().request("OPTIONS", "/users/me").header("origin", FRIEND);
    Answer::to(request).await.refused(404, "ROUTE_NOT_FOUND");
    server.stop().await;
}

#[tokio::test]
async fn a_wildcard_origin_allows_reads_without_credentials() {
    for everybody in ["true", "*"] {
        let server = server(&[
            ("CORS_ENABLED", "true"),
            ("CORS_ORIGIN", everybody),
            ("CORS_CREDENTIALS", "true"),
        ])
        .await;

        for origin in [FRIEND, STRANGER, "null"] {
            ask_first(&server, origin, "/items/messages").await.nothing();
            let answer = send(&server, origin, "/server/ping").await;
            assert_eq!(
                told(&answer),
                [
                    ("allow-origin", "*"),
                    ("expose-headers", "Ignored-Fields, Retry-After, X-Request-Id")
                ]
            );
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn every_cors_header_is_configurable() {
    let server = server(&[
        ("CORS_ENABLED", "true"),
        ("CORS_ORIGIN", &format!("http://one.example,{FRIEND}")),
        ("CORS_METHODS", "GET"),
        ("CORS_ALLOWED_HEADERS", "X-One, X-Two"),
        ("CORS_EXPOSED_HEADERS", "X-Three"),
        ("CORS_CREDENTIALS", "false"),
        ("CORS_MAX_AGE", "1m"),
    ])
    .await;

    for origin in ["http://one.example", FRIEND] {
        assert_eq!(
            told(&ask_first(&server, origin, "/items/messages").await),
            [
                ("allow-headers", "X-One, X-Two"),
                ("allow-methods", "GET"),
                ("allow-origin", origin),
                ("expose-headers", "X-Three"),
                ("max-age", "60"),
            ]
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn demo_mode_allows_localhost_origins() {
    let server = TestServer::with(chinwag::config::Config::enable_demo).await;
    let (page, body) = ("http://localhost:3000", json!({"content": "from a page elsewhere"}));

    ask_first(&server, page, "/items/messages").await.nothing();
    let request = server.anonymous().request("POST", "/items/messages").header("origin", page);
    let said = Answer::to(request.json(&body)).await;
    said.ok();
    assert_eq!(said.header("access-control-allow-origin"), page);
    assert_eq!(said.header("access-control-allow-credentials"), "true");

    ask_first(&server, STRANGER, "/items/messages").await.refused(404, "ROUTE_NOT_FOUND");
    server.stop().await;
}
