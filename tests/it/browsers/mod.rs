//! Browser security: pages of this service, and pages of other origins.

mod caching;
mod cookies;
mod cors;
mod headers;
mod heads;

use chinwag::config::Config;

use crate::support::{TestServer, User};

use serde_json::json;

/// An origin that `CORS_ORIGIN` allows, in tests that allow one.
const FRIEND: &str = "https://friend.example";

/// An origin that is never allowed.
const STRANGER: &str = "https://stranger.example";

/// Starts a service with these browser settings.
async fn server(texts: &[(&str, &str)]) -> TestServer {
    let read = Config::from_texts(texts.iter().copied()).unwrap();
    TestServer::with(|config| config.browser = read.browser).await
}

/// Starts a service that trusts the origin `FRIEND`.
async fn befriended() -> TestServer {
    server(&[("CORS_ENABLED", "true"), ("CORS_ORIGIN", FRIEND)]).await
}

/// Signs in with a cookie and returns it as browsers send it.
async fn cookie(server: &TestServer, user: &User, mode: &str) -> String {
    let login = json!({"email": user.email, "password": user.password, "mode": mode});
    let answer = server.anonymous().post("/auth/login", &login).await;
    let name = if mode == "session" { "directus_session_token" } else { "directus_refresh_token" };
    answer.cookie(name).unwrap().split(';').next().unwrap().to_owned()
}
