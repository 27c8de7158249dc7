//! Tokens that an application issues to its own users.

use std::time::Duration;

use chinwag::config::{Admission, IssuerConfig, WebSocketAuth};
use chinwag::signatures;
use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::Value as Json;
use serde_json::json;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use url::Url;

use crate::providers::NOON;
use crate::providers::account;
use crate::providers::idp::{Idp, Mood};
use crate::providers::keys::Key;
use crate::support::error;
use crate::support::{Permission, Socket, TestServer};

const ISSUER: &str = "https://app.example.com";
const AUDIENCE: &str = "chat";

fn issuer(idp: &Idp) -> IssuerConfig {
    IssuerConfig {
        keys_url: Url::parse(&format!("{}/jwks", idp.url)).unwrap(),
        issuer: ISSUER.to_owned(),
        audience: vec![AUDIENCE.to_owned(), "chat-too".to_owned()],
        algorithms: vec!["RS256".to_owned(), "ES256".to_owned()],
        provider: "app".to_owned(),
        keys: super::keys(),
        admission: Admission { register: true, verified_email: false, role: None, sync: false },
        timeout: Duration::from_secs(20),
    }
}

async fn service(idp: &Idp, bend: impl FnOnce(&mut IssuerConfig)) -> TestServer {
    let mut issuer = issuer(idp);
    bend(&mut issuer);
    TestServer::at_noon(|config| config.providers.issuer = Some(issuer)).await
}

fn claims(sub: &str) -> Json {
    json!({"iss": ISSUER, "aud": AUDIENCE, "sub": sub, "exp": NOON + 600})
}

fn with(name: &str, value: Json) -> Json {
    let mut claims = claims("ada");
    claims[name] = value;
    claims
}

fn without(name: &str) -> Json {
    let mut claims = claims("ada");
    claims.as_object_mut().unwrap().remove(name);
    claims
}

#[tokio::test]
async fn issuer_tokens_are_accepted_wherever_access_tokens_are() {
    let idp = Idp::start().await;
    let server = service(&idp, |_| {}).await;
    server.allow_public(&[Permission::to("read", "messages")]).await;
    let mut ada = claims("ada");
    ada["email"] = json!("ada@example.com");
    ada["given_name"] = json!("Ada");
    let token = Key::one().sign(&ada);

    let me = server.anonymous().bearing(&token).get("/users/me").await.ok();

    let me = account(&server, &me["id"]).await;
    assert_eq!((&me["provider"], &me["external_identifier"]), (&json!("app"), &json!("ada")));
    assert_eq!((&me["email"], &me["first_name"]), (&json!("ada@example.com"), &json!("Ada")));
    let by_address = server.anonymous().get(&format!("/users/me?access_token={token}")).await.ok();
    assert_eq!(by_address["id"], me["id"]);
    let mut socket = Socket::connect(&server).await;
    socket.send(&json!({"type": "auth", "access_token": token})).await;
    socket.expect(&json!({"type": "auth", "status": "ok"})).await;
    Socket::open(Socket::request(&server, &format!("?access_token={token}"))).await.unwrap();
    let topics = format!("ws://{}/_ws?access_token={token}", server.address);
    let mut topics = Socket::open(topics.into_client_request().unwrap()).await.unwrap();
    assert_eq!(topics.next().await["topic"], "_internal");
    // There is one account for all tokens, created once, with its event.
    let admin = server.admin().await;
    let accounts = admin.get("/users?filter[provider][_eq]=app").await.ok();
    assert_eq!(accounts.as_array().unwrap().len(), 1);
    let id = me["id"].as_str().unwrap();
    let lines = admin.get(&format!("/activity?filter[item][_eq]={id}&fields=action")).await.ok();
    assert_eq!(lines, json!([{"action": "create"}]));
    assert_eq!(idp.hits("/jwks"), 1, "the keys are cached");
    server.stop().await;
}

#[tokio::test]
async fn concurrent_first_requests_create_one_account() {
    let idp = Idp::start().await;
    let server = service(&idp, |_| {}).await;
    let token = Key::curve().sign(&claims("ada"));
    idp.keys(&[&Key::one(), &Key::curve()]);

    let all: Vec<_> = (0..20)
        .map(|_| {
            let client = server.anonymous().bearing(&token);
            tokio::spawn(async move { client.get("/users/me").await.ok()["id"].clone() })
        })
        .collect();
    let mut ids = Vec::new();
    for one in all {
        ids.push(one.await.unwrap());
    }

    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
    server.stop().await;
}

fn bent() -> Vec<(&'static str, String)> {
    let one = Key::one();
    let public = one.public();
    let modulus = public["n"].as_str().unwrap().to_owned();
    let shared = |secret: &[u8]| {
        let header = Header { kid: Some("one".to_owned()), ..Header::new(Algorithm::HS256) };
        signatures::encode(&header, &claims("ada"), &EncodingKey::from_secret(secret)).unwrap()
    };
    let raw = |header: Json, signature: &str| {
        let part = |text: String| BASE64URL_NOPAD.encode(text.as_bytes());
        format!("{}.{}.{signature}", part(header.to_string()), part(claims("ada").to_string()))
    };
    // Signed with a key that the token itself names, in every possible way.
    let own = Key::two();
    let embedded = Header {
        jwk: Some(serde_json::from_value(own.public()).unwrap()),
        jku: Some("http://127.0.0.1:9/jwks".to_owned()),
        x5u: Some("http://127.0.0.1:9/x5u".to_owned()),
        ..own.header()
    };
    let embedded_as_one = Header { kid: Some("one".to_owned()), ..embedded.clone() };
    let none = Header { kid: None, ..own.header() };
    let other = Header { alg: Algorithm::RS384, ..one.header() };
    vec![
        ("another key", own.clone().named("one").sign(&claims("ada"))),
        ("an unknown key", own.sign(&claims("ada"))),
        ("an embedded key", own.sign_with(&embedded, &claims("ada"))),
        (
            "an embedded key with the identifier of a known one",
            own.sign_with(&embedded_as_one, &claims("ada")),
        ),
        ("another key without a name", own.sign_with(&none, &claims("ada"))),
        ("the public key as a secret", shared(modulus.as_bytes())),
        ("the set as a secret", shared(public.to_string().as_bytes())),
        ("an algorithm that is not on the list", one.sign_with(&other, &claims("ada"))),
        ("none", raw(json!({"alg": "none", "kid": "one"}), "")),
        ("None", raw(json!({"alg": "None"}), "")),
        ("no algorithm", raw(json!({"kid": "one"}), "")),
        ("a made up signature", raw(json!({"alg": "RS256", "kid": "one"}), "c2lnbmF0dXJl")),
        ("an invalid header", raw(json!("x"), "c2lnbmF0dXJl")),
        (
            "an unknown critical header",
            raw(json!({"alg": "RS256", "kid": "one", "crit": ["b64"]}), "x"),
        ),
        ("another audience", one.sign(&with("aud", json!("billing")))),
        ("an audience that begins alike", one.sign(&with("aud", json!("chat2")))),
        ("no audience", one.sign(&without("aud"))),
        ("no expiry", one.sign(&without("exp"))),
        ("an invalid expiry", one.sign(&with("exp", json!("tomorrow")))),
        ("not valid yet", one.sign(&with("nbf", json!(NOON + 86_400)))),
        ("an invalid start", one.sign(&with("nbf", json!("now")))),
        ("no subject", one.sign(&without("sub"))),
        ("an empty subject", one.sign(&with("sub", json!("")))),
        ("a list of subjects", one.sign(&with("sub", json!(["ada"])))),
        ("an overlong subject", one.sign(&with("sub", json!("a".repeat(256))))),
    ]
}

#[tokio::test]
async fn invalid_issuer_tokens_are_refused() {
    let idp = Idp::start().await;
    let server = service(&idp, |_| {}).await;

    for (what, token) in bent() {
        let answer = server.anonymous().bearing(&token).get("/users/me").await;
        assert_eq!((answer.status, answer.code()), (403, "INVALID_TOKEN"), "{what}");
        let mut socket = Socket::connect(&server).await;
        let frame = socket.ask(&json!({"type": "auth", "access_token": token})).await;
        assert_eq!(error(&frame).1, "AUTH_FAILED", "{what}");
        let upgrade = Socket::request(&server, &format!("?access_token={token}"));
        assert_eq!(Socket::open(upgrade).await.err(), Some(401), "{what}");
    }
    // Other issuers are unknown.
    for iss in
        [json!("https://evil.example"), json!([ISSUER]), json!(null), json!(format!("{ISSUER}/"))]
    {
        let token = Key::one().sign(&with("iss", iss));
        server.anonymous().bearing(&token).get("/users/me").await.unknown();
    }
    let accounts = server.admin().await.get("/users?filter[provider][_eq]=app").await.ok();
    assert_eq!(accounts, json!([]));
    server.stop().await;
}

#[tokio::test]
async fn issuer_tokens_expire_exactly_on_time() {
    let idp = Idp::start().await;
    let server = service(&idp, |_| {}).await;
    let client = server.anonymous().bearing(&Key::one().sign(&claims("ada")));

    client.get("/users/me").await.ok();
    server.clock.advance(Duration::from_millis(599_999));
    client.get("/users/me").await.ok();
    server.clock.advance(Duration::from_millis(1));

    client.get("/users/me").await.refused(401, "TOKEN_EXPIRED");
    server.stop().await;
}

#[tokio::test]
async fn a_socket_sign_in_ends_when_its_issuer_token_expires() {
    let idp = Idp::start().await;
    let mut config = issuer(&idp);
    config.admission.register = true;
    let server = TestServer::with(|settings| {
        settings.providers.issuer = Some(config);
        settings.websockets.auth = WebSocketAuth::Handshake;
        settings.websockets.auth_timeout = Duration::from_millis(500);
    })
    .await;
    let mut ada = claims("ada");
    ada["exp"] = json!(server.clock.now().seconds() + 3);
    let token = Key::one().sign(&ada);
    let mut socket = Socket::connect(&server).await;
    socket.send(&json!({"type": "auth", "access_token": token})).await;
    socket.expect(&json!({"type": "auth", "status": "ok"})).await;

    let frame = socket.next().await;

    assert_eq!(error(&frame), ("auth", "TOKEN_EXPIRED", "Token expired."));
    server.stop().await;
}

#[tokio::test]
async fn suspended_or_reassigned_accounts_lose_access_at_once() {
    let idp = Idp::start().await;
    let server = service(&idp, |_| {}).await;
    server.allow_public(&[Permission::to("read", "messages")]).await;
    let admin = server.admin().await;
    let token = Key::one().sign(&claims("ada"));
    let client = server.anonymous().bearing(&token);
    let id = client.get("/users/me").await.ok()["id"].as_str().unwrap().to_owned();

    for change in [json!({"status": "suspended"}), json!({"external_identifier": "bob"})] {
        let mut socket = Socket::connect(&server).await;
        socket.send(&json!({"type": "auth", "access_token": token})).await;
        socket.expect(&json!({"type": "auth", "status": "ok"})).await;
        admin.patch(&format!("/users/{id}"), &change).await.ok();
        assert_eq!(error(&socket.next().await).0, "auth", "{change}");
        if change.get("status").is_some() {
            client.get("/users/me").await.unknown();
            admin.patch(&format!("/users/{id}"), &json!({"status": "active"})).await.ok();
        } else {
            let other = client.get("/users/me").await.ok();
            assert_ne!(other["id"], id, "the account belongs to another subject now");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn accounts_are_created_as_configured_and_never_linked_by_email() {
    let idp = Idp::start().await;
    let server = service(&idp, |issuer| issuer.admission.register = false).await;
    let ada = server.anonymous().bearing(&Key::one().sign(&claims("ada")));
    ada.get("/users/me").await.unknown();
    let account =
        json!({"email": "a@example.com", "provider": "app", "external_identifier": "ada"});
    server.admin().await.post("/users", &account).await.ok();
    ada.get("/users/me").await.ok();
    server.stop().await;

    let server = service(&idp, |issuer| issuer.admission.verified_email = true).await;
    server.member("bob").await;
    let with_email = |email: &str, verified: bool| {
        let mut claims = with("email", json!(email));
        claims["email_verified"] = json!(verified);
        server.anonymous().bearing(&Key::one().sign(&claims))
    };
    with_email("ada@example.com", false).get("/users/me").await.unknown();
    with_email("bob@example.com", true).get("/users/me").await.refused(403, "INVALID_PROVIDER");
    with_email("ada@example.com", true).get("/users/me").await.ok();
    server.stop().await;
}

#[tokio::test]
async fn issuer_keys_are_refreshed_at_a_limited_rate() {
    let idp = Idp::start().await;
    let server = service(&idp, |_| {}).await;
    let ask = async |key: &Key| {
        let token = key.sign(&with("exp", json!(NOON + 100_000)));
        server.anonymous().bearing(&token).get("/users/me").await.status
    };
    assert_eq!(ask(&Key::one()).await, 200);

    // A flood of unknown keys.
    for id in ["a", "b", "c", "d", "e"] {
        assert_eq!(ask(&Key::two().named(id)).await, 403);
    }
    assert!(idp.hits("/jwks") <= 2);
    server.clock.advance(Duration::from_secs(31));
    idp.keys(&[&Key::two()]);
    assert_eq!(ask(&Key::two()).await, 200, "a new key is accepted at once");
    let hits = idp.hits("/jwks");
    // A token that was accepted before, signed with a key that was revoked.
    assert_eq!(ask(&Key::one()).await, 403);
    assert!(idp.hits("/jwks") <= hits);
    // Cached keys are used while their issuer is down.
    idp.feel("/jwks", Some(Mood::Broken));
    server.clock.advance(Duration::from_hours(1));
    assert_eq!(ask(&Key::two()).await, 200);
    server.stop().await;
}

#[tokio::test]
async fn unavailable_issuer_keys_yield_a_retryable_error() {
    let idp = Idp::start().await;
    idp.feel("/jwks", Some(Mood::Broken));
    let server = service(&idp, |_| {}).await;
    let token = Key::one().sign(&claims("ada"));
    let client = server.anonymous().bearing(&token);

    let answer = client.get("/users/me").await;

    answer.refused(503, "SERVICE_UNAVAILABLE");
    assert_eq!(answer.header("retry-after"), "2");
    let mut socket = Socket::connect(&server).await;
    let frame = socket.ask(&json!({"type": "auth", "access_token": token})).await;
    assert_eq!(error(&frame).1, "SERVICE_UNAVAILABLE");
    let upgrade = Socket::request(&server, &format!("?access_token={token}"));
    assert_eq!(Socket::open(upgrade).await.err(), Some(503));
    // Other clients are unaffected.
    server.member("bob").await.say("hello").await;
    idp.feel("/jwks", None);
    server.clock.advance(Duration::from_secs(5));
    client.get("/users/me").await.ok();
    assert_eq!(idp.hits("/jwks"), 2);
    server.stop().await;
}
