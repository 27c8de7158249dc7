//! The writing side of a TCP connection, shared: whoever holds it can write without waiting, from
//! any thread, while somebody else reads.
//!
//! Who writes when is not decided here. Until an upgrade it is HTTP, after that `sweep` and
//! `writer`, one at a time.

use std::io;
use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use rustix::net::Shutdown;
use socket2::SockRef;
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;

/// How much of what the system has taken may wait to be sent. By itself it takes megabytes, and what a
/// slow client is asked waits behind them for longer than it has to answer.
const UNSENT_MAX: u32 = 64 * 1024;

/// The shared writing side of a connection. The server puts it into the extensions of its requests,
/// so that an upgrade finds it; a stream of another kind has none.
#[derive(Debug, Clone)]
pub struct Wire(Arc<OwnedWriteHalf>);

/// What can be written without waiting.
pub trait TryWrite {
    /// Writes some of these bytes.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if nothing is taken now, and whatever ends the connection.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize>;
}

impl Wire {
    /// Shares a writing side.
    #[must_use]
    pub fn new(half: OwnedWriteHalf) -> Self {
        Self(Arc::new(half))
    }

    /// Lets the system take no more than it can soon send. Whoever writes waits for the rest, and sees
    /// by that whether the client takes anything.
    pub fn keep_unsent_short(&self) {
        // It fails on what is no such connection, which has no such queue.
        let _ = SockRef::from(self.stream()).set_tcp_notsent_lowat(UNSENT_MAX);
    }

    /// Returns the connection.
    #[must_use]
    pub fn stream(&self) -> &TcpStream {
        self.0.as_ref().as_ref()
    }
}

impl TryWrite for Wire {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.stream().try_write(bytes)
    }
}

impl AsyncWrite for Wire {
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
