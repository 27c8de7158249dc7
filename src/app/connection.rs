//! One accepted connection: its slot in the connection limits, and its timeouts for the next
//! request, for the head of a request and for an unread response.
//!
//! Without timeouts, a client that sends few bytes or none, or that does not read, would hold a
//! connection forever. The timeouts of a body are up to its reader. The write half is shared,
//! because once the connection is upgraded to a WebSocket, a thread that serves many sockets writes
//! to it.

use std::io;
use std::io::IoSlice;
use std::pin::Pin;
use std::task::ready;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;

use crate::app::acceptor::{FULL, FULL_FOR_ADDRESS};
use crate::app::exchanges::Exchanges;
use crate::app::waiting::{Timeouts, Waiting};
use crate::domain::Error;
use crate::domain::memory::Reservation;
use crate::domain::quota::Permit;
use crate::transport::ws::{TryWrite, WriteHalf};

/// Maximum bytes per read. The read buffer of the HTTP server grows with the size of a read and is
/// kept for the lifetime of the connection.
const READ_MAX: usize = 4096;

/// A connection, as HTTP or upgraded. Dropping it frees its slot.
pub struct Connection {
    read: OwnedReadHalf,
    write_half: WriteHalf,
    exchanges: Exchanges,
    /// `None` once upgraded to a WebSocket; boxed, since most connections are upgraded.
    waiting: Option<Box<Waiting>>,
    _slot: Permit,
}

impl Connection {
    /// Creates a connection that fails when a request does not arrive in time.
    pub(super) fn new(
        stream: TcpStream,
        timeouts: Timeouts,
        slot: Permit,
        memory: Reservation,
    ) -> Self {
        let exchanges = Exchanges::default();
        let waiting = Box::new(Waiting::new(timeouts, memory));
        let (read, write) = stream.into_split();
        let write_half = WriteHalf::new(write);
        write_half.keep_unsent_short();
        Self { read, write_half, exchanges, waiting: Some(waiting), _slot: slot }
    }

    /// Returns the write half.
    pub(super) const fn write_half(&self) -> &WriteHalf {
        &self.write_half
    }

    /// Returns the counter of its requests.
    pub(super) const fn exchanges(&self) -> &Exchanges {
        &self.exchanges
    }

    /// Waits until the first byte can be read.
    ///
    /// # Errors
    /// When no byte arrived in time, or the connection ended or failed without one.
    pub(super) async fn first_byte(&mut self) -> io::Result<()> {
        let Some(waiting) = &mut self.waiting else { return Ok(()) };
        let mut byte = [0];
        tokio::select! {
            // The system may report readiness spuriously, so peek.
            peeked = self.read.peek(&mut byte) => match peeked? {
                0 => Err(io::ErrorKind::UnexpectedEof.into()),
                _ => Ok(()),
            },
            () = waiting.overdue() => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Returns the result of a write, or an error if the client has been reading too slowly.
    fn track_write(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match &mut self.waiting {
            Some(waiting) => waiting.track_write(context, written),
            None => written,
        }
    }

    #[cfg(test)]
    pub(super) fn is_nodelay(&self) -> bool {
        self.write_half.stream().nodelay().unwrap()
    }
}

/// Returns the response for a request head that exceeds the memory budget.
const fn refused(refusal: &Error) -> &'static [u8] {
    match refusal {
        Error::ShareExceeded { .. } => FULL_FOR_ADDRESS,
        _ => FULL,
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
        ready!(this.read.as_ref().poll_read_ready(context))?;
        let most = READ_MAX.min(buffer.remaining());
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(most));
        ready!(Pin::new(&mut this.read).poll_read(context, &mut part))?;
        let bytes = part.filled().len();
        if bytes > 0
            && let Err(refusal) = waiting.receive(part.filled(), &this.exchanges)
        {
            if this.exchanges.is_written() {
                // Sent only if the socket accepts it at once.
                let _ = this.write_half.try_write(refused(&refusal));
            }
            return Poll::Ready(Err(io::ErrorKind::OutOfMemory.into()));
        }
        buffer.advance(bytes);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.write_half).poll_write(cx, bytes);
        this.track_write(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.write_half).poll_write_vectored(cx, slices);
        this.track_write(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.write_half.is_write_vectored()
    }

    /// Called by the server when it has written everything.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.exchanges.note_written();
        Pin::new(&mut this.write_half).poll_flush(cx)
    }

    /// Shuts down the write half, then gives the client time to read the last response.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let Some(waiting) = this.waiting.as_mut().filter(|_| !this.exchanges.is_upgraded()) else {
            return Pin::new(&mut this.write_half).poll_shutdown(cx);
        };
        if !waiting.is_lingering() {
            ready!(Pin::new(&mut this.write_half).poll_shutdown(cx))?;
        }
        waiting.poll_linger(Pin::new(&mut this.read), &this.exchanges, cx).map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use crate::domain::memory::VISITORS_SHARE;
    use crate::domain::memory::budget;
    use crate::domain::quota::{Owner, Quota};

    use super::*;

    const SHORT: Duration = Duration::from_millis(200);
    const LONG: Duration = Duration::from_mins(1);
    const SOON: Duration = Duration::from_secs(20);

    async fn pair(head: Duration, idle: Duration) -> (TcpStream, Connection) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let slot = Quota::new(1, 1).take(Owner::Proxied, 1).unwrap();
        let timeouts = Timeouts { head, idle, stall: SHORT };
        (client, Connection::new(stream, timeouts, slot, reservation(&budget(1 << 20))))
    }

    fn reservation(shares: &Arc<Quota>) -> Reservation {
        Reservation::new(shares, Owner::Visitors(None))
    }

    /// Reads until nothing more comes or the connection fails.
    async fn read_all(mut connection: Connection) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        tokio::time::timeout(SOON, connection.read_to_end(&mut bytes)).await.expect("in time")?;
        Ok(bytes)
    }

    #[tokio::test]
    async fn a_silent_connection_times_out() {
        let (_client, connection) = pair(SHORT, LONG).await;

        let ended = read_all(connection).await;

        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn the_wait_for_the_first_byte_has_the_same_deadline() {
        let (mut client, mut connection) = pair(SHORT, LONG).await;

        let silent = tokio::time::timeout(SOON, connection.first_byte()).await.expect("in time");
        client.write_all(b"too late").await.unwrap();

        assert_eq!(silent.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(read_all(connection).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn slow_input_does_not_extend_the_deadline() {
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
    async fn a_running_request_has_no_read_deadline() {
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
    async fn an_idle_connection_times_out_after_a_response() {
        let (_client, connection) = pair(LONG, SHORT).await;
        drop(connection.exchanges().begin());

        let ended = read_all(connection).await;

        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn the_head_timeout_applies_to_later_requests() {
        let (mut client, connection) = pair(SHORT, LONG).await;
        drop(connection.exchanges().begin());
        client.write_all(b"GET / HT").await.unwrap();

        let ended = read_all(connection).await;

        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_client_that_reads_nothing_times_out() {
        let (client, mut connection) = pair(LONG, LONG).await;

        let written = tokio::time::timeout(SOON, async {
            loop {
                connection.write_all(&vec![b'x'; 1 << 16]).await?;
            }
        });

        let ended: io::Result<()> = written.await.expect("in time");
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(client);
    }

    #[tokio::test]
    async fn a_client_that_pauses_briefly_stays_connected() {
        const BYTES: usize = 8 << 20;
        let (mut client, mut connection) = pair(LONG, LONG).await;
        let reading = tokio::spawn(async move {
            let mut read = 0;
            let mut buffer = vec![0; 1 << 20];
            while read < BYTES {
                tokio::time::sleep(SHORT / 4).await;
                read += client.read(&mut buffer).await.unwrap();
            }
        });

        connection.write_all(&vec![b'x'; BYTES]).await.unwrap();

        drop(connection);
        reading.await.unwrap();
    }

    #[tokio::test]
    async fn a_large_head_reserves_memory_until_the_connection_ends() {
        let shares = budget(VISITORS_SHARE * (64 << 10));
        let (mut client, mut connection) = pair(LONG, LONG).await;
        let timeouts = Timeouts { head: LONG, idle: LONG, stall: LONG };
        connection.waiting = Some(Box::new(Waiting::new(timeouts, reservation(&shares))));
        let mut head = vec![0; 20_000];

        // While a request runs, the bytes read are not part of a head.
        let running = connection.exchanges().begin();
        client.write_all(&head).await.unwrap();
        connection.read_exact(&mut head).await.unwrap();
        drop(running);
        assert_eq!(reservation(&shares).left(), 64 << 10);
        client.write_all(&head).await.unwrap();
        connection.read_exact(&mut head).await.unwrap();
        assert_eq!(reservation(&shares).left(), 16 << 10);
        drop(connection.exchanges().begin());
        client.write_all(b"a small one").await.unwrap();
        connection.read_exact(&mut head[..11]).await.unwrap();
        assert_eq!(reservation(&shares).left(), 16 << 10);

        client.write_all(&vec![0; 50_000]).await.unwrap();
        let refused = read_all(connection).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::OutOfMemory);
        assert_eq!(reservation(&shares).left(), 64 << 10);
        let mut told = vec![0; FULL_FOR_ADDRESS.len()];
        client.read_exact(&mut told).await.unwrap();
        assert_eq!(told, FULL_FOR_ADDRESS);
    }

    #[tokio::test]
    async fn the_size_of_a_read_is_limited() {
        let (mut client, mut connection) = pair(LONG, LONG).await;
        client.write_all(&vec![b'x'; 4 * READ_MAX]).await.unwrap();
        client.shutdown().await.unwrap();
        let mut largest = 0;

        loop {
            let mut buffer = vec![0; 1 << 20];
            match connection.read(&mut buffer).await.unwrap() {
                0 => break,
                bytes => largest = largest.max(bytes),
            }
        }

        assert_eq!(largest, READ_MAX);
    }

    #[tokio::test]
    async fn an_upgraded_connection_has_no_deadline() {
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
