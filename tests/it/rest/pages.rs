//! Common parts of all responses, the pages for browsers, and normalization of paths.

use serde_json::json;

use crate::support::{Answer, TestServer};

#[tokio::test]
async fn unchanged_pages_return_not_modified() {
    let server = TestServer::start().await;
    let browser = server.anonymous();

    for path in ["/", "/chat/main.js", "/chat/style.css", "/docs", "/openapi.json"] {
        let page = browser.get(path).await;
        assert_eq!(page.status, 200, "{path}");
        assert!(!page.text.is_empty(), "{path}");
        let tag = page.header("etag");
        assert!(tag.starts_with('"'), "{path}: {tag}");

        for known in [tag, "*", &format!("\"other\", W/{tag}")] {
            let again = browser.request("GET", path).header("if-none-match", known);
            let again = Answer::to(again).await;
            assert_eq!((again.status, again.text.as_str()), (304, ""), "{path} {known}");
            assert_eq!(again.header("etag"), tag);
        }
        let head = browser.send("HEAD", path).await;
        assert_eq!((head.status, head.text.as_str()), (200, ""), "{path}");
        assert_eq!(head.header("etag"), tag);
        assert_eq!(head.header("content-type"), page.header("content-type"));
    }
    server.stop().await;
}

#[tokio::test]
async fn every_response_has_the_security_headers() {
    let server = TestServer::start().await;
    let nobody = server.anonymous();

    for path in [
        "/",
        "/docs",
        "/openapi.json",
        "/items/messages",
        "/nowhere",
        "/server/ping",
        "/websocket",
        "/chat/nothing.js",
        "/items/messages?filter=x",
    ] {
        let answer = nobody.get(path).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("cache-control"), "no-cache", "{path}");
        let varies = answer.header("vary");
        assert!(varies.split(", ").any(|name| name == "Origin"), "{path}: {varies}");
        assert_eq!(answer.header("x-request-id").len(), 36, "{path}");
        assert!(answer.headers.get("access-control-allow-origin").is_none(), "{path}");
        assert!(answer.headers.get("server").is_none(), "{path}");
    }
    for path in ["/", "/docs"] {
        let policy = nobody.get(path).await;
        let policy = policy.header("content-security-policy");
        assert!(policy.contains("default-src 'none'"), "{path}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
    }
    server.stop().await;
}

#[tokio::test]
async fn json_responses_have_the_json_content_type() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;

    for path in ["/items/messages", "/users/me", "/nowhere", "/server/info", "/auth"] {
        let answer = alice.get(path).await;
        assert_eq!(answer.header("content-type"), "application/json; charset=utf-8", "{path}");
    }
    server.stop().await;
}

#[tokio::test]
async fn paths_allow_any_case_and_one_trailing_slash() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;
    alice.say("hi").await;

    for path in [
        "/items/messages/",
        "/ITEMS/messages",
        "/Items/messages/1",
        "/Users/ME",
        "/users/me/",
        "/SERVER/Info",
        "/Permissions/Me/",
    ] {
        alice.get(path).await.ok();
    }
    alice.get("/items/messages//").await.refused(404, "ROUTE_NOT_FOUND");
    // Collection names are case-sensitive.
    alice.get("/items/Messages").await.refused(403, "FORBIDDEN");
    server.stop().await;
}

#[tokio::test]
async fn route_not_found_errors_omit_the_query_string() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;

    for (method, path) in [
        ("GET", "/nowhere"),
        ("GET", "/items"),
        ("GET", "/items/messages/1/2"),
        ("PUT", "/items/messages"),
        ("PUT", "/items/messages/1"),
        ("POST", "/items/messages/1"),
        ("OPTIONS", "/items/messages"),
        ("GET", "/auth/login"),
        ("GET", "/websocket"),
        ("GET", "/chat/../Cargo.toml"),
    ] {
        let answer = alice.send(method, &format!("{path}?token=secret")).await;
        answer.refused(404, "ROUTE_NOT_FOUND");
        let error = &answer.body["errors"][0];
        let shown = error["extensions"]["path"].as_str().unwrap();
        assert_eq!(error["message"], format!("Route {shown} doesn't exist."));
        assert!(!answer.text.contains("secret"));
    }
    server.stop().await;
}

#[tokio::test]
async fn health_is_public_and_details_are_for_administrators() {
    let server = TestServer::start().await;
    let (nobody, admin) = (server.anonymous(), server.admin().await);

    assert_eq!(nobody.get("/server/ping").await.text, "pong");
    let health = nobody.get("/server/health").await;
    assert_eq!((health.status, &health.body), (200, &json!({"status": "ok"})));
    assert!(nobody.get("/server/info").await.ok().get("version").is_none());

    let health = admin.get("/server/health").await.body;
    assert!(health["checks"]["sqlite3:responseTime"][0]["observedValue"].is_number(), "{health}");
    assert!(admin.get("/server/info").await.ok()["version"].is_string());
    assert_eq!(admin.get("/server/specs/oas").await.status, 200);
    assert_eq!(nobody.get("/server/specs/oas").await.status, 200);
    server.stop().await;
}
