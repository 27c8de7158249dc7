//! Attempts to impersonate another account.

use std::time::{Duration, Instant};

use chinwag::config::{HashConfig, Secret};
use chinwag::signatures;
use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::Value as Json;
use serde_json::json;

use crate::support::{Answer, Socket, TestServer, User};

const SECRET: &str = "the secret of the tests, longer than thirty-two characters";

/// Number of timed sign-ins of each kind.
const ROUNDS: usize = 60;

async fn server() -> TestServer {
    TestServer::at_noon(|config| config.auth.secret = Secret(SECRET.to_owned())).await
}

/// Returns the claims of a token.
fn claims(token: &str) -> Json {
    let claims = BASE64URL_NOPAD.decode(token.split('.').nth(1).unwrap().as_bytes()).unwrap();
    serde_json::from_slice(&claims).unwrap()
}

/// Returns the claims with one of them changed.
fn with(claims: &Json, name: &str, value: Json) -> Json {
    let mut bent = claims.clone();
    bent[name] = value;
    bent
}

fn signed(claims: &Json, header: &Header, secret: &str) -> String {
    signatures::encode(header, claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}

fn hs256(claims: &Json) -> String {
    signed(claims, &Header::new(Algorithm::HS256), SECRET)
}

/// Returns a token with an arbitrary header and signature.
fn with_header(header: &Json, claims: &Json, signature: &str) -> String {
    let part = |json: &Json| BASE64URL_NOPAD.encode(json.to_string().as_bytes());
    format!("{}.{}.{signature}", part(header), part(claims))
}

#[tokio::test]
async fn forged_and_revoked_tokens_are_refused_everywhere() {
    let server = server().await;
    let (alice, admin) = (server.member("alice").await, server.admin().await);
    let (gone, ended) = (server.member("gone").await, server.member("ended").await);
    admin.delete(&format!("/users/{}", gone.id)).await.nothing();
    ended.delete("/users/me/sessions").await.nothing();
    let now = server.clock.now().seconds();
    let (own, admins) = (claims(&alice.token), claims(&admin.token));
    // The test can make a valid token. Each one below differs from it in one respect.
    alice.bearing(&hs256(&own)).get("/users/me").await.ok();

    let none = |name: &str| with_header(&json!({"typ": "JWT", "alg": name}), &own, "");
    let jwk = Header { kid: Some("../../dev/null".to_owned()), ..Header::new(Algorithm::HS256) };
    for (what, token, code) in [
        ("HS384", signed(&own, &Header::new(Algorithm::HS384), SECRET), "INVALID_TOKEN"),
        ("HS512", signed(&own, &Header::new(Algorithm::HS512), SECRET), "INVALID_TOKEN"),
        ("none", none("none"), "INVALID_TOKEN"),
        ("nOnE", none("nOnE"), "INVALID_TOKEN"),
        ("RS256", with_header(&json!({"alg": "RS256"}), &own, "AAAA"), "INVALID_TOKEN"),
        ("another secret", signed(&own, &Header::new(Algorithm::HS256), "x"), "INVALID_TOKEN"),
        ("an empty secret", signed(&own, &Header::new(Algorithm::HS256), ""), "INVALID_TOKEN"),
        ("a chosen key", signed(&own, &jwk, ""), "INVALID_TOKEN"),
        ("another issuer", hs256(&with(&own, "iss", json!("keycloak"))), "INVALID_CREDENTIALS"),
        ("expired", hs256(&with(&own, "exp", json!(now))), "TOKEN_EXPIRED"),
        ("not yet valid", hs256(&with(&own, "nbf", json!(now + 1))), "INVALID_TOKEN"),
        ("without an end", hs256(&with(&own, "exp", json!(null))), "INVALID_TOKEN"),
        ("for another audience", hs256(&with(&own, "aud", json!("mail"))), "INVALID_TOKEN"),
        ("a deleted account", gone.token.clone(), "INVALID_CREDENTIALS"),
        ("an ended session", ended.token.clone(), "INVALID_CREDENTIALS"),
        (
            "an unknown session",
            hs256(&with(&own, "session", json!("a7e169a7-3a52-4ac8-9f02-2d6a5c6a2f3b"))),
            "INVALID_CREDENTIALS",
        ),
        (
            "the session of another account",
            hs256(&with(&own, "session", admins["session"].clone())),
            "INVALID_CREDENTIALS",
        ),
        ("another account", hs256(&with(&own, "id", json!(admin.id))), "INVALID_CREDENTIALS"),
        (
            "the generation of a session token",
            hs256(&with(&own, "generation", json!(1))),
            "INVALID_CREDENTIALS",
        ),
    ] {
        let answer = alice.bearing(&token).get("/users/me").await;
        assert_eq!(answer.code(), code, "{what}: {}", answer.text);
        assert!(!answer.text.contains(&token), "{what}");
        let query = format!("?access_token={token}");
        assert_eq!(
            server.anonymous().get(&format!("/users/me{query}")).await.code(),
            code,
            "{what}"
        );
        let cookie = server.anonymous().request("GET", "/users/me");
        let cookie = cookie.header("cookie", format!("directus_session_token={token}"));
        assert_eq!(Answer::to(cookie).await.code(), code, "{what}");
        let upgrade = Socket::open(Socket::request(&server, &query)).await;
        assert_eq!(upgrade.err(), Some(401), "{what}");
        let auth = json!({"type": "auth", "access_token": token});
        let told = Socket::connect(&server).await.ask(&auth).await;
        assert_eq!(told["error"]["code"], "AUTH_FAILED", "{what}");
    }
    // Claims about rights in a valid token have no effect: rights come from the database.
    let boast = with(&with(&own, "admin_access", json!(true)), "role", admins["role"].clone());
    alice.bearing(&hs256(&boast)).get("/roles").await.refused(403, "FORBIDDEN");
    server.stop().await;
}

#[tokio::test]
async fn sign_in_does_not_adopt_a_planted_session() {
    let server = server().await;
    let (mallory, alice) = (server.member("mallory").await, server.member("alice").await);
    let login = async |user: &User, cookie: &str| {
        let request = server.anonymous().request("POST", "/auth/login").header("cookie", cookie);
        let login = json!({"email": user.email, "password": user.password, "mode": "session"});
        let answer = Answer::to(request.json(&login)).await;
        let cookie = answer.cookie("directus_session_token").unwrap();
        cookie.split(';').next().unwrap().to_owned()
    };
    let me = async |cookie: &str| {
        let request = server.anonymous().request("GET", "/users/me?fields=id");
        Answer::to(request.header("cookie", cookie)).await.ok()["id"].clone()
    };

    let planted = login(&mallory, "").await;
    let hers = login(&alice, &planted).await;

    assert_ne!(planted, hers);
    assert_eq!(me(&planted).await, mallory.id.as_str());
    assert_eq!(me(&hers).await, alice.id.as_str());
    // A made-up session id does not begin a session with that id.
    let made_up =
        "directus_session_token=0123456789012345678901234567890123456789012345678901234567890123";
    let request = server.anonymous().request("GET", "/users/me").header("cookie", made_up);
    Answer::to(request).await.unknown();
    server.stop().await;
}

#[tokio::test]
async fn every_auth_cookie_has_its_security_attributes() {
    for secure in [false, true] {
        let server = TestServer::with(|config| {
            config.auth.refresh_cookie.secure = secure;
            config.auth.session_cookie.secure = secure;
        })
        .await;
        let alice = server.member("alice").await;
        let mut lines = Vec::new();
        for (mode, name) in
            [("cookie", "directus_refresh_token"), ("session", "directus_session_token")]
        {
            let login = json!({"email": alice.email, "password": alice.password, "mode": mode});
            let answer = server.anonymous().post("/auth/login", &login).await;
            let first = answer.cookie(name).unwrap().to_owned();
            let with = async |path: &str| {
                let token = first.split(';').next().unwrap();
                let request = server.anonymous().request("POST", path).header("cookie", token);
                Answer::to(request.json(&json!({"mode": mode}))).await
            };
            for path in ["/auth/refresh", "/auth/logout"] {
                lines.push(with(path).await.cookie(name).unwrap().to_owned());
            }
            lines.push(first);
        }

        assert_eq!(lines.len(), 6);
        for line in lines {
            let attributes: Vec<&str> = line.split("; ").skip(1).collect();
            for attribute in ["HttpOnly", "SameSite=Lax", "Path=/"] {
                assert!(attributes.contains(&attribute), "{line}");
            }
            assert_eq!(attributes.contains(&"Secure"), secure, "{line}");
        }
        server.stop().await;
    }
}

/// The bound: the fastest of 60 refused sign-ins is compared between an unknown address, accounts
/// that are suspended or have no password, and a wrong password. The difference is less than a
/// third of the minimum. (The fastest, since other load on the machine only adds time.) Without the
/// hash check the difference would be most of the time. The test runs without `LOGIN_STALL_TIME`,
/// which hides such differences in production.
#[tokio::test]
async fn sign_in_timing_does_not_reveal_whether_an_account_exists() {
    let server = TestServer::with(|config| {
        config.auth.hash = HashConfig { memory_kib: 8192, passes: 2, lanes: 1 };
        config.auth.throttle = false;
    })
    .await;
    let admin = server.admin().await;
    let (alice, bob) = (server.member("alice").await, server.member("bob").await);
    let status = json!({"status": "suspended"});
    admin.patch(&format!("/users/{}", bob.id), &status).await.ok();
    admin.post("/users", &json!({"email": "nopassword@example.com"})).await.ok();
    let addresses =
        ["nobody@example.com", "nopassword@example.com", bob.email.as_str(), alice.email.as_str()];

    let mut times = vec![Vec::new(); addresses.len()];
    for _ in 0..ROUNDS {
        for (email, times) in addresses.iter().zip(&mut times) {
            let login = json!({"email": email, "password": "a guess of some length"});
            let start = Instant::now();
            server.anonymous().post("/auth/login", &login).await.unknown();
            times.push(start.elapsed());
        }
    }

    let quickest: Vec<Duration> = times.iter().map(|times| *times.iter().min().unwrap()).collect();
    let (least, most) = (quickest.iter().min().unwrap(), quickest.iter().max().unwrap());
    assert!(*most < *least * 4 / 3, "{addresses:?} took {quickest:?}");
    server.stop().await;
}
