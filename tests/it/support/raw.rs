//! A raw connection for protocol errors: bytes are sent as they are, and read only on demand.

use serde_json::Value as Json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::TestServer;
use crate::support::soon;

const MASK: [u8; 4] = [7, 11, 13, 17];

/// An upgraded connection without a codec.
pub struct RawSocket(TcpStream);

impl RawSocket {
    /// Connects to `/websocket`, with a small receive buffer.
    pub async fn connect(server: &TestServer) -> Self {
        Self::connect_to(server, "/websocket").await
    }

    /// Connects to a socket, with a small receive buffer.
    pub async fn connect_to(server: &TestServer, path: &str) -> Self {
        Self::upgrade(server, path, b"").await
    }

    /// Connects to a socket, and sends bytes together with the request, before its response.
    pub async fn upgrade(server: &TestServer, path: &str, bytes: &[u8]) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut stream = soon(socket.connect(server.address)).await.unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            server.address
        );
        stream.set_nodelay(true).unwrap();
        stream.write_all(&[request.as_bytes(), bytes].concat()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(soon(stream.read_u8()).await.unwrap());
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
        Self(stream)
    }

    /// Sends bytes.
    pub async fn send(&mut self, bytes: &[u8]) {
        soon(self.0.write_all(bytes)).await.unwrap();
    }

    /// Sends bytes to a server that may have closed the connection.
    pub async fn try_send(&mut self, bytes: &[u8]) {
        let _ = soon(self.0.write_all(bytes)).await;
    }

    /// Sends a JSON text in one valid frame.
    pub async fn send_json(&mut self, frame: &Json) {
        self.send(&masked(0x81, frame.to_string().as_bytes())).await;
    }

    /// Returns the first byte and the payload of the next frame, or `None` at the end.
    pub async fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        soon(async {
            let head = self.0.read_u8().await.ok()?;
            let length = match self.0.read_u8().await.ok()? {
                126 => usize::from(self.0.read_u16().await.ok()?),
                127 => usize::try_from(self.0.read_u64().await.ok()?).ok()?,
                length => usize::from(length),
            };
            let mut payload = vec![0; length];
            self.0.read_exact(&mut payload).await.ok()?;
            Some((head, payload))
        })
        .await
    }

    /// Expects a close frame as the next one, and returns its code.
    pub async fn close_code(&mut self) -> Option<u16> {
        match self.frame().await {
            Some((0x88, payload)) => payload.first_chunk().map(|code| u16::from_be_bytes(*code)),
            other => panic!("a close frame was expected, not {other:?}"),
        }
    }
}

/// Returns a masked frame, as clients send it.
pub fn masked(head: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![head];
    match payload.len() {
        length @ ..126 => frame.push(0x80 | u8::try_from(length).unwrap()),
        length @ ..65536 => {
            frame.push(0xfe);
            frame.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        length => {
            frame.push(0xff);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}
