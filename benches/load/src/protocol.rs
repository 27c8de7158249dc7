//! The common interface of both protocols, so that tests do not depend on either.

use std::io;

use memchr::memmem;
use serde_json::Value as Json;

use crate::arguments::Protocol;
use crate::directus;
use crate::marker::Mark;
use crate::socketio;
use crate::target::Target;
use crate::websocket::Frame;
use crate::websocket::WebSocket;

/// The maximum size of a ping frame.
const PING_BYTES_MAX: usize = 64;

/// Connects, and signs in if the protocol has accounts.
pub async fn connect(target: &Target, token: &str) -> io::Result<WebSocket> {
    match target.protocol {
        Protocol::Directus => directus::connect(target, token).await,
        Protocol::Socketio => socketio::connect(target).await,
    }
}

/// Subscribes to creates from now on. Only Directus supports a filter.
pub async fn subscribe(
    target: &Target,
    socket: &mut WebSocket,
    filter: Option<&Json>,
) -> io::Result<()> {
    match target.protocol {
        Protocol::Directus => directus::subscribe(target, socket, filter).await,
        Protocol::Socketio => socketio::subscribe(socket).await,
    }
}

/// Returns the frame that writes one message.
pub fn create_frame(target: &Target, mark: Mark) -> String {
    match target.protocol {
        Protocol::Directus => directus::create_frame(target, mark),
        Protocol::Socketio => socketio::create_frame(target, mark),
    }
}

/// Returns whether the server acknowledges writes.
pub fn acknowledges(target: &Target) -> bool {
    target.protocol == Protocol::Directus
}

/// Returns whether a frame is an error.
pub fn refuses(frame: &[u8]) -> bool {
    memmem::find(frame, b"\"error\"").is_some()
}

/// Waits for a message that contains `wanted`; an error frame is an error.
pub async fn expect(socket: &mut WebSocket, wanted: &str) -> io::Result<()> {
    loop {
        let text = match socket.next().await? {
            Frame::Message(message) => String::from_utf8_lossy(socket.bytes(message)).into_owned(),
            Frame::Close(code) => return Err(closed(code)),
        };
        if text.contains(wanted) {
            return Ok(());
        }
        if refuses(text.as_bytes()) {
            return Err(io::Error::other(text));
        }
        keep_alive(socket, text.as_bytes()).await?;
    }
}

/// Answers a message if it is a ping of the protocol.
pub async fn keep_alive(socket: &mut WebSocket, frame: &[u8]) -> io::Result<()> {
    if frame == b"2" {
        return socket.text("3").await;
    }
    if frame.len() <= PING_BYTES_MAX && memmem::find(frame, b"\"ping\"").is_some() {
        return socket.text("{\"type\":\"pong\"}").await;
    }
    Ok(())
}

/// Returns the error for a connection closed by the server.
pub fn closed(code: u16) -> io::Error {
    io::Error::other(format!("closed with {code}"))
}
