//! The part of Directus that the tests need: sign-in and counts over REST, and WebSocket frames.

use std::io;

use serde_json::Value as Json;
use serde_json::json;

use crate::Outcome;
use crate::http::Http;
use crate::http::request;
use crate::marker::Mark;
use crate::protocol::expect;
use crate::target::Target;
use crate::websocket::WebSocket;

/// The credentials for signing in.
pub struct Credentials {
    /// The address of the account.
    pub email: String,
    /// Its password.
    pub password: String,
}

/// Returns a sign-in request.
pub fn login_request(target: &Target) -> Vec<u8> {
    let Credentials { email, password } = &target.credentials;
    let body = json!({"email": email, "password": password}).to_string();
    request("POST", "/auth/login", &target.address, None, Some(&body))
}

/// Signs in and returns the access token.
pub async fn sign_in(target: &Target) -> Outcome<String> {
    let answer = answer(target, &login_request(target)).await?;
    let token = answer["data"]["access_token"].as_str();
    Ok(token.ok_or_else(|| format!("sign-in: {answer}"))?.to_owned())
}

/// Sends a request on a new connection and returns the JSON response, or an error for any status
/// other than 2xx.
pub async fn answer(target: &Target, request: &[u8]) -> Outcome<Json> {
    let mut http = Http::new(&target.address);
    let status = http.call(request).await?;
    if !(200..300).contains(&status) {
        return Err(format!("{status} {}", String::from_utf8_lossy(&http.body)).into());
    }
    Ok(serde_json::from_slice(&http.body)?)
}

/// Returns the number of items in the collection.
pub async fn count(target: &Target, token: &str) -> Outcome<u64> {
    let path = format!("/items/{}?aggregate%5Bcount%5D=*", target.collection);
    let answer = answer(target, &request("GET", &path, &target.address, Some(token), None)).await?;
    // A number or, with Directus on some databases, a string.
    let count = &answer["data"][0]["count"];
    let count = count.as_u64().or_else(|| count.as_str()?.parse().ok());
    Ok(count.ok_or_else(|| format!("count: {answer}"))?)
}

/// Connects and signs in.
pub async fn connect(target: &Target, token: &str) -> io::Result<WebSocket> {
    let mut socket = WebSocket::connect(&target.address, "/websocket").await?;
    socket.text(&json!({"type": "auth", "access_token": token}).to_string()).await?;
    expect(&mut socket, "\"ok\"").await?;
    Ok(socket)
}

/// Subscribes to creates with the query of the tutorial's page, and with the filter if given.
pub async fn subscribe(
    target: &Target,
    socket: &mut WebSocket,
    filter: Option<&Json>,
) -> io::Result<()> {
    // Reading existing items is not part of the measurement: one is enough.
    let mut query = json!({"fields": ["*", "user_created.first_name"], "limit": 1});
    if let Some(filter) = filter {
        query["filter"] = filter.clone();
    }
    let frame = json!({"type": "subscribe", "collection": target.collection, "event": "create",
        "uid": "1", "query": query});
    socket.text(&frame.to_string()).await?;
    expect(socket, "\"init\"").await
}

/// Returns the frame that writes one message.
pub fn create_frame(target: &Target, mark: Mark) -> String {
    json!({"type": "items", "collection": target.collection, "action": "create", "uid": "p",
        "data": {"content": target.marker.text(mark)}})
    .to_string()
}
