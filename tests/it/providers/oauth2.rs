//! OAuth 2 without OpenID Connect: the profile endpoint identifies the user.

use chinwag::config::Driver;
use serde_json::json;
use url::Url;

use crate::providers::Browser;
use crate::providers::arrived;
use crate::providers::idp::{Idp, Mood};
use crate::providers::parameter;
use crate::providers::refused;
use crate::providers::service;
use crate::support::TestServer;

async fn plain(idp: &Idp) -> TestServer {
    let url = |path: &str| Url::parse(&format!("{}{path}", idp.url)).unwrap();
    let driver = Driver::OAuth2 {
        authorize: url("/authorize"),
        access: url("/token"),
        profile: url("/userinfo"),
    };
    service(idp, |provider| {
        provider.driver = driver;
        provider.scope = vec!["email".to_owned()];
        "data.login".clone_into(&mut provider.keys.identifier);
        provider.keys.first_name = Some("data.name".to_owned());
    })
    .await
}

#[tokio::test]
async fn oauth2_sign_in_identifies_the_user_by_the_profile() {
    let idp = Idp::start().await;
    let server = plain(&idp).await;
    let mut browser = Browser::new(&server);

    let page = browser.begin(Some("/room")).await;
    assert_eq!(parameter(&page, "scope"), "email");
    assert!(browser.cookies.contains_key("oauth2.idp"));
    let profile = json!({"data": {"login": 42, "name": "Ada"}, "email": "ada@example.com"});
    let code = idp.approve(&page, json!({"sub": "x"}), profile);
    arrived(&browser.back(&page, &code).await);

    let me = browser.me().await;
    assert_eq!((&me["external_identifier"], &me["first_name"]), (&json!("42"), &json!("Ada")));
    assert_eq!(idp.hits("/.well-known/openid-configuration"), 0);
    server.stop().await;
}

#[tokio::test]
async fn sign_in_fails_without_a_valid_profile_or_code() {
    let idp = Idp::start().await;
    let server = plain(&idp).await;
    let mut browser = Browser::new(&server);
    let sub = || json!({"sub": "x"});

    let answer = browser.sign_in(&idp, sub(), json!({"email": "ada@example.com"})).await;
    refused(&answer, "INVALID_CREDENTIALS");
    let long = json!({"data": {"login": "x".repeat(256)}});
    refused(&browser.sign_in(&idp, sub(), long).await, "INVALID_CREDENTIALS");
    let page = browser.begin(Some("/room")).await;
    refused(&browser.back(&page, "made-up").await, "INVALID_TOKEN");
    for mood in [Mood::Broken, Mood::Babbling, Mood::Huge, Mood::Redirecting] {
        for path in ["/token", "/userinfo"] {
            idp.feel(path, Some(mood));
            let profile = json!({"data": {"login": "ada"}});
            let answer = browser.sign_in(&idp, sub(), profile).await;
            refused(&answer, "SERVICE_UNAVAILABLE");
            idp.feel(path, None);
        }
    }
    server.stop().await;
}
