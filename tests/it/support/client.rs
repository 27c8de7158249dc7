//! A REST client with short calls, and responses with descriptive assertions.

use std::net::SocketAddr;

use reqwest::header::{HeaderMap, SET_COOKIE};
use reqwest::{Method, RequestBuilder};
use serde_json::Value as Json;

use crate::support::secrets;
use crate::support::soon;

/// Returns an HTTP client builder without a proxy and without TLS. Reading the certificates of the
/// system would take longer than most tests.
pub fn http() -> reqwest::ClientBuilder {
    // Fails if another test has installed the same provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().tls_certs_only([])
}

/// A client that sends requests, optionally with a token.
#[derive(Clone)]
pub struct Client {
    /// The address of the server.
    pub address: SocketAddr,
    http: reqwest::Client,
    token: Option<String>,
}

/// A response.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as received.
    pub text: String,
    /// The body as JSON, or null if it is not JSON.
    pub body: Json,
}

impl Client {
    /// Returns a client without credentials.
    pub fn new(address: SocketAddr) -> Self {
        let http = http().tcp_nodelay(true).build().unwrap();
        Self { address, http, token: None }
    }

    /// Returns a client that sends this token in `Authorization`.
    pub fn bearing(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// Returns a request builder, for requests that the short calls below do not cover.
    pub fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let request = self.http.request(method, format!("http://{}{path}", self.address));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends a request without a body.
    pub async fn send(&self, method: &str, path: &str) -> Answer {
        Answer::to(self.request(method, path)).await
    }

    /// Sends a request with a body.
    pub async fn send_json(&self, method: &str, path: &str, body: &Json) -> Answer {
        secrets::keep_all(body);
        Answer::to(self.request(method, path).json(body)).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path).await
    }

    pub async fn post(&self, path: &str, body: &Json) -> Answer {
        self.send_json("POST", path, body).await
    }

    pub async fn patch(&self, path: &str, body: &Json) -> Answer {
        self.send_json("PATCH", path, body).await
    }

    pub async fn search(&self, path: &str, body: &Json) -> Answer {
        self.send_json("SEARCH", path, body).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path).await
    }

    /// Deletes several items.
    pub async fn delete_many(&self, path: &str, body: &Json) -> Answer {
        self.send_json("DELETE", path, body).await
    }

    /// Creates a message and returns its id.
    pub async fn say(&self, content: &str) -> i64 {
        let message = self.post("/items/messages", &serde_json::json!({"content": content})).await;
        message.ok()["id"].as_i64().unwrap()
    }
}

impl Answer {
    /// Sends a request and waits for the response.
    pub async fn to(request: RequestBuilder) -> Self {
        soon(async {
            let response = request.send().await.unwrap();
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            let text = response.text().await.unwrap();
            let body = serde_json::from_str(&text).unwrap_or_default();
            secrets::keep_all(&body);
            for line in headers.get_all(SET_COOKIE) {
                let value =
                    line.to_str().unwrap().split(';').next().and_then(|pair| pair.split_once('='));
                secrets::keep("a cookie", value.map_or("", |(_, value)| value));
            }
            if status >= 400 {
                secrets::answered(&text);
            }
            Self { status, headers, text, body }
        })
        .await
    }

    /// Returns the data of a successful response.
    #[track_caller]
    pub fn ok(&self) -> Json {
        assert_eq!(self.status, 200, "{}", self.text);
        self.body["data"].clone()
    }

    /// Asserts a successful response without a body.
    #[track_caller]
    pub fn nothing(&self) {
        assert_eq!((self.status, self.text.as_str()), (204, ""));
    }

    /// Asserts an error with this status and code.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.code()), (status, code), "{}", self.text);
    }

    /// Asserts an error with this message.
    #[track_caller]
    pub fn refused_with(&self, status: u16, code: &str, message: &str) {
        assert_eq!((self.status, self.code(), self.message()), (status, code, message));
    }

    /// Asserts the error of an invalid token or password.
    #[track_caller]
    pub fn unknown(&self) {
        self.refused_with(401, "INVALID_CREDENTIALS", "Invalid user credentials.");
    }

    /// Returns the code of the first error, or an empty text for a success.
    pub fn code(&self) -> &str {
        self.body["errors"][0]["extensions"]["code"].as_str().unwrap_or_default()
    }

    /// Returns the message of the first error, or an empty text for a success.
    pub fn message(&self) -> &str {
        self.body["errors"][0]["message"].as_str().unwrap_or_default()
    }

    /// Returns a header, or an empty text if it is missing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Returns the `Set-Cookie` line of a cookie.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let lines = self.headers.get_all(SET_COOKIE).iter().map(|line| line.to_str().unwrap());
        lines.into_iter().find(|line| line.starts_with(&format!("{name}=")))
    }
}
