//! Enrolment by mail: sign-up, invitations, password resets, and the mails themselves.

mod delivery;
mod invite;
mod register;
mod reset;
mod timing;

use chinwag::config::Config;
use serde_json::Value as Json;
use serde_json::json;

use crate::support::http;
use crate::support::{Answer, Post, TestServer, User};

/// A valid password.
const PASSWORD: &str = "correct horse battery";

/// Starts a service with a mail server and a manual clock.
async fn start(bend: impl FnOnce(&mut Config)) -> (TestServer, Post) {
    let post = Post::start().await;
    let server = TestServer::at_noon(|config| {
        post.serve(config);
        bend(config);
    })
    .await;
    (server, post)
}

/// Changes settings as the administrator.
async fn set(server: &TestServer, settings: Json) {
    server.admin().await.patch("/settings", &settings).await.ok();
}

async fn login(server: &TestServer, email: &str, password: &str) -> Answer {
    let body = json!({"email": email, "password": password});
    server.anonymous().post("/auth/login", &body).await
}

async fn register(server: &TestServer, email: &str) -> Answer {
    let body = json!({"email": email, "password": PASSWORD, "first_name": "New"});
    server.anonymous().post("/users/register", &body).await
}

async fn ask_reset(server: &TestServer, email: &str) -> Answer {
    server.anonymous().post("/auth/password/request", &json!({"email": email})).await
}

async fn reset(server: &TestServer, token: &str, password: &str) -> Answer {
    let body = json!({"token": token, "password": password});
    server.anonymous().post("/auth/password/reset", &body).await
}

async fn accept(server: &TestServer, token: &str, password: &str) -> Answer {
    let body = json!({"token": token, "password": password});
    server.anonymous().post("/users/invite/accept", &body).await
}

async fn verify(server: &TestServer, token: &str) -> Answer {
    Answer::to(open_link(server, token)).await
}

/// Follows the link as a browser does, and returns the location of the redirect.
async fn follow(server: &TestServer, token: &str) -> String {
    let accept = "text/html,application/xhtml+xml,*/*;q=0.8";
    let answer = Answer::to(open_link(server, token).header("accept", accept)).await;
    assert_eq!(answer.status, 302, "{}", answer.text);
    answer.header("location").to_owned()
}

fn open_link(server: &TestServer, token: &str) -> reqwest::RequestBuilder {
    let http = http().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    http.get(format!("http://{}/users/register/verify-email?token={token}", server.address))
}

/// Returns the key of a role.
async fn role(admin: &User, name: &str) -> Json {
    let roles = admin.get(&format!("/roles?filter[name][_eq]={name}")).await.ok();
    roles[0]["id"].clone()
}

async fn find(admin: &User, email: &str) -> Json {
    let path = format!("/users?filter[email][_eq]={email}");
    admin.get(&path).await.ok()[0].clone()
}
