//! A client of `/websocket` that waits for frames instead of sleeping.

use futures_util::{SinkExt, StreamExt};
use serde_json::Value as Json;
use serde_json::json;
use tokio::net::TcpStream;
use tokio_tungstenite::connect_async_with_config;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::support::secrets;
use crate::support::soon;
use crate::support::{TestServer, User};

/// An open connection.
pub struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    /// Connects without credentials.
    pub async fn connect(server: &TestServer) -> Self {
        Self::open(Self::request(server, "")).await.unwrap()
    }

    /// Connects and signs in with an access token.
    pub async fn signed_in(server: &TestServer, user: &User) -> Self {
        let mut socket = Self::connect(server).await;
        socket.auth(user).await;
        socket
    }

    /// Returns an upgrade request with this query string.
    pub fn request(server: &TestServer, query: &str) -> Request {
        format!("ws://{}/websocket{query}", server.address).into_client_request().unwrap()
    }

    /// Sends an upgrade request, and returns the status if it is refused.
    pub async fn open(request: Request) -> Result<Self, u16> {
        match soon(connect_async_with_config(request, None, true)).await {
            Ok((stream, _)) => Ok(Self(stream)),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    /// Signs in with the access token of a user.
    pub async fn auth(&mut self, user: &User) {
        self.send(&json!({"type": "auth", "access_token": user.token})).await;
        self.expect(&json!({"type": "auth", "status": "ok"})).await;
    }

    /// Sends a frame.
    pub async fn send(&mut self, frame: &Json) {
        secrets::keep_all(frame);
        self.send_message(Message::text(frame.to_string())).await;
    }

    /// Sends a text as it is.
    pub async fn send_text(&mut self, text: &str) {
        self.send_message(Message::text(text)).await;
    }

    /// Sends any message.
    pub async fn send_message(&mut self, message: Message) {
        soon(self.0.send(message)).await.unwrap();
    }

    /// Returns the next message of any kind, or `None` at the end.
    pub async fn message(&mut self) -> Option<Message> {
        soon(self.0.next()).await?.ok()
    }

    /// Returns the next frame.
    ///
    /// # Panics
    ///
    /// If none arrives in time, or the connection ends before.
    pub async fn next(&mut self) -> Json {
        loop {
            match self.message().await {
                Some(Message::Text(text)) => {
                    let frame: Json = serde_json::from_str(&text).unwrap();
                    secrets::keep_all(&frame);
                    if frame["status"] == "error" {
                        secrets::answered(&text);
                    }
                    return frame;
                }
                Some(Message::Ping(_) | Message::Pong(_)) => {}
                other => panic!("a frame was expected, not {other:?}"),
            }
        }
    }

    /// Expects exactly this frame as the next one.
    #[track_caller]
    pub fn expect(&mut self, frame: &Json) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        async move {
            let next = self.next().await;
            assert_eq!(next, *frame, "expected at {place}");
        }
    }

    /// Sends a frame and returns the next one that arrives.
    pub async fn ask(&mut self, frame: &Json) -> Json {
        self.send(frame).await;
        self.next().await
    }

    /// Asserts that no frame arrives before the response to a frame that is sent now.
    pub async fn quiet(&mut self) {
        self.send(&json!({"type": "ping", "uid": "quiet?"})).await;
        self.expect(&json!({"type": "pong", "uid": "quiet?"})).await;
    }

    /// Subscribes and returns the first frame.
    pub async fn subscribe(&mut self, uid: &str, frame: Json) -> Json {
        let mut frame = frame;
        frame["type"] = json!("subscribe");
        frame["uid"] = json!(uid);
        if frame.get("collection").is_none() {
            frame["collection"] = json!("messages");
        }
        self.ask(&frame).await
    }

    /// Asserts that the next frame is this event of a message with this content, and returns it.
    ///
    /// Any other event would have arrived first, so this also proves the absence of others.
    #[track_caller]
    pub fn expect_event(&mut self, event: &str, content: &str) -> impl Future<Output = Json> {
        let place = std::panic::Location::caller();
        async move {
            let frame = self.next().await;
            let found = (frame["event"].as_str(), frame["data"][0]["content"].as_str());
            assert_eq!(found, (Some(event), Some(content)), "expected at {place}, got {frame}");
            frame
        }
    }

    /// Creates a message over this connection and returns its id.
    pub async fn say(&mut self, content: &str) -> i64 {
        let frame = json!({"type": "items", "collection": "messages", "action": "create",
            "data": {"content": content}});
        self.ask(&frame).await["data"]["id"].as_i64().unwrap()
    }

    /// Waits for the end of the connection and returns its close code, if any.
    ///
    /// # Panics
    ///
    /// If another message arrives before it.
    pub async fn closed(&mut self) -> Option<u16> {
        loop {
            match self.message().await {
                Some(Message::Close(close)) => return close.map(|close| close.code.into()),
                Some(Message::Ping(_) | Message::Pong(_)) => {}
                other => panic!("the end was expected, not {other:?}"),
            }
        }
    }
}

/// Returns area, code and message of an error frame.
pub fn error(frame: &Json) -> (&str, &str, &str) {
    assert_eq!(frame["status"], "error", "{frame}");
    (
        frame["type"].as_str().unwrap(),
        frame["error"]["code"].as_str().unwrap(),
        frame["error"]["message"].as_str().unwrap(),
    )
}
