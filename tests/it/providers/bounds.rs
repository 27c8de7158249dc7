//! A provider that is down, slow, too verbose or flooded with requests does not affect other
//! clients of the service.

use std::time::Duration;

use serde_json::json;

use crate::providers::Browser;
use crate::providers::arrived;
use crate::providers::claims;
use crate::providers::idp::{Idp, Mood};
use crate::providers::keys::Key;
use crate::providers::login;
use crate::providers::refused;
use crate::providers::service;

const DOCUMENT: &str = "/.well-known/openid-configuration";

#[tokio::test]
async fn a_broken_provider_is_unavailable_and_retried_after_a_pause() {
    let idp = Idp::start().await;
    let server = service(&idp, |_| {}).await;
    let mut browser = Browser::new(&server);

    for path in [DOCUMENT, "/jwks"] {
        for mood in [Mood::Broken, Mood::Babbling, Mood::Huge, Mood::Redirecting] {
            idp.feel(path, Some(mood));
            let before = idp.hits(DOCUMENT);
            for _ in 0..5 {
                let answer = browser.get(&login(Some("/room"))).await;
                refused(&answer, "SERVICE_UNAVAILABLE");
                browser.get("/auth/login/idp").await.refused(503, "SERVICE_UNAVAILABLE");
            }
            assert_eq!(idp.hits(DOCUMENT), before + 1, "{path} {mood:?}");
            server.clock.advance(Duration::from_secs(5));
        }
        idp.feel(path, None);
    }
    assert_eq!(idp.hits("/elsewhere"), 0, "no redirect is followed");
    arrived(&browser.sign_in(&idp, claims(&idp, &server.clock, "ada"), json!({})).await);
    server.stop().await;
}

#[tokio::test]
async fn discovery_documents_of_another_issuer_are_refused() {
    let idp = Idp::start().await;
    idp.document("issuer", json!("https://evil.example"));
    let server = service(&idp, |_| {}).await;

    let answer = Browser::new(&server).get("/auth/login/idp").await;

    answer.refused(503, "SERVICE_UNAVAILABLE");
    server.stop().await;
}

#[tokio::test]
async fn an_unresponsive_provider_delays_only_its_own_sign_ins() {
    let idp = Idp::start().await;
    idp.feel(DOCUMENT, Some(Mood::Silent));
    // The service starts, and other clients are served.
    let server = service(&idp, |provider| provider.timeout = Duration::from_millis(300)).await;

    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let client = server.anonymous();
            tokio::spawn(async move { client.get("/auth/login/idp").await })
        })
        .collect();
    server.member("bob").await.say("hello").await;
    for one in waiting {
        one.await.unwrap().refused(503, "SERVICE_UNAVAILABLE");
    }

    assert_eq!(idp.hits(DOCUMENT), 1, "one request serves all clients");
    server.stop().await;
}

#[tokio::test]
async fn cached_discovery_documents_are_used_during_outages() {
    let idp = Idp::start().await;
    let server = service(&idp, |_| {}).await;
    let mut browser = Browser::new(&server);
    let ada = || claims(&idp, &server.clock, "ada");
    arrived(&browser.sign_in(&idp, ada(), json!({})).await);

    idp.feel(DOCUMENT, Some(Mood::Broken));
    server.clock.advance(Duration::from_hours(1));
    arrived(&browser.sign_in(&idp, ada(), json!({})).await);
    assert_eq!(idp.hits(DOCUMENT), 2);
    // The cached document expires eventually.
    server.clock.advance(Duration::from_hours(24));
    refused(&browser.get(&login(Some("/room"))).await, "SERVICE_UNAVAILABLE");
    server.stop().await;
}

#[tokio::test]
async fn unknown_key_ids_do_not_flood_the_provider_with_requests() {
    let idp = Idp::start().await;
    let server = service(&idp, |_| {}).await;
    let mut browser = Browser::new(&server);
    let ada = || claims(&idp, &server.clock, "ada");
    arrived(&browser.sign_in(&idp, ada(), json!({})).await);
    idp.bend(|claims| Key::two().named("nobody's").sign(&claims));
    let before = idp.hits("/jwks");

    for _ in 0..10 {
        refused(&browser.sign_in(&idp, ada(), json!({})).await, "INVALID_CREDENTIALS");
    }
    assert!(idp.hits("/jwks") - before <= 1, "{}", idp.hits("/jwks"));
    server.clock.advance(Duration::from_secs(31));
    for _ in 0..10 {
        refused(&browser.sign_in(&idp, ada(), json!({})).await, "INVALID_CREDENTIALS");
    }
    assert_eq!(idp.hits("/jwks") - before, 1);
    server.stop().await;
}

#[tokio::test]
async fn a_provider_failure_during_sign_in_is_reported_as_a_reason() {
    let idp = Idp::start().await;
    let server = service(&idp, |provider| provider.timeout = Duration::from_millis(300)).await;
    let mut browser = Browser::new(&server);

    for path in ["/token", "/userinfo"] {
        idp.feel(path, Some(Mood::Silent));
        let answer = browser.sign_in(&idp, claims(&idp, &server.clock, "ada"), json!({})).await;
        refused(&answer, "SERVICE_UNAVAILABLE");
        idp.feel(path, None);
    }
    let users = server.admin().await.get("/users?filter[provider][_eq]=idp").await.ok();
    assert_eq!(users, json!([]));
    server.stop().await;
}
