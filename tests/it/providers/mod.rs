//! External sign-in: OpenID Connect and OAuth 2 providers, and tokens issued by an application
//! itself, which the service accepts.

mod bounds;
mod broken;
mod idp;
mod issued;
mod keys;
mod oauth2;
mod openid;

use std::collections::BTreeMap;

use chinwag::clock::Clock;
use chinwag::config::{Admission, ClaimKeys, Config, Driver, ProviderConfig, ProviderMode, Secret};
use reqwest::header::{COOKIE, SET_COOKIE};
use reqwest::redirect::Policy;
use serde_json::Value as Json;
use serde_json::json;
use url::Url;

use crate::providers::idp::{CLIENT, Idp};
use crate::support::http;
use crate::support::{Answer, TestServer};

/// The public URL of the service.
const HOME: &str = "https://chat.example.com";
/// The start time of tests with a manual clock, in seconds.
const NOON: i64 = 1_769_860_800;

/// Returns a provider that creates an account for each of its users.
fn provider(idp: &Idp) -> ProviderConfig {
    let discovery = format!("{}/.well-known/openid-configuration", idp.url);
    let text = str::to_owned;
    ProviderConfig {
        name: text("idp"),
        driver: Driver::OpenId { discovery: Url::parse(&discovery).unwrap() },
        client_id: text(CLIENT.0),
        client_secret: Some(Secret(text(CLIENT.1))),
        scope: ["openid", "profile", "email"].map(text).into(),
        keys: keys(),
        admission: Admission { register: true, verified_email: false, role: None, sync: false },
        redirects: vec![Url::parse("https://app.example.com/welcome").unwrap()],
        mode: ProviderMode::Session,
        label: text("The Provider"),
        icon: text("key"),
        params: vec![(text("prompt"), text("login"))],
        timeout: std::time::Duration::from_secs(20),
    }
}

fn keys() -> ClaimKeys {
    ClaimKeys {
        identifier: "sub".to_owned(),
        email: "email".to_owned(),
        first_name: Some("given_name".to_owned()),
        last_name: Some("family_name".to_owned()),
    }
}

/// Starts a service with a stopped clock and one provider.
async fn service(idp: &Idp, bend: impl FnOnce(&mut ProviderConfig)) -> TestServer {
    service_with(idp, |config| bend(&mut config.providers.providers[0])).await
}

async fn service_with(idp: &Idp, bend: impl FnOnce(&mut Config)) -> TestServer {
    TestServer::at_noon(|config| {
        HOME.clone_into(&mut config.server.public_url);
        config.providers.providers = vec![provider(idp)];
        bend(config);
    })
    .await
}

/// Returns the required claims of a token for a subject.
fn claims(idp: &Idp, clock: &Clock, sub: &str) -> Json {
    let now = clock.now().seconds();
    json!({"iss": idp.url, "aud": CLIENT.0, "sub": sub, "iat": now, "exp": now + 300})
}

/// A browser: it keeps cookies, and does not follow redirects.
struct Browser<'a> {
    server: &'a TestServer,
    http: reqwest::Client,
    cookies: BTreeMap<String, String>,
}

impl<'a> Browser<'a> {
    fn new(server: &'a TestServer) -> Self {
        let http = http().redirect(Policy::none()).build().unwrap();
        Self { server, http, cookies: BTreeMap::new() }
    }

    async fn send(&mut self, method: &str, path: &str, body: Option<&str>) -> Answer {
        let method = method.parse().unwrap();
        let mut request =
            self.http.request(method, format!("http://{}{path}", self.server.address));
        let cookies: Vec<_> = self.cookies.iter().map(|(k, v)| format!("{k}={v}")).collect();
        if !cookies.is_empty() {
            request = request.header(COOKIE, cookies.join("; "));
        }
        if let Some(body) = body {
            let kind = "application/x-www-form-urlencoded";
            request = request.header("content-type", kind).body(body.to_owned());
        }
        let answer = Answer::to(request).await;
        for line in answer.headers.get_all(SET_COOKIE) {
            let line = line.to_str().unwrap();
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            if line.contains("Max-Age=0;") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    async fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, None).await
    }

    /// Starts a sign-in, and returns the address of the provider's page.
    async fn begin(&mut self, redirect: Option<&str>) -> Url {
        let answer = self.get(&login(redirect)).await;
        assert_eq!(answer.status, 302, "{}", answer.text);
        Url::parse(answer.header("location")).unwrap()
    }

    /// Returns to the service with a code.
    async fn back(&mut self, page: &Url, code: &str) -> Answer {
        let state = parameter(page, "state");
        self.get(&format!("/auth/login/idp/callback?code={code}&state={state}")).await
    }

    /// Signs in as the provider's user with these claims.
    async fn sign_in(&mut self, idp: &Idp, claims: Json, profile: Json) -> Answer {
        let page = self.begin(Some("/room")).await;
        let code = idp.approve(&page, claims, profile);
        self.back(&page, &code).await
    }

    /// Returns the account that the browser is signed in to.
    async fn me(&mut self) -> Json {
        let id = self.get("/users/me").await.ok()["id"].clone();
        account(self.server, &id).await
    }
}

/// Returns an account, as administrators see it.
async fn account(server: &TestServer, id: &Json) -> Json {
    server.admin().await.get(&format!("/users/{}", id.as_str().unwrap())).await.ok()
}

fn login(redirect: Option<&str>) -> String {
    match redirect {
        None => "/auth/login/idp".to_owned(),
        Some(redirect) => {
            let redirect: String =
                url::form_urlencoded::byte_serialize(redirect.as_bytes()).collect();
            format!("/auth/login/idp?redirect={redirect}")
        }
    }
}

fn parameter(url: &Url, name: &str) -> String {
    let mut pairs = url.query_pairs().filter(|(key, _)| key == name);
    let (_, value) = pairs.next().unwrap_or_else(|| panic!("no {name} in {url}"));
    assert!(pairs.next().is_none(), "{name} twice in {url}");
    value.into_owned()
}

/// Asserts that the browser was redirected and signed in.
#[track_caller]
fn arrived(answer: &Answer) {
    assert_eq!(
        (answer.status, answer.header("location")),
        (302, "https://chat.example.com/room"),
        "{}",
        answer.text
    );
}

/// Asserts that the browser was redirected with this reason only.
#[track_caller]
fn refused(answer: &Answer, reason: &str) {
    let location = format!("https://chat.example.com/room?reason={reason}");
    assert_eq!((answer.status, answer.header("location")), (302, location.as_str()));
    assert_eq!(answer.cookie("directus_session_token"), None);
    assert_eq!(answer.cookie("directus_refresh_token"), None);
}
