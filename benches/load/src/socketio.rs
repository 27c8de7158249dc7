//! The part of socket.io 4 that the server in `benches/peers` needs: Engine.IO over WebSocket, one
//! namespace, two events.

use std::io;

use serde_json::json;

use crate::marker::Mark;
use crate::protocol::expect;
use crate::target::Target;
use crate::websocket::WebSocket;

/// Connects to the server and to its main namespace.
pub async fn connect(target: &Target) -> io::Result<WebSocket> {
    let path = "/socket.io/?EIO=4&transport=websocket";
    let mut socket = WebSocket::connect(&target.address, path).await?;
    expect(&mut socket, "0{").await?;
    socket.text("40").await?;
    expect(&mut socket, "40{").await?;
    Ok(socket)
}

/// Joins the room of the subscribers.
pub async fn subscribe(socket: &mut WebSocket) -> io::Result<()> {
    socket.text("42[\"subscribe\"]").await?;
    expect(socket, "subscribed").await
}

/// Returns the frame that writes one message.
pub fn create_frame(target: &Target, mark: Mark) -> String {
    format!("42[\"create\",{}]", json!({"content": target.marker.text(mark)}))
}
