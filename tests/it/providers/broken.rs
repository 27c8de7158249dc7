//! Invalid proofs: forged tokens, and callbacks that belong to another browser.

use std::time::Duration;

use chinwag::clock::Timestamp;
use chinwag::signatures;
use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::Value as Json;
use serde_json::json;

use crate::providers::arrived;
use crate::providers::claims;
use crate::providers::idp::{CLIENT, Idp};
use crate::providers::keys::Key;
use crate::providers::parameter;
use crate::providers::refused;
use crate::providers::service;
use crate::providers::{Browser, NOON};

type Bend = Box<dyn Fn(Json) -> String + Send + Sync>;

fn with(name: &'static str, value: Json) -> Bend {
    Box::new(move |mut claims| {
        claims[name] = value.clone();
        Key::one().sign(&claims)
    })
}

fn without(name: &'static str) -> Bend {
    Box::new(move |mut claims| {
        claims.as_object_mut().unwrap().remove(name);
        Key::one().sign(&claims)
    })
}

fn shared(secret: Vec<u8>) -> Bend {
    Box::new(move |claims| {
        let header = Header { kid: Some("one".to_owned()), ..Header::new(Algorithm::HS256) };
        signatures::encode(&header, &claims, &EncodingKey::from_secret(&secret)).unwrap()
    })
}

fn unsigned(algorithm: &'static str, signature: &'static str) -> Bend {
    Box::new(move |claims| {
        let header = json!({"alg": algorithm, "typ": "JWT", "kid": "one"}).to_string();
        let part = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
        format!("{}.{}.{signature}", part(&header), part(&claims.to_string()))
    })
}

fn bends(idp: &Idp) -> Vec<(&'static str, Bend)> {
    let modulus = Key::one().public()["n"].as_str().unwrap().as_bytes().to_vec();
    let other = |key: Key| -> Bend { Box::new(move |claims| key.sign(&claims)) };
    vec![
        ("the signature of another key", other(Key::two().named("one"))),
        ("a key that is not in the set", other(Key::two())),
        ("the secret of the client", shared(CLIENT.1.as_bytes().to_vec())),
        ("the public key as a secret", shared(modulus)),
        ("none", unsigned("none", "")),
        ("NONE", unsigned("NONE", "")),
        ("a made up signature", unsigned("RS256", "c2lnbmF0dXJl")),
        ("no token", Box::new(|_| "x.y.z".to_owned())),
        ("another issuer", with("iss", json!("https://evil.example"))),
        ("an issuer that begins alike", with("iss", json!(format!("{}/x", idp.url)))),
        ("no issuer", without("iss")),
        ("another audience", with("aud", json!("another"))),
        ("several audiences", with("aud", json!([CLIENT.0, "another"]))),
        ("no audience", without("aud")),
        ("another nonce", with("nonce", json!("another"))),
        ("no nonce", without("nonce")),
        ("expired", with("exp", json!(NOON))),
        ("expired long ago", with("exp", json!(NOON - 3600))),
        ("no expiry", without("exp")),
        ("issued tomorrow", with("iat", json!(NOON + 86_400))),
        ("not valid yet", with("nbf", json!(NOON + 86_400))),
        ("no subject", without("sub")),
        ("an empty subject", with("sub", json!(""))),
        ("another access token", with("at_hash", json!("AAAAAAAAAAAAAAAAAAAAAA"))),
        ("another client of the same provider", with("azp", json!("another"))),
    ]
}

#[tokio::test]
async fn invalid_id_tokens_are_refused() {
    let idp = Idp::start().await;
    let server = service(&idp, |_| {}).await;
    assert_eq!(server.clock.now(), Timestamp::from_millis(NOON * 1000));
    let mut browser = Browser::new(&server);

    for (what, bend) in bends(&idp) {
        idp.bend(bend);
        let answer = browser.sign_in(&idp, claims(&idp, &server.clock, "ada"), json!({})).await;
        // A token that cannot be parsed counts as no answer.
        let reason = match what {
            "NONE" | "no token" | "no issuer" | "no expiry" | "no subject" => "SERVICE_UNAVAILABLE",
            _ => "INVALID_CREDENTIALS",
        };
        let location = format!("https://chat.example.com/room?reason={reason}");
        assert_eq!(answer.header("location"), location, "{what}");
        refused(&answer, reason);
    }
    let users = server.admin().await.get("/users?filter[provider][_eq]=idp").await.ok();
    assert_eq!(users, json!([]));
    idp.bend(|claims| Key::one().sign(&claims));
    arrived(&browser.sign_in(&idp, claims(&idp, &server.clock, "ada"), json!({})).await);
    server.stop().await;
}

#[tokio::test]
async fn key_rotation_is_followed_for_several_key_types() {
    let idp = Idp::start().await;
    let server = service(&idp, |_| {}).await;
    let mut browser = Browser::new(&server);
    let ada = || claims(&idp, &server.clock, "ada");
    arrived(&browser.sign_in(&idp, ada(), json!({})).await);

    idp.keys(&[&Key::curve(), &Key::two()]);
    for key in [Key::curve(), Key::two()] {
        server.clock.advance(Duration::from_mins(1));
        idp.bend(move |claims| key.sign(&claims));
        arrived(&browser.sign_in(&idp, ada(), json!({})).await);
    }
    // The removed key is no longer accepted.
    idp.bend(|claims| Key::one().sign(&claims));
    refused(&browser.sign_in(&idp, ada(), json!({})).await, "INVALID_CREDENTIALS");
    assert_eq!(idp.hits("/jwks"), 3);
    server.stop().await;
}

#[tokio::test]
async fn a_profile_of_another_subject_is_refused() {
    let idp = Idp::start().await;
    let server = service(&idp, |_| {}).await;
    let mut browser = Browser::new(&server);

    let profile = json!({"sub": "bob", "email": "bob@example.com"});
    let answer = browser.sign_in(&idp, claims(&idp, &server.clock, "ada"), profile).await;
    refused(&answer, "INVALID_CREDENTIALS");
    // Signed claims take precedence over unsigned ones.
    let mut ada = claims(&idp, &server.clock, "ada");
    ada["email"] = json!("ada@example.com");
    arrived(&browser.sign_in(&idp, ada, json!({"email": "bob@example.com"})).await);
    assert_eq!(browser.me().await["email"], "ada@example.com");
    server.stop().await;
}

#[tokio::test]
async fn a_callback_cannot_be_replayed() {
    let idp = Idp::start().await;
    let server = service(&idp, |_| {}).await;
    let mut browser = Browser::new(&server);
    let page = browser.begin(Some("/room")).await;
    let ticket = browser.cookies["openid.idp"].clone();
    let code = idp.approve(&page, claims(&idp, &server.clock, "ada"), json!({}));
    arrived(&browser.back(&page, &code).await);

    // The same cookie, with the same code and with a new one.
    for code in [code, idp.approve(&page, claims(&idp, &server.clock, "ada"), json!({}))] {
        let mut thief = Browser::new(&server);
        thief.cookies.insert("openid.idp".to_owned(), ticket.clone());
        refused(&thief.back(&page, &code).await, "INVALID_CREDENTIALS");
    }
    assert_eq!(idp.hits("/token"), 1, "a replayed callback sends no request to the provider");
    server.stop().await;
}

#[tokio::test]
async fn a_sign_in_cannot_be_completed_in_another_browser() {
    let idp = Idp::start().await;
    let server = service(&idp, |_| {}).await;
    let (mut victim, mut attacker) = (Browser::new(&server), Browser::new(&server));
    let page = attacker.begin(Some("/room")).await;
    let code = idp.approve(&page, claims(&idp, &server.clock, "mallory"), json!({}));

    // A link from the attacker: the victim would be signed in as the attacker.
    let answer = victim.back(&page, &code).await;
    assert_eq!(answer.status, 302);
    let home = "https://chat.example.com/?reason=INVALID_CREDENTIALS";
    assert_eq!(answer.header("location"), home);
    assert!(victim.cookies.is_empty());
    // Nor during the victim's own sign-in, with any state.
    let own = victim.begin(Some("/room")).await;
    refused(&victim.back(&page, &code).await, "INVALID_CREDENTIALS");
    for state in ["", "x", &parameter(&own, "nonce")] {
        victim.begin(Some("/room")).await;
        let path = format!("/auth/login/idp/callback?code={code}&state={state}");
        refused(&victim.get(&path).await, "INVALID_CREDENTIALS");
    }
    victim.begin(Some("/room")).await;
    let path = format!("/auth/login/idp/callback?code={code}");
    refused(&victim.get(&path).await, "INVALID_CREDENTIALS");
    assert_eq!(idp.hits("/token"), 0);
    arrived(&attacker.back(&page, &code).await);
    server.stop().await;
}

#[tokio::test]
async fn an_authorization_code_cannot_be_used_by_another_browser() {
    let idp = Idp::start().await;
    let server = service(&idp, |_| {}).await;
    let (mut victim, mut attacker) = (Browser::new(&server), Browser::new(&server));
    let page = victim.begin(Some("/room")).await;
    let code = idp.approve(&page, claims(&idp, &server.clock, "victim"), json!({}));

    // A stolen code, used in the thief's own sign-in: PKCE prevents it.
    let own = attacker.begin(Some("/room")).await;
    refused(&attacker.back(&own, &code).await, "INVALID_TOKEN");
    // A made-up code.
    let own = attacker.begin(Some("/room")).await;
    refused(&attacker.back(&own, "made-up").await, "INVALID_TOKEN");
    let own = attacker.begin(Some("/room")).await;
    refused(&attacker.back(&own, &"x".repeat(5000)).await, "INVALID_CREDENTIALS");
    server.stop().await;
}

#[tokio::test]
async fn callbacks_with_another_issuer_are_refused() {
    let idp = Idp::start().await;
    let server = service(&idp, |_| {}).await;
    let mut browser = Browser::new(&server);

    for (issuer, is_in) in [("https://evil.example", false), (idp.url.as_str(), true)] {
        let page = browser.begin(Some("/room")).await;
        let code = idp.approve(&page, claims(&idp, &server.clock, "ada"), json!({}));
        let answer = browser.back(&page, &format!("{code}&iss={issuer}")).await;
        if is_in {
            arrived(&answer);
        } else {
            refused(&answer, "INVALID_CREDENTIALS");
        }
    }
    server.stop().await;
}
