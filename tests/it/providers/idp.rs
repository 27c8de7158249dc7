//! A provider that answers as the test demands: with valid tokens, forged ones, late, too much, or
//! not at all. It performs the checks required of a provider: the client, PKCE, and that a code is
//! used once.

use std::collections::HashMap;
use std::sync::Arc;

use data_encoding::{BASE64, BASE64URL_NOPAD};
use parking_lot::Mutex;
use poem::http::StatusCode;
use poem::listener::TcpAcceptor;
use poem::{Endpoint, IntoResponse, Request, Response, Server};
use serde_json::Value as Json;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use url::Url;
use url::form_urlencoded;

use crate::providers::keys::Key;

/// The client id and secret of the service.
pub const CLIENT: (&str, &str) = ("chat", "the secret of the client");

/// How the provider responds under a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// With an error.
    Broken,
    /// With a body that is not JSON.
    Babbling,
    /// With more bytes than any client should read.
    Huge,
    /// Never.
    Silent,
    /// With a redirect to another path.
    Redirecting,
}

type Bend = Arc<dyn Fn(Json) -> String + Send + Sync>;

#[derive(Default)]
struct State {
    keys: Vec<Json>,
    codes: HashMap<String, Code>,
    profiles: HashMap<String, Json>,
    hits: HashMap<String, usize>,
    moods: HashMap<String, Mood>,
    bend: Option<Bend>,
    document: Json,
}

struct Code {
    challenge: String,
    redirect_uri: String,
    claims: Json,
    profile: Json,
}

/// The provider.
pub struct Idp {
    /// Its address, which is also its issuer.
    pub url: String,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Drop for Idp {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Idp {
    /// Starts a provider with one key.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let document = json!({
            "issuer": url,
            "authorization_endpoint": format!("{url}/authorize"),
            "token_endpoint": format!("{url}/token"),
            "userinfo_endpoint": format!("{url}/userinfo"),
            "jwks_uri": format!("{url}/jwks"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            // More than any client should read.
            "id_token_signing_alg_values_supported": ["RS256", "ES256", "HS256", "none"],
        });
        let keys = vec![Key::one().public()];
        let state = Arc::new(Mutex::new(State { keys, document, ..State::default() }));
        let endpoint = Answers(Arc::clone(&state));
        let server = Server::new_with_acceptor(TcpAcceptor::from_tokio(listener).unwrap());
        let task = tokio::spawn(async move {
            let _ = server.run(endpoint).await;
        });
        Self { url, state, task }
    }

    /// Sets the mood of a path, or resets it with `None`.
    pub fn feel(&self, path: &str, mood: Option<Mood>) {
        let moods = &mut self.state.lock().moods;
        match mood {
            Some(mood) => moods.insert(path.to_owned(), mood),
            None => moods.remove(path),
        };
    }

    /// Changes a field of its discovery document.
    pub fn document(&self, name: &str, value: Json) {
        self.state.lock().document[name] = value;
    }

    /// Replaces its keys.
    pub fn keys(&self, keys: &[&Key]) {
        self.keys_as(keys.iter().map(|key| key.public()).collect());
    }

    /// Replaces its keys with these JSON Web Keys.
    pub fn keys_as(&self, keys: Vec<Json>) {
        self.state.lock().keys = keys;
    }

    /// Replaces the function that encodes claims as an ID token.
    pub fn bend(&self, bend: impl Fn(Json) -> String + Send + Sync + 'static) {
        self.state.lock().bend = Some(Arc::new(bend));
    }

    /// Returns the number of requests for a path.
    pub fn hits(&self, path: &str) -> usize {
        self.state.lock().hits.get(path).copied().unwrap_or_default()
    }

    /// Approves a sign-in that was started at this address, and returns the code. `claims` are
    /// added to the required ones in the token, `profile` has further attributes of the user.
    pub fn approve(&self, page: &Url, claims: Json, profile: Json) -> String {
        let asked: HashMap<_, _> = page.query_pairs().into_owned().collect();
        let mut claims = claims;
        if let Some(nonce) = asked.get("nonce") {
            claims["nonce"] = json!(nonce);
        }
        let code = format!("code-{}", self.state.lock().codes.len());
        let kept = Code {
            challenge: asked["code_challenge"].clone(),
            redirect_uri: asked["redirect_uri"].clone(),
            claims,
            profile,
        };
        assert_eq!(asked["code_challenge_method"], "S256");
        assert_eq!(asked["client_id"], CLIENT.0);
        self.state.lock().codes.insert(code.clone(), kept);
        code
    }
}

struct Answers(Arc<Mutex<State>>);

impl Endpoint for Answers {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let path = request.uri().path().to_owned();
        let mood = {
            let mut state = self.0.lock();
            *state.hits.entry(path.clone()).or_default() += 1;
            state.moods.get(&path).copied()
        };
        let body = request.take_body().into_string().await.unwrap_or_default();
        match mood {
            Some(Mood::Broken) => return Ok(StatusCode::INTERNAL_SERVER_ERROR.into()),
            Some(Mood::Babbling) => return Ok("hello".into_response()),
            Some(Mood::Huge) => {
                let huge = json!({"keys": [], "more": "x".repeat(1 << 20)});
                return Ok(json_of(StatusCode::OK, &huge));
            }
            Some(Mood::Silent) => std::future::pending().await,
            Some(Mood::Redirecting) => {
                let response = Response::builder().status(StatusCode::FOUND);
                return Ok(response.header("location", "/elsewhere").finish());
            }
            None => {}
        }
        Ok(match path.as_str() {
            "/.well-known/openid-configuration" => json_of(StatusCode::OK, &self.0.lock().document),
            "/jwks" => json_of(StatusCode::OK, &json!({"keys": self.0.lock().keys})),
            "/token" => self.token(&request, &body),
            "/userinfo" => {
                let token = request.header("authorization").unwrap_or_default();
                let token = token.trim_start_matches("Bearer ");
                match self.0.lock().profiles.get(token) {
                    Some(profile) => json_of(StatusCode::OK, profile),
                    None => StatusCode::UNAUTHORIZED.into(),
                }
            }
            _ => StatusCode::NOT_FOUND.into(),
        })
    }
}

impl Answers {
    fn token(&self, request: &Request, body: &str) -> Response {
        let fields: HashMap<String, String> =
            form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        let secret: String = form_urlencoded::byte_serialize(CLIENT.1.as_bytes()).collect();
        let basic = format!("Basic {}", BASE64.encode(format!("{}:{secret}", CLIENT.0).as_bytes()));
        if request.header("authorization") != Some(&basic) {
            return json_of(StatusCode::UNAUTHORIZED, &json!({"error": "invalid_client"}));
        }
        let mut state = self.0.lock();
        let code = fields.get("code").and_then(|code| state.codes.remove(code));
        let verifier = fields.get("code_verifier").map(String::as_str).unwrap_or_default();
        let challenge = BASE64URL_NOPAD.encode(&Sha256::digest(verifier.as_bytes()));
        let fits = |code: &Code| {
            code.challenge == challenge && fields.get("redirect_uri") == Some(&code.redirect_uri)
        };
        let Some(code) = code.filter(fits) else {
            return json_of(StatusCode::BAD_REQUEST, &json!({"error": "invalid_grant"}));
        };
        let access = format!("access-{}", state.hits["/token"]);
        let mut profile = code.profile;
        if profile.get("sub").is_none() {
            profile["sub"] = code.claims["sub"].clone();
        }
        state.profiles.insert(access.clone(), profile);
        let id_token = match &state.bend {
            Some(bend) => bend(code.claims),
            None => Key::one().sign(&code.claims),
        };
        let answer = json!({
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": 300,
            "id_token": id_token,
        });
        json_of(StatusCode::OK, &answer)
    }
}

fn json_of(status: StatusCode, json: &Json) -> Response {
    Response::builder().status(status).content_type("application/json").body(json.to_string())
}
