//! What the reading codec takes for its socket: it reads from the real one, and what it writes by
//! itself (pongs, the echo of a close frame) joins the outbox, so that the order of frames holds
//! and one task alone writes.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;

use bytes::Bytes;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;

use crate::domain::realtime::Outbox;

/// The read half of a connection, and its outbox in place of a write half.
pub struct CodecIo<R> {
    read: R,
    outbox: Arc<Outbox>,
}

impl<R> CodecIo<R> {
    /// Returns the pair.
    pub const fn new(read: R, outbox: Arc<Outbox>) -> Self {
        Self { read, outbox }
    }

    /// Returns the read half.
    pub fn into_read_half(self) -> R {
        self.read
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for CodecIo<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.read).poll_read(context, buffer)
    }
}

impl<R: Unpin> AsyncWrite for CodecIo<R> {
    /// Takes one whole control frame: the codec writes each as soon as it has made it, and this
    /// never takes less than it is given.
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        frame: &[u8],
    ) -> Poll<io::Result<usize>> {
        // A refused frame needs no report: the connection is closing then, and the writer says so.
        self.outbox.push(Bytes::copy_from_slice(frame));
        Poll::Ready(Ok(frame.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
