//! An HTTP/1.1 client for one connection. Requests are prepared as bytes; bodies have a
//! `Content-Length` or are chunked.

use std::io;

use memchr::memmem;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// A keep-alive connection that reconnects after it was lost.
pub struct Http {
    address: String,
    stream: Option<TcpStream>,
    unread: Vec<u8>,
    /// The body of the last response.
    pub body: Vec<u8>,
}

/// The parsed head of a response.
struct Head {
    status: u16,
    bytes: usize,
    length: usize,
    chunked: bool,
    close: bool,
}

impl Http {
    /// Creates a client. It connects with the first request.
    pub fn new(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            stream: None,
            unread: Vec::with_capacity(16 << 10),
            body: Vec::new(),
        }
    }

    /// Sends a request, reads the response into `body` and returns its status.
    pub async fn call(&mut self, request: &[u8]) -> io::Result<u16> {
        let mut stream = if let Some(stream) = self.stream.take() {
            stream
        } else {
            self.unread.clear();
            let stream = TcpStream::connect(&self.address).await?;
            stream.set_nodelay(true)?;
            stream
        };
        stream.write_all(request).await?;
        let head = loop {
            match memmem::find(&self.unread, b"\r\n\r\n") {
                Some(end) => break Head::parse(&self.unread[..end])?,
                None => fill(&mut stream, &mut self.unread).await?,
            }
        };
        self.unread.drain(..head.bytes);
        self.body.clear();
        if head.chunked {
            while self.chunk(&mut stream).await? > 0 {}
        } else {
            self.take(&mut stream, head.length).await?;
        }
        if !head.close {
            self.stream = Some(stream);
        }
        Ok(head.status)
    }

    /// Reads one chunk and returns its size, which is 0 for the last.
    async fn chunk(&mut self, stream: &mut TcpStream) -> io::Result<usize> {
        let end = loop {
            match memmem::find(&self.unread, b"\r\n") {
                Some(end) => break end,
                None => fill(stream, &mut self.unread).await?,
            }
        };
        let size = str::from_utf8(&self.unread[..end])
            .ok()
            .and_then(|line| usize::from_str_radix(line.split(';').next()?.trim(), 16).ok())
            .ok_or_else(|| malformed("the size of a chunk"))?;
        self.unread.drain(..end + 2);
        self.take(stream, size).await?;
        while self.unread.len() < 2 {
            fill(stream, &mut self.unread).await?;
        }
        self.unread.drain(..2);
        Ok(size)
    }

    /// Moves `size` bytes to the body.
    async fn take(&mut self, stream: &mut TcpStream, size: usize) -> io::Result<()> {
        while self.unread.len() < size {
            fill(stream, &mut self.unread).await?;
        }
        self.body.extend(self.unread.drain(..size));
        Ok(())
    }
}

impl Head {
    fn parse(bytes: &[u8]) -> io::Result<Self> {
        let text = str::from_utf8(bytes).map_err(|_| malformed("the head"))?;
        let status = text.get(9..12).and_then(|status| status.parse().ok());
        let mut head = Self {
            status: status.ok_or_else(|| malformed("the status"))?,
            bytes: bytes.len() + 4,
            length: 0,
            chunked: false,
            close: false,
        };
        for line in text.split("\r\n").skip(1) {
            let Some((name, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => {
                    head.length = value.parse().map_err(|_| malformed("the length"))?;
                }
                "transfer-encoding" => head.chunked = value.eq_ignore_ascii_case("chunked"),
                "connection" => head.close = value.eq_ignore_ascii_case("close"),
                _ => {}
            }
        }
        Ok(head)
    }
}

/// Serializes a request.
pub fn request(
    method: &str,
    path: &str,
    host: &str,
    token: Option<&str>,
    body: Option<&str>,
) -> Vec<u8> {
    let authorization =
        token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let content = body.map(|body| {
        format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len())
    });
    format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nAccept: application/json\r\n{authorization}{}\r\n{}",
        content.unwrap_or_default(),
        body.unwrap_or_default(),
    )
    .into_bytes()
}

async fn fill(stream: &mut TcpStream, unread: &mut Vec<u8>) -> io::Result<()> {
    match stream.read_buf(unread).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the response is malformed: {what}"))
}
