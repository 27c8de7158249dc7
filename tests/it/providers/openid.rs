//! The whole flow: to the provider's page and back, up to the session.

use std::time::Duration;

use chinwag::config::ProviderMode;
use serde_json::json;

use crate::providers::account;
use crate::providers::arrived;
use crate::providers::claims;
use crate::providers::idp::Idp;
use crate::providers::login;
use crate::providers::parameter;
use crate::providers::refused;
use crate::providers::service;
use crate::providers::service_with;
use crate::providers::{Browser, HOME};
use crate::support::error;
use crate::support::{Permission, Socket};

#[tokio::test]
async fn openid_sign_in_creates_an_account_and_a_session() {
    let idp = Idp::start().await;
    let server = service(&idp, |_| {}).await;
    let mut browser = Browser::new(&server);

    let page = browser.begin(Some("/room")).await;

    assert!(page.as_str().starts_with(&format!("{}/authorize?", idp.url)));
    assert_eq!(parameter(&page, "redirect_uri"), format!("{HOME}/auth/login/idp/callback"));
    assert_eq!(parameter(&page, "scope"), "openid profile email");
    assert_eq!(parameter(&page, "prompt"), "login");
    assert_eq!(parameter(&page, "code_challenge_method"), "S256");
    assert!(parameter(&page, "state").len() >= 22 && parameter(&page, "nonce").len() >= 22);

    let profile = json!({"email": "ada@example.com", "given_name": "Ada", "family_name": "L."});
    let code = idp.approve(&page, claims(&idp, &server.clock, "ada"), profile);
    let answer = browser.back(&page, &code).await;

    arrived(&answer);
    let cookie = answer.cookie("directus_session_token").unwrap();
    assert!(cookie.contains("; HttpOnly; SameSite=Lax") && cookie.contains("Max-Age=86400"));
    assert_eq!(answer.header("cache-control"), "no-store");
    let me = browser.me().await;
    assert_eq!(me["email"], "ada@example.com");
    assert_eq!((&me["first_name"], &me["last_name"]), (&json!("Ada"), &json!("L.")));
    assert_eq!((&me["provider"], &me["external_identifier"]), (&json!("idp"), &json!("ada")));
    assert_eq!(me["auth_data"], json!(null));
    assert_eq!(me["password"], json!(null));

    // It is a session like any other: listed, refreshed, revoked.
    let sessions = browser.get("/users/me/sessions").await.ok();
    assert_eq!(
        (&sessions[0]["mode"], &sessions[0]["ip"]),
        (&json!("session"), &json!("127.0.0.1"))
    );
    let refresh = json!({"mode": "session"}).to_string();
    let request = server.anonymous().request("POST", "/auth/refresh");
    let cookie = format!("directus_session_token={}", browser.cookies["directus_session_token"]);
    let request = request.header("cookie", cookie).header("content-type", "application/json");
    let refreshed = crate::support::Answer::to(request.body(refresh)).await;
    refreshed.ok();
    let hits = idp.hits("/token");
    assert_eq!(hits, 1, "a refresh sends no request to the provider");
    let admin = server.admin().await;
    let lines = "/activity?filter[collection][_eq]=directus_users&fields=action,item&sort=id";
    let lines = admin.get(lines).await.ok();
    let of_ada: Vec<_> =
        lines.as_array().unwrap().iter().filter(|line| line["item"] == me["id"]).collect();
    assert_eq!(of_ada[0]["action"], "create", "{lines}");
    assert_eq!(of_ada[1]["action"], "login", "{lines}");
    server.stop().await;
}

#[tokio::test]
async fn the_state_cookie_is_protected_and_removed_after_the_callback() {
    let idp = Idp::start().await;
    let server = service(&idp, |_| {}).await;
    let mut browser = Browser::new(&server);

    let answer = browser.get(&login(Some("/room"))).await;
    let cookie = answer.cookie("openid.idp").unwrap().to_owned();
    let page = url::Url::parse(answer.header("location")).unwrap();
    let code = idp.approve(&page, claims(&idp, &server.clock, "ada"), json!({}));
    let back = browser.back(&page, &code).await;

    assert!(cookie.contains("Max-Age=600; Path=/;"), "{cookie}");
    assert!(cookie.ends_with("; HttpOnly; Secure; SameSite=Lax"), "{cookie}");
    for secret in ["state", "nonce"] {
        assert!(!cookie.contains(&parameter(&page, secret)), "the cookie reveals {secret}");
    }
    assert!(back.cookie("openid.idp").unwrap().starts_with("openid.idp=; Max-Age=0;"));
    server.stop().await;
}

#[tokio::test]
async fn a_repeated_sign_in_uses_the_same_account() {
    let idp = Idp::start().await;
    let server = service(&idp, |_| {}).await;
    let (mut first, mut second) = (Browser::new(&server), Browser::new(&server));
    let ada = || claims(&idp, &server.clock, "ada");

    arrived(&first.sign_in(&idp, ada(), json!({"email": "ada@example.com"})).await);
    arrived(&second.sign_in(&idp, ada(), json!({"email": "new@example.com"})).await);
    let mut other = Browser::new(&server);
    // Identifiers are compared exactly, since those of some providers differ by case alone.
    arrived(&other.sign_in(&idp, claims(&idp, &server.clock, "Ada"), json!({})).await);

    let id = first.me().await["id"].clone();
    assert_eq!(second.me().await["id"], id);
    assert_eq!(second.me().await["email"], "ada@example.com", "the profile is not synchronized");
    assert_ne!(other.me().await["id"], id);
    server.stop().await;
}

#[tokio::test]
async fn profile_fields_are_synchronized_if_configured() {
    let idp = Idp::start().await;
    let server = service(&idp, |provider| provider.admission.sync = true).await;
    server.member("taken").await;
    let mut browser = Browser::new(&server);
    let ada = || claims(&idp, &server.clock, "ada");
    arrived(&browser.sign_in(&idp, ada(), json!({"email": "a@example.com"})).await);

    let profile = json!({"email": "b@example.com", "given_name": "Ada"});
    arrived(&browser.sign_in(&idp, ada(), profile).await);
    let me = browser.me().await;
    assert_eq!((&me["email"], &me["first_name"]), (&json!("b@example.com"), &json!("Ada")));

    for (profile, why) in [
        (json!({"email": "taken@example.com", "given_name": "Countess"}), "the address is taken"),
        (json!({"email": "c@example.com", "email_verified": false}), "the address is not verified"),
        (json!({"email": "no address"}), "the address is invalid"),
    ] {
        arrived(&browser.sign_in(&idp, ada(), profile).await);
        assert_eq!(browser.me().await["email"], "b@example.com", "{why}");
    }
    assert_eq!(browser.me().await["first_name"], "Countess");
    server.stop().await;
}

#[tokio::test]
async fn sign_in_returns_the_configured_cookie_or_json_tokens() {
    let idp = Idp::start().await;
    let server = service(&idp, |provider| provider.mode = ProviderMode::Cookie).await;
    let mut browser = Browser::new(&server);

    let answer = browser.sign_in(&idp, claims(&idp, &server.clock, "ada"), json!({})).await;
    arrived(&answer);
    assert!(answer.cookie("directus_refresh_token").is_some());
    assert!(answer.cookie("directus_session_token").is_none());

    let mut script = Browser::new(&server);
    let page = script.begin(None).await;
    let code = idp.approve(&page, claims(&idp, &server.clock, "ada"), json!({}));
    let tokens = script.back(&page, &code).await;
    let data = tokens.ok();
    assert!(script.cookies.is_empty(), "{:?}", script.cookies);
    let token = data["access_token"].as_str().unwrap();
    let me = server.anonymous().bearing(token).get("/users/me").await.ok();
    assert_eq!(account(&server, &me["id"]).await["external_identifier"], "ada");
    let refresh = json!({"refresh_token": data["refresh_token"], "mode": "json"});
    server.anonymous().post("/auth/refresh", &refresh).await.ok();
    server.stop().await;
}

#[tokio::test]
async fn without_registration_sign_in_requires_an_account() {
    let idp = Idp::start().await;
    let server = service(&idp, |provider| provider.admission.register = false).await;
    let admin = server.admin().await;
    let mut browser = Browser::new(&server);
    let ada = || claims(&idp, &server.clock, "ada");

    refused(&browser.sign_in(&idp, ada(), json!({})).await, "INVALID_CREDENTIALS");
    let account =
        json!({"email": "ada@example.com", "provider": "idp", "external_identifier": "ada"});
    let id = admin.post("/users", &account).await.ok()["id"].clone();
    arrived(&browser.sign_in(&idp, ada(), json!({})).await);

    assert_eq!(browser.me().await["id"], id);
    let again =
        admin.post("/users", &json!({"provider": "idp", "external_identifier": "ada"})).await;
    again.refused(400, "RECORD_NOT_UNIQUE");
    server.stop().await;
}

#[tokio::test]
async fn a_matching_email_does_not_give_access_to_an_account() {
    let idp = Idp::start().await;
    let server = service(&idp, |_| {}).await;
    let bob = server.member("bob").await;
    let users = server.admin().await.get("/users?limit=0&meta=total_count").await.body;
    let mut browser = Browser::new(&server);

    for email in ["bob@example.com", "BOB@example.com"] {
        let profile = json!({"email": email, "email_verified": true});
        let answer = browser.sign_in(&idp, claims(&idp, &server.clock, "mallory"), profile).await;
        refused(&answer, "INVALID_PROVIDER");
    }

    let sessions = bob.get("/users/me/sessions").await.ok();
    assert_eq!(sessions.as_array().unwrap().len(), 1);
    assert_eq!(account(&server, &json!(bob.id)).await["provider"], "default");
    assert_eq!(server.admin().await.get("/users?limit=0&meta=total_count").await.body, users);
    server.stop().await;
}

#[tokio::test]
async fn new_accounts_require_a_verified_email_if_configured() {
    let idp = Idp::start().await;
    let server = service(&idp, |provider| provider.admission.verified_email = true).await;
    let mut browser = Browser::new(&server);
    let ada = || claims(&idp, &server.clock, "ada");

    for profile in [
        json!({}),
        json!({"email": "ada@example.com"}),
        json!({"email": "ada@example.com", "email_verified": false}),
        json!({"email_verified": true}),
    ] {
        refused(&browser.sign_in(&idp, ada(), profile).await, "INVALID_CREDENTIALS");
    }
    let profile = json!({"email": "ada@example.com", "email_verified": true});
    arrived(&browser.sign_in(&idp, ada(), profile).await);
    server.stop().await;
}

#[tokio::test]
async fn inactive_accounts_cannot_sign_in_and_lose_their_session() {
    let idp = Idp::start().await;
    let server = service(&idp, |_| {}).await;
    let admin = server.admin().await;
    let mut browser = Browser::new(&server);
    let ada = || claims(&idp, &server.clock, "ada");
    arrived(&browser.sign_in(&idp, ada(), json!({})).await);
    let id = browser.me().await["id"].as_str().unwrap().to_owned();

    for status in ["suspended", "archived", "invited", "unverified", "draft"] {
        admin.patch(&format!("/users/{id}"), &json!({"status": status})).await.ok();
        browser.get("/users/me").await.unknown();
        refused(&browser.sign_in(&idp, ada(), json!({})).await, "INVALID_CREDENTIALS");
    }
    admin.patch(&format!("/users/{id}"), &json!({"status": "active"})).await.ok();
    arrived(&browser.sign_in(&idp, ada(), json!({})).await);
    server.stop().await;
}

#[tokio::test]
async fn provider_accounts_cannot_sign_in_with_a_password() {
    let idp = Idp::start().await;
    let server = service(&idp, |_| {}).await;
    let admin = server.admin().await;
    let mut browser = Browser::new(&server);
    let profile = json!({"email": "ada@example.com"});
    arrived(&browser.sign_in(&idp, claims(&idp, &server.clock, "ada"), profile).await);
    let id = browser.me().await["id"].as_str().unwrap().to_owned();

    // Even if the account has a password.
    let password = json!({"password": "correct horse battery"});
    admin.patch(&format!("/users/{id}"), &password).await.ok();
    let login = json!({"email": "ada@example.com", "password": "correct horse battery"});
    server.anonymous().post("/auth/login", &login).await.unknown();
    let mut socket = Socket::connect(&server).await;
    let auth =
        json!({"type": "auth", "email": "ada@example.com", "password": "correct horse battery"});
    assert_eq!(error(&socket.ask(&auth).await).1, "AUTH_FAILED");
    server.stop().await;
}

#[tokio::test]
async fn a_local_second_factor_blocks_provider_sign_in() {
    let idp = Idp::start().await;
    let server = service(&idp, |_| {}).await;
    let (admin, bob) = (server.admin().await, server.member("bob").await);
    let factor = bob.post("/users/me/tfa/generate", &json!({"password": bob.password})).await.ok();
    let secret = factor["secret"].as_str().unwrap();
    let otp = crate::support::code(secret, server.clock.now(), 0);
    bob.post("/users/me/tfa/enable", &json!({"secret": secret, "otp": otp})).await;
    let identity = json!({"provider": "idp", "external_identifier": "bob"});
    admin.patch(&format!("/users/{}", bob.id), &identity).await.ok();

    let mut browser = Browser::new(&server);
    let answer = browser.sign_in(&idp, claims(&idp, &server.clock, "bob"), json!({})).await;

    refused(&answer, "INVALID_OTP");
    server.stop().await;
}

#[tokio::test]
async fn only_administrators_change_provider_identities() {
    let idp = Idp::start().await;
    let server = service(&idp, |_| {}).await;
    let all = [
        Permission::to("read", "directus_users"),
        Permission::to("create", "directus_users"),
        Permission::to("update", "directus_users"),
    ];
    let (admin, eve) = (server.admin().await, server.user_with("eve", &all).await);
    let bob = server.member("bob").await;

    for identity in [
        json!({"provider": "idp"}),
        json!({"external_identifier": "ada"}),
        json!({"auth_data": {"refreshToken": "x"}}),
    ] {
        eve.patch("/users/me", &identity).await.refused(403, "FORBIDDEN");
        eve.patch(&format!("/users/{}", bob.id), &identity).await.refused(403, "FORBIDDEN");
        eve.post("/users", &identity).await.refused(403, "FORBIDDEN");
    }
    eve.post("/users", &json!({"email": "plain@example.com"})).await.ok();
    // The previous owner of the account loses access.
    let identity = json!({"provider": "idp", "external_identifier": "bob"});
    admin.patch(&format!("/users/{}", bob.id), &identity).await.ok();
    bob.get("/users/me").await.unknown();
    server.stop().await;
}

#[tokio::test]
async fn providers_are_listed_and_password_sign_in_can_be_disabled() {
    let idp = Idp::start().await;
    let server = service_with(&idp, |config| config.providers.disable_default = true).await;

    let list = server.anonymous().get("/auth").await;

    let shown = json!({"name": "idp", "label": "The Provider", "driver": "openid", "icon": "key"});
    assert_eq!(list.body, json!({"data": [shown], "disableDefault": true}));
    let (email, password) = crate::support::ADMIN;
    let login = json!({"email": email, "password": password});
    server.anonymous().post("/auth/login", &login).await.refused(403, "INVALID_PROVIDER");
    let mut socket = Socket::connect(&server).await;
    let auth = json!({"type": "auth", "email": email, "password": password});
    assert_eq!(error(&socket.ask(&auth).await).1, "AUTH_FAILED");
    assert_eq!(idp.hits("/.well-known/openid-configuration"), 0, "no request before a sign-in");
    server.stop().await;
}

#[tokio::test]
async fn a_form_post_callback_is_redirected_to_a_get_request() {
    let idp = Idp::start().await;
    let server = service(&idp, |_| {}).await;
    let mut browser = Browser::new(&server);
    let page = browser.begin(Some("/room")).await;
    let code = idp.approve(&page, claims(&idp, &server.clock, "ada"), json!({}));
    let form = format!("code={code}&state={}&user=%7B%7D", parameter(&page, "state"));

    let answer = browser.send("POST", "/auth/login/idp/callback", Some(&form)).await;

    assert_eq!(answer.status, 303);
    let location = answer.header("location").strip_prefix(HOME).unwrap().to_owned();
    assert!(!location.contains("user="), "{location}");
    arrived(&browser.get(&location).await);
    server.stop().await;
}

#[tokio::test]
async fn a_denied_sign_in_returns_with_a_reason() {
    let idp = Idp::start().await;
    let server = service(&idp, |_| {}).await;
    let mut browser = Browser::new(&server);
    let page = browser.begin(Some("/room?a=b")).await;
    let state = parameter(&page, "state");

    let back = format!("/auth/login/idp/callback?error=access_denied&state={state}");
    let answer = browser.get(&back).await;

    assert_eq!(answer.status, 302);
    assert_eq!(answer.header("location"), format!("{HOME}/room?a=b&reason=INVALID_CREDENTIALS"));
    assert!(browser.cookies.is_empty());
    // Without a page to return to, the error is the response.
    let page = browser.begin(None).await;
    let state = parameter(&page, "state");
    let back = format!("/auth/login/idp/callback?error=access_denied&state={state}");
    browser.get(&back).await.unknown();
    server.stop().await;
}

#[tokio::test]
async fn redirects_are_limited_to_configured_urls() {
    let idp = Idp::start().await;
    let server = service(&idp, |_| {}).await;
    let mut browser = Browser::new(&server);

    for redirect in [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "https://chat.example.com.evil.example/",
        "https://chat.example.com@evil.example/",
        "https://app.example.com/other",
        "http://chat.example.com/",
        "javascript:alert(1)",
    ] {
        let answer = browser.get(&login(Some(redirect))).await;
        answer.refused(400, "INVALID_PAYLOAD");
        assert!(browser.cookies.is_empty());
    }
    let page = browser.begin(Some("https://app.example.com/welcome?x=1")).await;
    let code = idp.approve(&page, claims(&idp, &server.clock, "ada"), json!({}));
    let answer = browser.back(&page, &code).await;
    assert_eq!(answer.header("location"), "https://app.example.com/welcome?x=1");
    // A target in the callback is ignored.
    let page = browser.begin(Some("/room")).await;
    let code = idp.approve(&page, claims(&idp, &server.clock, "ada"), json!({}));
    let code = format!("{code}&redirect=https://evil.example/");
    arrived(&browser.back(&page, &code).await);
    assert_eq!(idp.hits("/.well-known/openid-configuration"), 1, "the document is cached");
    server.stop().await;
}

#[tokio::test]
async fn unknown_providers_are_not_found() {
    let idp = Idp::start().await;
    let server = service(&idp, |_| {}).await;
    let mut browser = Browser::new(&server);

    for path in ["/auth/login/default", "/auth/login/jwt", "/auth/login/x/callback?code=1&state=2"]
    {
        browser.get(path).await.refused(404, "ROUTE_NOT_FOUND");
    }
    let form = browser.send("POST", "/auth/login/x/callback", Some("code=1")).await;
    form.refused(404, "ROUTE_NOT_FOUND");
    // Provider names are case-insensitive, like the rest of the path.
    assert_eq!(browser.get("/auth/login/IDP?redirect=/room").await.status, 302);
    server.stop().await;
}

#[tokio::test]
async fn a_sign_in_expires_after_ten_minutes() {
    let idp = Idp::start().await;
    let server = service(&idp, |_| {}).await;
    let mut browser = Browser::new(&server);

    for (after, is_in) in [(599, true), (600, false)] {
        let page = browser.begin(Some("/room")).await;
        server.clock.advance(Duration::from_secs(after));
        let code = idp.approve(&page, claims(&idp, &server.clock, "ada"), json!({}));
        let answer = browser.back(&page, &code).await;
        let home = format!("{HOME}/?reason=INVALID_CREDENTIALS");
        let expected = if is_in { format!("{HOME}/room") } else { home };
        assert_eq!((answer.status, answer.header("location")), (302, expected.as_str()));
    }
    server.stop().await;
}

#[tokio::test]
async fn sign_in_is_unavailable_while_the_configured_role_is_missing() {
    let idp = Idp::start().await;
    let role = uuid::Uuid::from_u128(7);
    let server = service(&idp, |provider| provider.admission.role = Some(role)).await;
    let mut browser = Browser::new(&server);

    let answer = browser.sign_in(&idp, claims(&idp, &server.clock, "ada"), json!({})).await;

    refused(&answer, "SERVICE_UNAVAILABLE");
    let admin = server.admin().await;
    let users = admin.get("/users?filter[provider][_eq]=idp").await.ok();
    assert_eq!(users, json!([]));
    let role = json!({"id": role, "name": "Those of the provider"});
    admin.post("/roles", &role).await.ok();
    arrived(&browser.sign_in(&idp, claims(&idp, &server.clock, "ada"), json!({})).await);
    assert_eq!(browser.me().await["role"], role["id"]);
    server.stop().await;
}
