//! An HTTP/1.1 client that sends given bytes and reads one response at a time.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::soon;

/// A connection that stays open for as long as the server allows.
pub struct Wire(TcpStream);

/// A response as received.
#[derive(Debug)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The head, in lower case.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Response {
    /// Returns whether the server announces the end of the connection.
    pub fn closes(&self) -> bool {
        self.head.contains("\r\nconnection: close\r\n")
    }
}

impl Wire {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = soon(TcpStream::connect(address)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    /// Sends bytes.
    pub async fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        soon(self.0.write_all(bytes)).await
    }

    /// Reads one response, which may be an interim one.
    pub async fn read(&mut self) -> std::io::Result<Response> {
        soon(self.read_response()).await
    }

    /// Sends a request without a body and reads the response.
    pub async fn ask(&mut self, head: &str) -> std::io::Result<Response> {
        self.send(head.as_bytes()).await?;
        self.read().await
    }

    /// Waits until the server has closed the connection.
    pub async fn closed(&mut self) -> std::io::Result<()> {
        soon(self.0.read_to_end(&mut Vec::new())).await.map(drop)
    }

    async fn read_response(&mut self) -> std::io::Result<Response> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await?);
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        assert!(!head.contains("\r\ntransfer-encoding"), "no response is chunked: {head}");
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        self.0.read_exact(&mut body).await?;
        Ok(Response { status, head, body: String::from_utf8_lossy(&body).into_owned() })
    }
}
