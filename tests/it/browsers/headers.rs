//! Response headers for browsers, which every response carries.

use crate::browsers::server;
use crate::support::{Answer, TestServer};

const STRICT: &str = "default-src 'none'";

#[tokio::test]
async fn every_response_has_security_headers() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;

    for path in [
        "/",
        "/chat/main.js",
        "/docs",
        "/docs/websocket",
        "/admin/reset-password",
        "/admin/accept-invite",
        "/openapi.json",
        "/items/messages",
        "/items/messages?filter=x",
        "/items/messages?export=csv",
        "/server/ping",
        "/websocket",
        "/nowhere",
        "/chat/nothing.js",
    ] {
        for client in [server.anonymous(), alice.bearing(&alice.token)] {
            let answer = client.get(path).await;
            let policy = answer.header("content-security-policy");
            assert!(policy.starts_with(STRICT), "{path}: {policy}");
            assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
            assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
            assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
            assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
            assert_eq!(answer.header("strict-transport-security"), "", "{path}");
        }
    }
    server.stop().await;
}

/// Only `data:` images and inline `style` attributes are allowed without being named.
#[tokio::test]
async fn pages_allow_only_their_own_scripts() {
    let server = TestServer::start().await;

    for path in ["/", "/docs", "/docs/websocket", "/admin/reset-password", "/admin/accept-invite"] {
        let page = server.anonymous().get(path).await;
        let policy = page.header("content-security-policy");
        for directive in policy.split("; ") {
            let (name, sources) = directive.split_once(' ').unwrap();
            for source in sources.split(' ') {
                let is_good = match source {
                    "'none'" | "'self'" => true,
                    "data:" => matches!(name, "img-src" | "font-src"),
                    "'unsafe-inline'" => name == "style-src-attr",
                    hash => hash.starts_with("'sha256-"),
                };
                assert!(is_good, "{path}: {directive}");
            }
        }
        for directive in ["base-uri 'none'", "frame-ancestors 'none'"] {
            assert!(policy.contains(directive), "{path}: {policy}");
        }
        // On revalidation, the browser keeps the page and adopts these headers.
        let again = server.anonymous().request("GET", path);
        let again = Answer::to(again.header("if-none-match", page.header("etag"))).await;
        assert_eq!((again.status, again.header("content-security-policy")), (304, policy));
    }
    server.stop().await;
}

#[tokio::test]
async fn front_end_pages_use_the_configured_policy() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("index.html"), "<title>Chat</title>").unwrap();
    let unset = "base-uri 'self'; frame-ancestors 'self'; object-src 'none'";
    let set = "frame-ancestors https://portal.example";

    for (text, expected) in [(None, unset), (Some(set), set)] {
        let server = TestServer::with(|config| {
            config.server.public_dir = Some(directory.path().to_owned());
            if let Some(text) = text {
                text.clone_into(&mut config.browser.content_security_policy);
            }
        })
        .await;
        for path in ["/", "/rooms/5"] {
            let request = server.anonymous().request("GET", path).header("accept", "text/html");
            let page = Answer::to(request).await;
            assert_eq!(page.text, "<title>Chat</title>");
            assert_eq!(page.header("content-security-policy"), expected);
            assert_eq!(page.header("x-frame-options"), "SAMEORIGIN");
            assert_eq!(page.header("x-content-type-options"), "nosniff");
            assert_eq!(page.header("referrer-policy"), "strict-origin-when-cross-origin");
        }
        // The API beside the page keeps its strict policy.
        let api = server.anonymous().get("/directus/items/messages").await;
        assert!(api.header("content-security-policy").starts_with(STRICT));
        assert_eq!(api.header("x-frame-options"), "DENY");
        server.stop().await;
    }
}

#[tokio::test]
async fn hsts_is_sent_when_configured() {
    for (texts, expected) in [
        (&[("HSTS_ENABLED", "true")][..], "max-age=31536000; includeSubDomains"),
        (
            &[
                ("HSTS_ENABLED", "true"),
                ("HSTS_MAX_AGE", "1d"),
                ("HSTS_INCLUDE_SUB_DOMAINS", "false"),
                ("HSTS_PRELOAD", "true"),
            ],
            "max-age=86400; preload",
        ),
    ] {
        let server = server(texts).await;
        for path in ["/", "/docs", "/server/ping", "/users/me", "/nowhere"] {
            let answer = server.anonymous().get(path).await;
            assert_eq!(answer.header("strict-transport-security"), expected, "{path}");
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn trace_requests_are_not_echoed() {
    let server = TestServer::start().await;

    for path in ["/", "/items/messages", "/server/ping"] {
        let request = server.anonymous().request("TRACE", path).header("cookie", "secret=1");
        let answer = Answer::to(request).await;
        answer.refused(404, "ROUTE_NOT_FOUND");
        assert!(!answer.text.contains("secret"), "{path}");
    }
    server.stop().await;
}
