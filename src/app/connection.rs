//! One accepted connection: its place among those that may be open, and how long it may wait for a
//! request and take for the head of one.
//!
//! Without a deadline a client that sends a byte now and then, or none, would hold a connection for
//! ever. What a body may take is for whoever reads it. The writing side is shared: once a request has
//! become a socket, whoever writes many of them needs it.

use std::io;
use std::io::IoSlice;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::task::ready;
use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::time::Instant;
use tokio::time::Sleep;

use crate::app::exchanges::Exchanges;
use crate::app::linger::Linger;
use crate::app::places::Place;
use crate::transport::ws::Wire;

/// A connection. Its place is free again when it is dropped, whatever protocol it spoke last.
pub struct Connection {
    read: OwnedReadHalf,
    wire: Wire,
    exchanges: Exchanges,
    /// `None` once the connection has become a socket.
    waiting: Option<Waiting>,
    _place: Place,
}

/// How long a connection may wait for what comes from its client.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// For the head of a request, from its first byte on; for that of the first one from the
    /// beginning.
    pub head: Duration,
    /// For the next request.
    pub idle: Duration,
}

/// The wait for a request.
struct Waiting {
    patience: Patience,
    deadline: Pin<Box<Sleep>>,
    /// Whether some of the head is there, or should be.
    is_head: bool,
    /// How many requests had been answered when the wait began.
    answered: u32,
    /// Whether the client took something since.
    has_taken: bool,
    /// The end of the connection, once it has begun.
    linger: Option<Linger>,
}

impl Connection {
    /// Returns a connection that fails when a request does not come in time.
    pub(super) fn new(stream: TcpStream, patience: Patience, place: Place) -> Self {
        let exchanges = Exchanges::default();
        let waiting = Waiting {
            deadline: Box::pin(tokio::time::sleep(patience.head)),
            patience,
            is_head: true,
            answered: exchanges.answered(),
            has_taken: false,
            linger: None,
        };
        let (read, write) = stream.into_split();
        Self { read, wire: Wire::new(write), exchanges, waiting: Some(waiting), _place: place }
    }

    /// Returns the writing side.
    pub(super) const fn wire(&self) -> &Wire {
        &self.wire
    }

    /// Returns where to count its requests.
    pub(super) const fn exchanges(&self) -> &Exchanges {
        &self.exchanges
    }

    /// Waits until the first byte can be read.
    ///
    /// # Errors
    /// When it did not come in time, or the connection ended or failed without one.
    pub(super) async fn first_byte(&mut self) -> io::Result<()> {
        let Some(waiting) = &mut self.waiting else { return Ok(()) };
        let mut byte = [0];
        tokio::select! {
            // The system says now and then that there is something when there is not: look.
            peeked = self.read.peek(&mut byte) => match peeked? {
                0 => Err(io::ErrorKind::UnexpectedEof.into()),
                _ => Ok(()),
            },
            () = waiting.deadline.as_mut() => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    fn note_written(&mut self, written: &Poll<io::Result<usize>>) {
        if let (Some(waiting), Poll::Ready(Ok(1..))) = (&mut self.waiting, written) {
            waiting.has_taken = true;
        }
    }

    #[cfg(test)]
    pub(super) fn is_nodelay(&self) -> bool {
        self.wire.stream().nodelay().unwrap()
    }
}

impl Waiting {
    /// Returns whether the client has let pass what it had of time.
    fn is_over(&mut self, exchanges: &Exchanges, context: &mut Context<'_>) -> bool {
        let answered = exchanges.answered();
        if exchanges.running() > 0 {
            return false;
        }
        if self.answered != answered {
            self.answered = answered;
            self.is_head = false;
            self.begin(self.patience.idle);
        } else if !self.is_head && self.has_taken {
            // It is reading the answer still.
            self.begin(self.patience.idle);
        }
        self.deadline.as_mut().poll(context).is_ready()
    }

    /// Notes that something was read.
    fn hear(&mut self, exchanges: &Exchanges) {
        // With several requests at once there is more than their heads.
        if !self.is_head && exchanges.running() == 0 && !exchanges.is_multiplexed() {
            self.is_head = true;
            self.begin(self.patience.head);
        }
    }

    /// Returns whether the client may be sending something that no request was made of.
    fn is_receiving(&self, exchanges: &Exchanges) -> bool {
        let is_within_head = self.is_head && self.answered == exchanges.answered();
        exchanges.has_unread() || is_within_head
    }

    fn begin(&mut self, patience: Duration) {
        self.has_taken = false;
        self.deadline.as_mut().reset(Instant::now() + patience);
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let Some(waiting) = &mut this.waiting else {
            return Pin::new(&mut this.read).poll_read(context, buffer);
        };
        if this.exchanges.is_upgraded() {
            this.waiting = None;
            return Pin::new(&mut this.read).poll_read(context, buffer);
        }
        if waiting.is_over(&this.exchanges, context) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.read).poll_read(context, buffer);
        if buffer.filled().len() > before {
            this.exchanges.hear();
            waiting.hear(&this.exchanges);
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
        let this = self.get_mut();
        let written = Pin::new(&mut this.wire).poll_write(cx, bytes);
        this.note_written(&written);
        written
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.wire).poll_write_vectored(cx, slices);
        this.note_written(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().wire).poll_flush(cx)
    }

    /// Ends the writing side, and then waits until the client has had time to read the last response.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let Some(waiting) = this.waiting.as_mut().filter(|_| !this.exchanges.is_upgraded()) else {
            return Pin::new(&mut this.wire).poll_shutdown(cx);
        };
        if waiting.linger.is_none() {
            ready!(Pin::new(&mut this.wire).poll_shutdown(cx))?;
            let is_sending = waiting.is_receiving(&this.exchanges);
            waiting.linger = Some(Linger::begin(is_sending, waiting.deadline.as_mut()));
        }
        let Some(linger) = &mut waiting.linger else { return Poll::Ready(Ok(())) };
        linger.poll(Pin::new(&mut this.read), waiting.deadline.as_mut(), cx).map(Ok)
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
    const LONG: Duration = Duration::from_mins(1);
    const SOON: Duration = Duration::from_secs(20);

    async fn pair(head: Duration, idle: Duration) -> (TcpStream, Connection) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let place = Places::new(1, None).take(None).unwrap();
        (client, Connection::new(stream, Patience { head, idle }, place))
    }

    /// Reads until nothing more comes or the connection fails.
    async fn read_all(mut connection: Connection) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        tokio::time::timeout(SOON, connection.read_to_end(&mut bytes)).await.expect("an end")?;
        Ok(bytes)
    }

    #[tokio::test]
    async fn a_silent_connection_ends_at_the_deadline() {
        let (_client, connection) = pair(SHORT, LONG).await;

        let ended = read_all(connection).await;

        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn waiting_for_the_first_byte_has_the_same_deadline() {
        let (mut client, mut connection) = pair(SHORT, LONG).await;

        let silent = tokio::time::timeout(SOON, connection.first_byte()).await.expect("an end");
        client.write_all(b"too late").await.unwrap();

        assert_eq!(silent.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(read_all(connection).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn dripping_does_not_move_the_deadline() {
        let (mut client, connection) = pair(SHORT, LONG).await;
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
    async fn after_the_head_a_request_may_take_its_time() {
        let (mut client, connection) = pair(SHORT, SHORT).await;
        let running = connection.exchanges().begin();
        let sending = tokio::spawn(async move {
            client.write_all(b"POST / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
            tokio::time::sleep(2 * SHORT).await;
            client.write_all(b"body").await.unwrap();
        });

        let read = read_all(connection).await.unwrap();

        assert!(read.ends_with(b"\r\n\r\nbody"));
        sending.await.unwrap();
        drop(running);
    }

    #[tokio::test]
    async fn after_an_answer_the_next_request_has_a_time_to_come() {
        let (_client, connection) = pair(LONG, SHORT).await;
        drop(connection.exchanges().begin());

        let ended = read_all(connection).await;

        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn and_from_its_first_byte_on_as_much_as_the_first() {
        for is_multiplexed in [false, true] {
            let (idle, head) = if is_multiplexed { (SHORT, LONG) } else { (LONG, SHORT) };
            let (mut client, connection) = pair(head, idle).await;
            drop(connection.exchanges().begin());
            if is_multiplexed {
                // There the bytes may mean anything, so they do not begin a head.
                connection.exchanges().multiplex();
            }
            client.write_all(b"GET / HT").await.unwrap();

            let ended = read_all(connection).await;

            assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);
        }
    }

    #[tokio::test]
    async fn a_socket_has_no_deadline_here() {
        let (mut client, connection) = pair(SHORT, SHORT).await;
        connection.exchanges().upgrade();
        let sending = tokio::spawn(async move {
            tokio::time::sleep(2 * SHORT).await;
            client.write_all(b"a frame").await.unwrap();
        });

        assert_eq!(read_all(connection).await.unwrap(), b"a frame");
        sending.await.unwrap();
    }
}
