//! The shared write half of a TCP connection: any thread can write without blocking during a read.
//!
//! Until the upgrade it is written by HTTP, after that by `writer_pool` and `writer`, one at a
//! time.

use std::io;
use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::task::ready;
use std::task::{Context, Poll};

use rustix::net::Shutdown;
use socket2::SockRef;
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;

/// Maximum number of unsent bytes in the socket buffer of the system. The default is megabytes, and
/// a ping to a slow client would wait behind them for longer than the client has to answer it.
const UNSENT_MAX: u32 = 64 * 1024;

/// The shared write half of a connection. The server stores it in the request extensions, where an
/// upgrade finds it. Streams that are not TCP connections have none.
#[derive(Debug, Clone)]
pub struct WriteHalf(Arc<OwnedWriteHalf>);

/// A non-blocking writer.
pub trait TryWrite {
    /// Writes some of these bytes.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if no bytes can be written now, otherwise the error that ends
    /// the connection.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Waits until bytes can probably be written.
    ///
    /// # Errors
    /// The error that ends the connection.
    fn writable(&self) -> impl Future<Output = io::Result<()>> + Send;
}

impl WriteHalf {
    /// Shares a write half.
    #[must_use]
    pub fn new(half: OwnedWriteHalf) -> Self {
        Self(Arc::new(half))
    }

    /// Limits the unsent bytes in the socket buffer. The writer waits for the rest, which shows
    /// whether the client takes any data.
    pub fn keep_unsent_short(&self) {
        // Fails only if the stream is not a TCP connection, which has no such buffer.
        let _ = SockRef::from(self.stream()).set_tcp_notsent_lowat(UNSENT_MAX);
    }

    /// Returns the TCP stream.
    #[must_use]
    pub fn stream(&self) -> &TcpStream {
        self.0.as_ref().as_ref()
    }
}

impl TryWrite for WriteHalf {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.stream().try_write(bytes)
    }

    fn writable(&self) -> impl Future<Output = io::Result<()>> + Send {
        self.stream().writable()
    }
}

impl AsyncWrite for WriteHalf {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream().poll_write_ready(context))?;
            match self.stream().try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream().poll_write_ready(context))?;
            match self.stream().try_write_vectored(slices) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(rustix::net::shutdown(self.stream(), Shutdown::Write).map_err(Into::into))
    }
}
