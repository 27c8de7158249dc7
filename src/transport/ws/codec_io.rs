//! The stream that the reading codec uses as its socket. Reads come from the real socket. Frames
//! that the codec writes on its own (pongs, the echo of a close frame) join the send queue, which
//! keeps the order of frames and leaves a single writer.
//!
//! Enforces the limits that are invisible above the codec. Control frames and fragments have a rate
//! limit, and exceeding it pauses reading. A message has to arrive in time, and reserves memory
//! from the quota of its sender from its first bytes on.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::ready;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::config::RateLimit;
use crate::domain::delivery::Outbox;
use crate::domain::memory::{FREE, Reservation};
use crate::domain::quota::{Owner, Quota};
use crate::domain::token_bucket::TokenBucket;
use crate::transport::ws::encode;
use crate::transport::ws::incoming::Incoming;
use crate::transport::ws::liveness::Liveness;

/// Message buffers up to this size may be kept.
const SMALL: usize = 256;

/// The read half of a connection, with its send queue in place of a write half.
pub struct CodecIo<R> {
    read: R,
    outbox: Arc<Outbox>,
    liveness: Liveness,
    incoming: Incoming,
    /// The current maximum message size.
    message_bytes_max: usize,
    parts: TokenBucket,
    /// Reading is paused until then because too many control frames and fragments arrived. Boxed,
    /// since pauses are rare.
    pause: Option<Pin<Box<Sleep>>>,
    /// Time limit for more bytes of an incomplete message, while they are awaited.
    deadline: Option<Pin<Box<Sleep>>>,
    /// The instant since which an incomplete message has not been read.
    ignored: Option<Instant>,
    memory: Reservation,
    /// The last message, if it was longer than [`SMALL`]. While this reference exists, the codec
    /// allocates a new buffer for the next frame; otherwise it would keep the buffer of the message
    /// forever. Boxed, since most messages are short.
    last: Option<Box<Bytes>>,
}

/// Reasons to stop reading a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// The incoming message exceeds the current maximum size.
    #[error("the message exceeds the maximum size")]
    TooLarge,
    /// The message did not arrive in time.
    #[error("the message did not arrive in time")]
    TooSlow,
    /// The memory quota has no room for the message.
    #[error("no memory is left for the message")]
    NoMemory,
}

impl From<Stop> for io::Error {
    fn from(stop: Stop) -> Self {
        Self::new(io::ErrorKind::InvalidData, stop)
    }
}

impl<R> CodecIo<R> {
    /// Combines a read half and a send queue. `parts_per_second` limits control frames and
    /// fragments. The memory quota has no known owner until [`CodecIo::belong_to`] is called.
    pub fn new(
        read: R,
        outbox: Arc<Outbox>,
        liveness: Liveness,
        parts_per_second: u32,
        memory: &Arc<Quota>,
    ) -> Self {
        Self {
            read,
            outbox,
            liveness,
            incoming: Incoming::new(),
            message_bytes_max: usize::MAX,
            parts: TokenBucket::new(
                RateLimit::per_second(parts_per_second),
                std::time::Instant::now(),
            ),
            pause: None,
            deadline: None,
            ignored: None,
            memory: Reservation::new(memory, Owner::Visitors(None)),
            last: None,
        }
    }

    /// Sets the maximum message size. A larger message makes the next read fail with
    /// [`Stop::TooLarge`] before the rest of it has arrived.
    pub const fn bound_messages(&mut self, bytes_max: usize) {
        self.message_bytes_max = bytes_max;
    }

    /// Charges the memory of messages to an owner, from the next message on.
    pub fn belong_to(&mut self, owner: Owner) {
        self.memory.belong_to(owner);
    }

    /// Records that reading is paused. The time until the next read is not charged to the client.
    pub fn ignore(&mut self) {
        if self.ignored.is_none() && self.incoming.due().is_some() {
            self.ignored = Some(Instant::now());
        }
    }

    /// Attaches the memory reservation to a message that the codec has assembled.
    pub fn hand_on(&mut self, mut message: Bytes) -> Bytes {
        if message.len() > FREE && self.memory.is_counted() {
            let memory = self.memory.split();
            message = Bytes::from_owner(Held { message, _memory: memory });
        } else {
            // Cannot fail: the reservation does not grow.
            let _ = self.memory.resize(self.incoming.kept());
        }
        if message.len() > SMALL {
            self.last = Some(Box::new(message.clone()));
        }
        message
    }

    /// Returns the read half.
    pub fn into_read_half(self) -> R {
        self.read
    }

    /// Returns an error once more bytes of an incomplete message are overdue.
    fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let Some(due) = self.incoming.due() else {
            self.deadline = None;
            return Poll::Pending;
        };
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        if deadline.deadline() != due {
            deadline.as_mut().reset(due);
        }
        deadline.as_mut().poll(context).map(|()| Stop::TooSlow.into())
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for CodecIo<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        // The codec has allocated another buffer by now.
        this.last = None;
        if this.incoming.is_over(this.message_bytes_max) {
            return Poll::Ready(Err(Stop::TooLarge.into()));
        }
        if let Some(pause) = &mut this.pause {
            ready!(pause.as_mut().poll(context));
            this.pause = None;
        }
        if let Some(since) = this.ignored.take() {
            this.incoming.put_off(since.elapsed());
        }
        let before = buffer.filled().len();
        match Pin::new(&mut this.read).poll_read(context, buffer) {
            Poll::Ready(read) => read?,
            Poll::Pending => return this.poll_late(context).map(Err),
        }
        this.liveness.note();
        let now = Instant::now();
        let parts = this.incoming.take(&buffer.filled()[before..], now);
        // The reservation of a complete message stays until `hand_on`.
        if this.memory.grow(this.incoming.kept()).is_err() {
            // A failed read must not report any bytes.
            buffer.set_filled(before);
            return Poll::Ready(Err(Stop::NoMemory.into()));
        }
        let wait = this.parts.spend(parts, now.into_std());
        if !wait.is_zero() {
            this.ignore();
            this.pause = Some(Box::pin(tokio::time::sleep_until(now + wait)));
        }
        Poll::Ready(Ok(()))
    }
}

/// A message with its memory reservation.
struct Held {
    message: Bytes,
    _memory: Reservation,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.message
    }
}

impl<R: Unpin> AsyncWrite for CodecIo<R> {
    /// Queues one complete control frame. The codec writes each frame as soon as it is made, and
    /// this always accepts the whole frame.
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        frame: &[u8],
    ) -> Poll<io::Result<usize>> {
        // A rejected frame needs no report: the connection is closing, and the writer reports that.
        let answer = Bytes::copy_from_slice(frame);
        if encode::is_pong(frame) {
            // Of several unanswered pings, only the latest needs an answer (RFC 6455, 5.5.3).
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::{FutureExt, StreamExt};
    use parking_lot::Mutex;
    use tokio::io::AsyncReadExt;
    use tokio_tungstenite::WebSocketStream;
    use tokio_tungstenite::tungstenite::Message;
    use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

    use crate::domain::memory::VISITORS_SHARE;
    use crate::domain::memory::budget;

    use super::*;

    /// Yields its bytes, then stays pending. Records the size of each read.
    #[derive(Default)]
    struct Source {
        bytes: Vec<u8>,
        asked: Arc<Mutex<Vec<usize>>>,
    }

    impl AsyncRead for Source {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            self.asked.lock().push(buffer.remaining());
            if self.bytes.is_empty() {
                return Poll::Pending;
            }
            let length = buffer.remaining().min(self.bytes.len());
            let rest = self.bytes.split_off(length);
            buffer.put_slice(&std::mem::replace(&mut self.bytes, rest));
            Poll::Ready(Ok(()))
        }
    }

    fn message(length: usize) -> Vec<u8> {
        let head = [&[0x82, 0xff][..], &(length as u64).to_be_bytes(), &[0; 4]].concat();
        [head, vec![b'x'; length]].concat()
    }

    fn io(bytes: Vec<u8>, memory: &Arc<Quota>) -> (CodecIo<Source>, Arc<Mutex<Vec<usize>>>) {
        let source = Source { bytes, ..Source::default() };
        let asked = Arc::clone(&source.asked);
        let outbox = Outbox::new(1 << 10);
        (CodecIo::new(source, outbox, Liveness::default(), 1000, memory), asked)
    }

    fn left(memory: &Arc<Quota>) -> usize {
        Reservation::new(memory, Owner::Visitors(None)).left()
    }

    #[tokio::test]
    async fn a_message_owns_its_memory_and_leaves_no_buffer() {
        let memory = budget(VISITORS_SHARE << 20);
        let (io, asked) = io(message(200_000), &memory);
        let config = WebSocketConfig::default().read_buffer_size(SMALL);
        let mut codec = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;

        let Some(Ok(Message::Binary(heard))) = codec.next().await else { panic!("no message") };
        let heard = codec.get_mut().hand_on(heard);
        assert_eq!(heard.len(), 200_000);
        assert!(left(&memory) < (1 << 20) - 200_000);
        drop(heard);
        assert!(codec.next().now_or_never().is_none());

        assert_eq!(left(&memory), 1 << 20);
        // Otherwise the codec would read into the spare capacity of the buffer of the message.
        let last = *asked.lock().last().unwrap();
        assert!(last < SMALL, "{last}");
    }

    #[tokio::test]
    async fn reading_stops_when_the_memory_quota_is_exhausted() {
        let memory = budget(VISITORS_SHARE << 16);
        let (mut io, _) = io(message(200_000), &memory);

        let mut read = Vec::new();
        let error = io.read_to_end(&mut read).await.unwrap_err();

        assert_eq!(error.get_ref().unwrap().downcast_ref(), Some(&Stop::NoMemory));
        assert!(read.len() < 70_000, "{}", read.len());
        drop(io);
        assert_eq!(left(&memory), 1 << 16);
    }

    #[tokio::test]
    async fn an_incomplete_message_times_out() {
        let memory = budget(VISITORS_SHARE << 20);
        for withheld in [1, 199_000] {
            let mut bytes = message(200_000);
            bytes.truncate(bytes.len() - withheld);
            let (mut io, _) = io(Vec::new(), &memory);
            // 200 ms are left of the time limit of the message.
            let old = Duration::from_secs(if withheld == 1 { 33 } else { 10 });
            let begun = Instant::now().checked_sub(old).unwrap() + Duration::from_millis(200);
            io.incoming.take(&bytes, begun);

            let read = async { io.read_u8().await };
            let error = tokio::time::timeout(Duration::from_secs(5), read).await.expect("in time");

            let error = error.unwrap_err();
            assert_eq!(error.get_ref().unwrap().downcast_ref(), Some(&Stop::TooSlow));
        }
    }

    #[tokio::test]
    async fn time_without_a_read_does_not_count_as_slowness() {
        let memory = budget(VISITORS_SHARE << 20);
        let (mut io, _) = io(Vec::new(), &memory);
        let begun = Instant::now().checked_sub(Duration::from_mins(1)).unwrap();
        io.incoming.take(&message(200_000)[..1000], begun);

        // No read since then.
        io.ignored = Some(begun);

        let read = async { io.read_u8().await };
        assert!(tokio::time::timeout(Duration::from_millis(300), read).await.is_err());
    }
}
