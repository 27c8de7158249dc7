//! What the reading codec takes for its socket: it reads from the real one, and what it writes by
//! itself (pongs, the echo of a close frame) joins the outbox, so that the order of frames holds
//! and one task alone writes.
//!
//! What nobody above the codec sees is bounded here: control frames and pieces of messages have a
//! rate, beyond which the socket is not read for a moment.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use bytes::Bytes;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::time::Instant;
use tokio::time::Sleep;

use crate::domain::realtime::Outbox;
use crate::transport::ws::encode;
use crate::transport::ws::incoming::Incoming;
use crate::transport::ws::life::Life;
use crate::transport::ws::rate::Rate;

/// The read half of a connection, and its outbox in place of a write half.
pub struct CodecIo<R> {
    read: R,
    outbox: Arc<Outbox>,
    life: Life,
    incoming: Incoming,
    /// The largest message at present.
    message_bytes_max: usize,
    parts: Rate,
    /// Until when nothing is read, since too many parts came; boxed, as it is rare.
    pause: Option<Pin<Box<Sleep>>>,
}

/// The message that is coming is larger than it may be at present.
#[derive(Debug, thiserror::Error)]
#[error("the message is larger than it may be")]
pub struct TooLarge;

impl<R> CodecIo<R> {
    /// Returns the pair. Each second so many frames are read that are no whole message.
    pub fn new(read: R, outbox: Arc<Outbox>, life: Life, parts_per_second: u32) -> Self {
        Self {
            read,
            outbox,
            life,
            incoming: Incoming::new(),
            message_bytes_max: usize::MAX,
            parts: Rate::new(parts_per_second, Instant::now()),
            pause: None,
        }
    }

    /// Bounds messages from now on. One that is larger fails the next read with [`TooLarge`], before
    /// the rest of it has come.
    pub const fn bound_messages(&mut self, bytes_max: usize) {
        self.message_bytes_max = bytes_max;
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
        let this = &mut *self;
        if this.incoming.is_over(this.message_bytes_max) {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, TooLarge)));
        }
        if let Some(pause) = &mut this.pause {
            ready!(pause.as_mut().poll(context));
            this.pause = None;
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.read).poll_read(context, buffer))?;
        let now = Instant::now();
        let parts = this.incoming.take(&buffer.filled()[before..], now);
        if !this.incoming.is_overdue(now) {
            this.life.note();
        }
        let wait = this.parts.spend(parts, now);
        if !wait.is_zero() {
            this.pause = Some(Box::pin(tokio::time::sleep_until(now + wait)));
        }
        Poll::Ready(Ok(()))
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
        let answer = Bytes::copy_from_slice(frame);
        if encode::is_pong(frame) {
            // Whoever pings very often before an answer goes out gets one to the latest (RFC 6455,
            // 5.5.3).
            self.outbox.push_latest(answer);
        } else {
            self.outbox.push(answer);
        }
        Poll::Ready(Ok(frame.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
