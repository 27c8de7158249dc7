//! One accepted connection: its place among those that may be open, and the deadline for the head
//! of its first request.
//!
//! Without the deadline a client that sends a byte now and then would hold a connection for ever.
//! What comes after the first head is not looked at. The writing side is shared: once a request has
//! become a socket, whoever writes many of them needs it.

use std::io;
use std::io::IoSlice;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::time::Sleep;

use crate::app::places::Place;
use crate::transport::ws::Wire;

/// A connection. Its place is free again when it is dropped, whatever protocol it spoke last.
pub struct Connection {
    read: OwnedReadHalf,
    wire: Wire,
    /// `None` once the head of the first request is complete.
    head: Option<Head>,
    _place: Place,
}

/// The head of the first request while it arrives.
struct Head {
    deadline: Pin<Box<Sleep>>,
    scan: Scan,
}

/// Where in a head a connection is. Empty lines before the first line are no head: they are skipped,
/// as the parser does, or two of them would end the deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scan {
    Before,
    InLine,
    AfterLine,
}

impl Connection {
    /// Returns a connection that fails when the head of its first request is not complete in time.
    pub(super) fn new(stream: TcpStream, head_timeout: Duration, place: Place) -> Self {
        let deadline = Box::pin(tokio::time::sleep(head_timeout));
        let head = Head { deadline, scan: Scan::Before };
        let (read, write) = stream.into_split();
        Self { read, wire: Wire::new(write), head: Some(head), _place: place }
    }

    /// Returns the writing side.
    pub(super) const fn wire(&self) -> &Wire {
        &self.wire
    }

    /// Waits until the first byte can be read.
    ///
    /// # Errors
    /// When it did not come in time, or the connection ended or failed without one.
    pub(super) async fn first_byte(&mut self) -> io::Result<()> {
        let Some(head) = &mut self.head else { return Ok(()) };
        let mut byte = [0];
        tokio::select! {
            // The system says now and then that there is something when there is not: look.
            peeked = self.read.peek(&mut byte) => match peeked? {
                0 => Err(io::ErrorKind::UnexpectedEof.into()),
                _ => Ok(()),
            },
            () = head.deadline.as_mut() => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    #[cfg(test)]
    pub(super) fn is_nodelay(&self) -> bool {
        self.wire.stream().nodelay().unwrap()
    }
}

impl Scan {
    /// Takes in the next bytes and returns whether the head is complete. A line ends with a line
    /// feed, before which there may be a carriage return.
    fn is_complete_after(&mut self, bytes: &[u8]) -> bool {
        for byte in bytes {
            *self = match (*self, *byte) {
                (Self::AfterLine, b'\n') => return true,
                (Self::Before, b'\r' | b'\n') => Self::Before,
                (Self::AfterLine, b'\r') | (Self::InLine, b'\n') => Self::AfterLine,
                _ => Self::InLine,
            };
        }
        false
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let Some(head) = &mut this.head else {
            return Pin::new(&mut this.read).poll_read(cx, buffer);
        };
        if head.deadline.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.read).poll_read(cx, buffer);
        if head.scan.is_complete_after(&buffer.filled()[before..]) {
            this.head = None;
        }
        polled
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().wire).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().wire).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().wire).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().wire).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use crate::app::places::Places;

    use super::*;

    const SHORT: Duration = Duration::from_millis(200);
    const SOON: Duration = Duration::from_secs(5);

    async fn pair(head_timeout: Duration) -> (TcpStream, Connection) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let place = Places::new(1, None).take([127, 0, 0, 1].into()).unwrap();
        (client, Connection::new(stream, head_timeout, place))
    }

    /// Reads until nothing more comes or the connection fails.
    async fn read_all(mut connection: Connection) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        tokio::time::timeout(SOON, connection.read_to_end(&mut bytes)).await.expect("an end")?;
        Ok(bytes)
    }

    #[test]
    fn a_head_ends_with_its_first_empty_line() {
        for (text, complete) in [
            ("GET / HTTP/1.1\r\nhost: a\r\n\r\n", true),
            ("GET / HTTP/1.1\nhost: a\n\n", true),
            ("\r\n\r\nGET / HTTP/1.1\r\n\r\n", true),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", true),
            ("GET / HTTP/1.1\r\nhost: a\r\n", false),
            ("GET / HTTP/1.1\r\nhost: a\r\n\r", false),
            ("\r\n\r\n\r\n", false),
            ("\n\n", false),
            ("", false),
        ] {
            let mut whole = Scan::Before;
            let mut pieces = Scan::Before;
            let piecewise = text.as_bytes().chunks(1).any(|byte| pieces.is_complete_after(byte));

            assert_eq!(whole.is_complete_after(text.as_bytes()), complete, "{text:?}");
            assert_eq!(piecewise, complete, "{text:?} byte by byte");
        }
    }

    #[tokio::test]
    async fn a_silent_connection_ends_at_the_deadline() {
        let (_client, connection) = pair(SHORT).await;

        let ended = read_all(connection).await;

        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn waiting_for_the_first_byte_has_the_same_deadline() {
        let (mut client, mut connection) = pair(SHORT).await;

        let silent = tokio::time::timeout(SOON, connection.first_byte()).await.expect("an end");
        client.write_all(b"too late").await.unwrap();

        assert_eq!(silent.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(read_all(connection).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn dripping_does_not_move_the_deadline() {
        let (mut client, connection) = pair(SHORT).await;
        let dripping = tokio::spawn(async move {
            for byte in b"GET / HTTP/1.1\r\nx-slow: ".iter().chain(std::iter::repeat(&b'a')) {
                if client.write_all(&[*byte]).await.is_err() {
                    break;
                }
                tokio::time::sleep(SHORT / 20).await;
            }
        });

        let ended = read_all(connection).await;

        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);
        dripping.await.unwrap();
    }

    #[tokio::test]
    async fn after_the_head_a_connection_may_take_its_time() {
        let (mut client, connection) = pair(SHORT).await;
        let sending = tokio::spawn(async move {
            client.write_all(b"POST / HTTP/1.1\r\nhost: a\r").await.unwrap();
            client.write_all(b"\n\r\n").await.unwrap();
            tokio::time::sleep(2 * SHORT).await;
            client.write_all(b"body").await.unwrap();
        });

        let read = read_all(connection).await.unwrap();

        assert!(read.ends_with(b"\r\n\r\nbody"));
        sending.await.unwrap();
    }
}
