//! The topics protocol, as pages built with nuxt-ws speak it.

mod bounds;
mod chat;
mod identity;
mod names;
mod rights;
mod session;

use std::ops::{Deref, DerefMut};

use chinwag::config::Config;
use serde_json::Value as Json;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;

use crate::support::{Permission, Socket, TestServer};

/// A connection to the topics socket, after its initial frames.
struct Page {
    socket: Socket,
    /// Its own name.
    name: String,
    /// The existing messages, if any.
    history: Option<Json>,
    /// The number of connected users.
    users: Json,
}

impl Page {
    /// Connects without credentials.
    async fn open(server: &TestServer) -> Self {
        Self::open_as(request(server, "")).await
    }

    /// Connects with a request.
    async fn open_as(request: Request) -> Self {
        let mut socket = Socket::open(request).await.unwrap();
        let mut frame = socket.next().await;
        let history = (frame["topic"] == "chat").then(|| frame["payload"].clone());
        if history.is_some() {
            frame = socket.next().await;
        }
        assert_eq!(frame["topic"], "_internal", "{frame}");
        let name = frame["payload"]["connectionId"].as_str().unwrap().to_owned();
        let frame = socket.next().await;
        assert_eq!(frame["topic"], "session", "{frame}");
        let users = frame["payload"]["users"].clone();
        Self { socket, name, history, users }
    }

    /// Connects without credentials, subscribes to `chat` and unsubscribes from the user count.
    async fn chatting(server: &TestServer) -> Self {
        let mut page = Self::open(server).await;
        page.tell("unsubscribe", "session").await;
        page.tell("subscribe", "chat").await;
        page.settled().await;
        page
    }

    async fn tell(&mut self, kind: &str, topic: &str) {
        self.send(&json!({"type": kind, "topic": topic})).await;
    }

    async fn publish(&mut self, text: &str) {
        let payload = json!({"text": text});
        self.send(&json!({"type": "publish", "topic": "chat", "payload": payload})).await;
    }

    /// Returns the next list, which has to be the next state that arrives.
    async fn list(&mut self) -> Vec<(String, String)> {
        let frame = self.next().await;
        assert_eq!(frame["topic"], "chat", "{frame}");
        lines(&frame["payload"])
    }

    /// Returns the texts of the next list.
    async fn texts(&mut self) -> Vec<String> {
        self.list().await.into_iter().map(|(_, text)| text).collect()
    }

    /// Waits until all frames so far have been processed. No state may arrive before.
    #[track_caller]
    fn settled(&mut self) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        async move {
            self.send_text("ping").await;
            loop {
                match self.message().await {
                    Some(Message::Ping(_)) => {}
                    Some(Message::Text(text)) if text.as_str() == "ping" => return,
                    other => panic!("expected no state, got {other:?}, at {place}"),
                }
            }
        }
    }
}

impl Deref for Page {
    type Target = Socket;

    fn deref(&self) -> &Socket {
        &self.socket
    }
}

impl DerefMut for Page {
    fn deref_mut(&mut self) -> &mut Socket {
        &mut self.socket
    }
}

/// Returns the names and texts of a list.
fn lines(list: &Json) -> Vec<(String, String)> {
    let text = |line: &Json, name: &str| line[name].as_str().unwrap().to_owned();
    let lines = list.as_array().unwrap().iter();
    lines
        .map(|line| {
            assert_eq!(line.as_object().unwrap().len(), 2, "{line}");
            (text(line, "user"), text(line, "text"))
        })
        .collect()
}

fn line(user: &str, text: &str) -> (String, String) {
    (user.to_owned(), text.to_owned())
}

fn request(server: &TestServer, query: &str) -> Request {
    format!("ws://{}/_ws{query}", server.address).into_client_request().unwrap()
}

/// Returns a service where the public may read and create messages, and read names.
async fn open() -> TestServer {
    open_with(|_| {}).await
}

/// The same with other settings.
async fn open_with(bend: impl FnOnce(&mut Config)) -> TestServer {
    let server = TestServer::with(bend).await;
    let rights = [
        Permission::to("read", "messages"),
        Permission::to("create", "messages"),
        Permission::to("read", "directus_users").fields(&["first_name"]),
    ];
    server.allow_public(&rights).await;
    server
}
