//! A lightweight WebSocket client, to leave CPU time to the server under test: whole frames, one
//! growing buffer, no extensions.

use std::io;
use std::ops::Range;

use memchr::memmem;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// Minimum free space in the buffer before a read.
const ROOM: usize = 1024;

/// An open connection.
pub struct WebSocket {
    stream: TcpStream,
    buffer: Vec<u8>,
    unread: Range<usize>,
    outgoing: Vec<u8>,
}

/// A received frame.
pub enum Frame {
    /// A message; [`WebSocket::bytes`] returns its payload until the next call of `next`.
    Message(Range<usize>),
    /// The server's close frame, with its code.
    Close(u16),
}

/// Position of a frame's payload, relative to the start of the frame.
struct Header {
    opcode: u8,
    payload: Range<usize>,
}

impl WebSocket {
    /// Connects and performs the upgrade.
    pub async fn connect(address: &str, path: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut socket =
            Self { stream, buffer: vec![0; 2 * ROOM], unread: 0..0, outgoing: Vec::new() };
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        socket.stream.write_all(request.as_bytes()).await?;
        loop {
            socket.fill().await?;
            let head = &socket.buffer[socket.unread.clone()];
            let Some(end) = memmem::find(head, b"\r\n\r\n") else { continue };
            if !head.starts_with(b"HTTP/1.1 101") {
                let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
                return Err(malformed(&String::from_utf8_lossy(line)));
            }
            socket.unread.start += end + 4;
            return Ok(socket);
        }
    }

    /// Returns the next frame, and answers pings meanwhile. Cancel safe while it waits for one.
    pub async fn next(&mut self) -> io::Result<Frame> {
        loop {
            let Some(Header { opcode, payload }) = self.header()? else {
                self.fill().await?;
                continue;
            };
            let at = self.unread.start;
            let payload = at + payload.start..at + payload.end;
            self.unread.start = payload.end;
            match opcode {
                1 | 2 => return Ok(Frame::Message(payload)),
                8 => {
                    let code =
                        self.buffer[payload].first_chunk().map(|code| u16::from_be_bytes(*code));
                    return Ok(Frame::Close(code.unwrap_or(1005)));
                }
                9 => {
                    let body = self.buffer[payload].to_vec();
                    self.send(10, &body).await?;
                }
                10 => {}
                _ => return Err(malformed(&format!("a frame with opcode {opcode}"))),
            }
        }
    }

    /// Returns the payload of a received message.
    pub fn bytes(&self, message: Range<usize>) -> &[u8] {
        &self.buffer[message]
    }

    /// Sends a text message.
    pub async fn text(&mut self, text: &str) -> io::Result<()> {
        self.send(1, text.as_bytes()).await
    }

    /// Returns the header of the next frame, once all of the frame has been received.
    fn header(&self) -> io::Result<Option<Header>> {
        let unread = &self.buffer[self.unread.clone()];
        let [first, second, rest @ ..] = unread else { return Ok(None) };
        if first & 0x80 == 0 {
            return Err(malformed("a fragment: the servers measured here send whole messages"));
        }
        let (start, length) = match second & 0x7f {
            0x7e => (4, rest.first_chunk().map(|length| u64::from(u16::from_be_bytes(*length)))),
            0x7f => (10, rest.first_chunk().map(|length| u64::from_be_bytes(*length))),
            short => (2, Some(u64::from(short))),
        };
        let Some(length) = length else { return Ok(None) };
        let end = start + usize::try_from(length).map_err(|_| malformed("a frame too long"))?;
        let whole = unread.len() >= end;
        Ok(whole.then_some(Header { opcode: first & 0x0f, payload: start..end }))
    }

    async fn fill(&mut self) -> io::Result<()> {
        if self.unread.is_empty() {
            self.unread = 0..0;
        } else if self.buffer.len() - self.unread.end < ROOM {
            self.buffer.copy_within(self.unread.clone(), 0);
            self.unread = 0..self.unread.len();
            if self.buffer.len() - self.unread.end < ROOM {
                self.buffer.resize(self.buffer.len() * 2, 0);
            }
        }
        match self.stream.read(&mut self.buffer[self.unread.end..]).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                self.unread.end += read;
                Ok(())
            }
        }
    }

    async fn send(&mut self, opcode: u8, payload: &[u8]) -> io::Result<()> {
        let length = payload.len();
        self.outgoing.clear();
        self.outgoing.push(0x80 | opcode);
        if let Some(short) = u8::try_from(length).ok().filter(|length| *length < 126) {
            self.outgoing.push(0x80 | short);
        } else if let Ok(medium) = u16::try_from(length) {
            self.outgoing.push(0x80 | 0x7e);
            self.outgoing.extend(medium.to_be_bytes());
        } else {
            self.outgoing.push(0x80 | 0x7f);
            self.outgoing.extend((length as u64).to_be_bytes());
        }
        // A mask of zeros is valid (the server still unmasks) and leaves the payload unchanged.
        self.outgoing.extend([0; 4]);
        self.outgoing.extend(payload);
        self.stream.write_all(&self.outgoing).await
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}
