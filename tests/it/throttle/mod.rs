//! Rate limits: a client that guesses is delayed, the owner of the account is not, and every
//! sending rate is limited.
//!
//! Tests control the clock, and addresses are reported by a trusted proxy.

mod delivery;
mod factors;
mod items;
mod links;
mod passwords;
mod rates;
mod tokens;

use std::time::Duration;

use chinwag::config::{Config, TrustProxy};
use serde_json::Value as Json;
use serde_json::json;

use crate::support::{Answer, Socket, TestServer};

/// The owner's address.
const HOME: &str = "192.0.2.1";
/// A password that no account has.
const WRONG: &str = "not the password of anybody";

async fn start() -> TestServer {
    start_with(|_| {}).await
}

async fn start_with(bend: impl FnOnce(&mut Config)) -> TestServer {
    TestServer::at_noon(|config| {
        config.server.trust_proxy = TrustProxy::Hops(1);
        bend(config);
    })
    .await
}

/// Returns one of many addresses.
fn machine(number: usize) -> String {
    format!("198.18.{}.{}", number / 250, number % 250 + 1)
}

async fn post_from(server: &TestServer, from: &str, path: &str, body: &Json) -> Answer {
    let request = server.anonymous().request("POST", path).header("x-forwarded-for", from);
    Answer::to(request.json(body)).await
}

async fn login(server: &TestServer, from: &str, email: &str, password: &str) -> Answer {
    let body = json!({"email": email, "password": password});
    post_from(server, from, "/auth/login", &body).await
}

async fn socket_from(server: &TestServer, from: &str) -> Socket {
    let mut request = Socket::request(server, "");
    request.headers_mut().insert("x-forwarded-for", from.parse().unwrap());
    Socket::open(request).await.unwrap()
}

/// Returns the number of requests refused with this code before the first rate-limited one.
async fn before_the_wait(code: &str, mut next: impl AsyncFnMut(usize) -> Answer) -> usize {
    for number in 0..200 {
        let answer = next(number).await;
        if answer.status == 429 {
            told_to_wait(&answer);
            return number;
        }
        assert_eq!(answer.code(), code, "{}", answer.text);
    }
    panic!("no request was rate-limited");
}

/// Asserts that a request was rate-limited, and returns the time to wait.
#[track_caller]
fn told_to_wait(answer: &Answer) -> Duration {
    let seconds: u64 = answer.header("retry-after").parse().unwrap();
    let message = format!("Too many requests, retry after {seconds}s.");
    answer.refused_with(429, "REQUESTS_EXCEEDED", &message);
    let extensions = &answer.body["errors"][0]["extensions"];
    assert!(extensions["limit"].is_u64(), "{extensions}");
    assert!(extensions["reset"].as_str().unwrap().starts_with("2026-"), "{extensions}");
    assert!(!extensions["reason"].as_str().unwrap().is_empty(), "{extensions}");
    assert_ne!(seconds, 0);
    Duration::from_secs(seconds)
}
