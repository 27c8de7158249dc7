//! Cache headers: responses with secrets are never stored, and responses for one account are not
//! shared with another.

use serde_json::Value as Json;
use serde_json::json;

use crate::browsers::FRIEND;
use crate::browsers::befriended;
use crate::browsers::cookie;
use crate::support::{Answer, TestServer};

/// Asserts that no cache may store a response.
#[track_caller]
fn assert_not_stored(answer: &Answer, of: &str) {
    assert_eq!(answer.header("cache-control"), "no-store", "{of}: {}", answer.status);
}

#[tokio::test]
async fn responses_with_secrets_are_not_stored_by_caches() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;
    let nobody = server.anonymous();

    let login = json!({"email": alice.email, "password": alice.password});
    let signed_in = nobody.post("/auth/login", &login).await;
    let refresh_token = signed_in.ok()["refresh_token"].clone();
    assert_not_stored(&signed_in, "login");
    let wrong = json!({"email": alice.email, "password": "wrong"});
    assert_not_stored(&nobody.post("/auth/login", &wrong).await, "refused login");
    let refreshed = nobody.post("/auth/refresh", &json!({"refresh_token": refresh_token})).await;
    assert_not_stored(&refreshed, "refresh");
    let token = refreshed.ok()["refresh_token"].clone();
    assert_not_stored(
        &nobody.post("/auth/logout", &json!({"refresh_token": token})).await,
        "logout",
    );

    let password = json!({"password": alice.password});
    for (path, body) in [
        ("/users/me/tfa/generate", &password),
        ("/users/me/tfa/recovery-codes", &password),
        ("/users/me/tfa/enable", &json!({"secret": "x", "otp": "1"})),
        ("/utils/hash/generate", &json!({"string": "x"})),
        ("/utils/hash/verify", &json!({"string": "x", "hash": "x"})),
        ("/auth/password/request", &json!({"email": "nobody@example.com"})),
        ("/auth/password/reset", &json!({"token": "x", "password": "y"})),
        ("/users/register", &json!({})),
        ("/users/invite", &json!({})),
        ("/users/invite/accept", &json!({"token": "x", "password": "y"})),
    ] {
        assert_not_stored(&alice.post(path, body).await, path);
    }
    for path in [
        "/utils/random/string",
        "/users/register/verify-email?token=x",
        "/admin/reset-password?token=x",
        "/admin/accept-invite?token=x",
        "/auth/login/nobody",
        "/auth/login/nobody/callback?code=x",
    ] {
        assert_not_stored(&nobody.get(path).await, path);
    }
    server.stop().await;
}

/// Clearing a cookie also sets it.
#[tokio::test]
async fn responses_with_cookies_are_not_stored_by_caches() {
    let server = TestServer::start().await;

    for path in ["/items/messages", "/users/me"] {
        let request = server.anonymous().request("GET", path);
        let answer = Answer::to(request.header("cookie", "directus_session_token=none")).await;
        assert!(answer.cookie("directus_session_token").is_some(), "{path}");
        assert_not_stored(&answer, path);
    }
    server.stop().await;
}

#[tokio::test]
async fn responses_to_credentials_are_private() {
    let server = befriended().await;
    let alice = server.member("alice").await;
    let cookie = cookie(&server, &alice, "session").await;
    let nobody = server.anonymous();

    for path in ["/items/messages", "/users/me", "/server/info", "/nowhere", "/websocket"] {
        let with_cookie = nobody.request("GET", path).header("cookie", &cookie);
        let with_both = alice.request("GET", path).header("origin", FRIEND);
        let address = format!("{path}?access_token={}", alice.token);
        for request in [
            alice.request("GET", path),
            with_cookie,
            with_both,
            nobody.request("GET", &address),
            nobody.request("GET", path).bearer_auth("none"),
        ] {
            let answer = Answer::to(request).await;
            assert_eq!(answer.header("cache-control"), "private, no-cache", "{path}");
            assert_varies(&answer, &["Origin", "Authorization", "Cookie"], path);
        }
        let open = nobody.get(path).await;
        assert_eq!(open.header("cache-control"), "no-cache", "{path}");
        assert_varies(&open, &["Origin", "Authorization", "Cookie"], path);
    }
    // Pages are the same for all clients.
    for path in ["/", "/docs", "/openapi.json", "/chat/main.js"] {
        let request = alice.request("GET", path).header("cookie", &cookie);
        assert_eq!(Answer::to(request).await.header("cache-control"), "no-cache", "{path}");
    }
    server.stop().await;
}

#[track_caller]
fn assert_varies(answer: &Answer, names: &[&str], path: &str) {
    let varies = answer.header("vary").split(", ").collect::<Vec<_>>();
    for name in names {
        assert!(varies.contains(name), "{path}: {name} in {varies:?}");
    }
}

/// Checks each operation that may set a cookie or describes a secret.
#[tokio::test]
async fn every_operation_with_cookies_is_marked_as_secret() {
    for operation in chinwag::transport::rest::operations() {
        let responses = &operation.docs.responses;
        let names_secret = responses.iter().flat_map(|one| &one.content).any(|content| {
            ["access_token", "secret", "recovery_codes"]
                .iter()
                .any(|name| has_key(&content.example["data"], name))
        });
        if responses.iter().any(|response| response.cookies) || names_secret {
            assert!(operation.secret, "{} {}", operation.method, operation.path);
        }
    }
}

fn has_key(json: &Json, name: &str) -> bool {
    json.get(name).is_some_and(|value| !value.is_null())
}
