//! What pages may do that browsers show: those of this service, and those of others.

mod caching;
mod cookies;
mod cors;
mod headers;
mod heads;

use chinwag::config::Config;

use crate::support::TestServer;
use crate::support::User;

use serde_json::json;

/// A page of this origin is allowed by `CORS_ORIGIN` in the tests that allow any.
const FRIEND: &str = "https://friend.example";

/// A page of this origin is never allowed.
const STRANGER: &str = "https://stranger.example";

/// Starts a service with these settings about browsers.
async fn server(texts: &[(&str, &str)]) -> TestServer {
    let read = Config::from_texts(texts.iter().copied()).unwrap();
    TestServer::with(|config| config.browser = read.browser).await
}

/// Starts a service for which `FRIEND` is an origin to be trusted.
async fn befriended() -> TestServer {
    server(&[("CORS_ENABLED", "true"), ("CORS_ORIGIN", FRIEND)]).await
}

/// Signs in by a cookie, and returns it as browsers send it.
async fn cookie(server: &TestServer, user: &User, mode: &str) -> String {
    let login = json!({"email": user.email, "password": user.password, "mode": mode});
    let answer = server.anonymous().post("/auth/login", &login).await;
    let name = if mode == "session" { "directus_session_token" } else { "directus_refresh_token" };
    answer.cookie(name).unwrap().split(';').next().unwrap().to_owned()
}
