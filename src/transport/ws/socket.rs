//! Lifecycle of a WebSocket connection: one reader, one writer at a time, and a close that loses no
//! queued frame.
//!
//! Handles frames and close codes only. The payload is interpreted by the protocol that reads it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::task::TaskTracker;

use crate::domain::delivery::{Closing, Outbox};
use crate::domain::quota::{Owner, Quota};
use crate::transport::ws::codec_io::{CodecIo, Stop};
use crate::transport::ws::encode;
use crate::transport::ws::liveness::Liveness;
use crate::transport::ws::write_half::WriteHalf;
use crate::transport::ws::writer_pool::{WriterHandle, WriterPool};

/// Size of the read buffer, and so the largest single read. The buffer is reused while messages are
/// short. A longer message, such as the first one with a token, keeps the buffer for itself.
/// Because the buffer is smaller than a kilobyte, its replacement is then sized for the next frame.
const READ_BUFFER: usize = 512;
/// Time for the client to close its side after the server has closed its own.
const LINGER: Duration = Duration::from_secs(2);
/// Read size while the remaining input is drained and discarded.
const SCRATCH: usize = 4096;

/// An open connection.
pub struct Socket {
    /// Boxed, since a future keeps two copies of a value that is moved within it.
    reader: Box<WebSocketStream<CodecIo<Read>>>,
    outbox: Arc<Outbox>,
    liveness: Liveness,
    writer: WriterHandle,
}

/// Limits of one connection.
pub struct SocketLimits {
    /// The largest message a client may send; a larger one closes the connection.
    pub frame_bytes_max: usize,
    /// Maximum number of control frames and fragments that are read per second.
    pub parts_per_second: u32,
    /// Capacity of the send queue. When it is exceeded, the connection is closed.
    pub outbox_bytes_max: usize,
    /// The quota that incoming messages reserve memory from.
    pub memory: Arc<Quota>,
}

/// The reading side.
type Read = Box<dyn AsyncRead + Send + Unpin>;

/// An event read from a socket.
#[derive(Debug)]
pub enum SocketEvent {
    /// A complete message.
    Frame(Bytes),
    /// Any other frame: evidence that the client is alive.
    Activity,
    /// A pong frame.
    Pong,
    /// The connection was ended by either side.
    Closed,
}

impl Socket {
    /// Takes over an upgraded connection: reads the stream, and registers the write half with the
    /// writer pool.
    pub async fn open(
        stream: impl AsyncRead + Send + Unpin + 'static,
        write_half: WriteHalf,
        pool: &WriterPool,
        limits: &SocketLimits,
        tasks: &TaskTracker,
    ) -> Self {
        let (outbox, liveness) = (Outbox::new(limits.outbox_bytes_max), Liveness::default());
        let writer = pool.add(write_half, &outbox, &liveness, tasks);
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_message_size(Some(limits.frame_bytes_max))
            .max_frame_size(Some(limits.frame_bytes_max));
        let read: Read = Box::new(stream);
        let parts = limits.parts_per_second;
        let io = CodecIo::new(read, Arc::clone(&outbox), liveness.clone(), parts, &limits.memory);
        let reader = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
        Self { reader: Box::new(reader), outbox, liveness, writer }
    }

    /// Returns the send queue.
    pub const fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    /// Returns whether bytes were received or sent since the last call, and resets that flag.
    pub fn has_lived(&self) -> bool {
        self.liveness.take()
    }

    /// Sets the maximum message size. It is enforced at the header, before the payload arrives.
    pub fn bound_messages(&mut self, bytes_max: usize) {
        self.reader.get_mut().bound_messages(bytes_max);
    }

    /// Charges the memory of messages to an owner.
    pub fn belong_to(&mut self, owner: Owner) {
        self.reader.get_mut().belong_to(owner);
    }

    /// Waits for the next event. Without `reading`, it waits for the end only. Cancel safe.
    pub async fn next(&mut self, reading: bool) -> SocketEvent {
        if !reading {
            self.reader.get_mut().ignore();
        }
        tokio::select! {
            biased;
            () = self.writer.end() => SocketEvent::Closed,
            message = self.reader.next(), if reading => match message {
                Some(Ok(Message::Text(text))) => self.heard(Bytes::from(text)),
                Some(Ok(Message::Binary(bytes))) => self.heard(bytes),
                Some(Ok(Message::Pong(_))) => SocketEvent::Pong,
                // After a close frame, the codec writes its echo during the next read.
                Some(Ok(_)) => SocketEvent::Activity,
                Some(Err(error)) => {
                    if let Some((code, reason)) = code(&error) {
                        self.outbox.push(encode::close(Some(code), reason));
                    }
                    SocketEvent::Closed
                }
                None => SocketEvent::Closed,
            },
        }
    }

    fn heard(&mut self, message: Bytes) -> SocketEvent {
        SocketEvent::Frame(self.reader.get_mut().hand_on(message))
    }

    /// Ends the connection: writes the queued frames and the close frame, unless it was sent
    /// already, waits briefly for the close frame of the client, and closes the socket.
    ///
    /// Closing a socket that has unread input resets the connection, and a reset can discard data
    /// that the client has not read yet. Therefore this reads until the client has closed its side
    /// as well.
    pub async fn finish(self) {
        self.finish_within(LINGER).await;
    }

    async fn finish_within(mut self, linger: Duration) {
        self.outbox.close(Closing::Done);
        self.writer.end().await;
        let Some(mut write_half) = self.writer.take_write_half() else { return };
        let ending = async {
            while let Some(Ok(_)) = self.reader.next().await {}
            write_half.shutdown().await?;
            let mut read = self.reader.into_inner().into_read_half();
            let mut scratch = vec![0; SCRATCH];
            while read.read(&mut scratch).await? > 0 {}
            std::io::Result::Ok(())
        };
        // A client that is gone or does not close in time is disconnected; nothing is left to do.
        let _ = tokio::time::timeout(linger, ending).await;
    }
}

/// Returns the close code and reason for an error, or `None` if the client is already gone.
fn code(error: &Error) -> Option<(u16, &'static str)> {
    match error {
        Error::Capacity(_) => Some((encode::TOO_BIG, "")),
        Error::Io(error) => Some(match error.get_ref()?.downcast_ref::<Stop>()? {
            Stop::TooLarge => (encode::TOO_BIG, ""),
            Stop::TooSlow => (encode::TRY_AGAIN, encode::SENDS_SLOWLY),
            Stop::NoMemory => (encode::TRY_AGAIN, encode::SENDS_MUCH),
        }),
        Error::Utf8(_) => Some((encode::INVALID_TEXT, "")),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => None,
        Error::Protocol(_) | Error::AttackAttempt => Some((encode::PROTOCOL_ERROR, "")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixStream;

    use crate::transport::ws::fuzz::connected;

    use super::*;

    const MASK: [u8; 4] = [1, 2, 3, 4];

    /// Returns a masked frame, as a client sends it, with at most 125 bytes of payload.
    fn masked(head: u8, payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).unwrap();
        let payload = payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask);
        [head, 0x80 | length].into_iter().chain(MASK).chain(payload).collect()
    }

    async fn opened(frame_bytes_max: usize) -> (Socket, UnixStream, TaskTracker) {
        let tasks = TaskTracker::new();
        let pool = WriterPool::start(1).unwrap();
        let (near, socket) = connected(frame_bytes_max, &pool, &tasks).await;
        (socket, near, tasks)
    }

    /// Sends bytes, reads the socket to its end, and returns the messages received and the bytes
    /// sent back.
    async fn exchange(sent: &[u8]) -> (Vec<Bytes>, Vec<u8>) {
        let (mut socket, mut near, tasks) = opened(100).await;
        near.write_all(sent).await.unwrap();
        let mut messages = Vec::new();
        loop {
            match socket.next(true).await {
                SocketEvent::Frame(message) => messages.push(message),
                SocketEvent::Activity | SocketEvent::Pong => {}
                SocketEvent::Closed => break,
            }
        }
        let finish = tokio::spawn(socket.finish());
        let mut answer = [0; 64];
        let mut received = Vec::new();
        while let Ok(length @ 1..) = near.read(&mut answer).await {
            received.extend_from_slice(&answer[..length]);
        }
        drop(near);
        finish.await.unwrap();
        tasks.close();
        tasks.wait().await;
        (messages, received)
    }

    #[tokio::test]
    async fn messages_are_received_and_a_close_is_echoed() {
        let bye = masked(0x88, &[0x03, 0xe8]);
        let sent = [masked(0x81, b"one"), masked(0x82, b"two"), bye].concat();

        let (messages, received) = exchange(&sent).await;

        assert_eq!(messages, ["one", "two"]);
        assert_eq!(received, [0x88, 2, 0x03, 0xe8]);
    }

    #[tokio::test]
    async fn a_fragmented_message_is_reassembled() {
        let parts = [masked(0x01, b"on"), masked(0x80, b"e"), masked(0x88, b"")].concat();

        let (messages, received) = exchange(&parts).await;

        assert_eq!(messages, ["one"]);
        assert_eq!(received, [0x88, 0]);
    }

    #[tokio::test]
    async fn a_ping_is_answered_with_a_pong() {
        let sent = [masked(0x89, b"hi"), masked(0x88, b"")].concat();

        let (_, received) = exchange(&sent).await;

        assert_eq!(received, [0x8a, 2, b'h', b'i', 0x88, 0]);
    }

    #[tokio::test]
    async fn a_protocol_violation_closes_with_its_code() {
        for (sent, code) in [
            (masked(0x81, &[0xff, 0xfe]), encode::INVALID_TEXT),
            (masked(0x83, b""), encode::PROTOCOL_ERROR),
            (masked(0xc1, b""), encode::PROTOCOL_ERROR),
            (masked(0x80, b""), encode::PROTOCOL_ERROR),
            (masked(0x09, b""), encode::PROTOCOL_ERROR),
            (masked(0x88, b"x"), encode::PROTOCOL_ERROR),
            (vec![0x81, 1, b'x'], encode::PROTOCOL_ERROR),
            (masked(0x81, &[b'x'; 101]), encode::TOO_BIG),
            ([masked(0x01, &[b'x'; 60]), masked(0x80, &[b'x'; 60])].concat(), encode::TOO_BIG),
        ] {
            let (messages, received) = exchange(&sent).await;

            assert!(messages.is_empty());
            assert_eq!(received, encode::close(Some(code), ""), "{sent:?}");
        }
    }

    #[tokio::test]
    async fn an_oversized_frame_is_rejected_at_its_header() {
        let endless = [0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4];

        let (_, received) = exchange(&endless).await;

        assert_eq!(received, encode::close(Some(encode::TOO_BIG), ""));
    }

    #[tokio::test]
    async fn a_disconnect_ends_the_socket() {
        let (mut socket, near, tasks) = opened(100).await;
        drop(near);

        assert!(matches!(socket.next(true).await, SocketEvent::Closed));

        socket.finish().await;
        tasks.close();
        tasks.wait().await;
    }

    #[tokio::test]
    async fn a_close_by_the_server_ends_both_sides() {
        let (mut socket, mut near, tasks) = opened(100).await;
        socket.outbox().push(Bytes::from_static(b"last words"));
        socket.outbox().close(Closing::Restart);

        assert!(matches!(socket.next(true).await, SocketEvent::Closed));

        let finish = tokio::spawn(socket.finish());
        let mut received = vec![0; 10 + encode::close(Some(encode::RESTART), "restarting").len()];
        near.read_exact(&mut received).await.unwrap();
        assert!(received.starts_with(b"last words"));
        near.write_all(&masked(0x88, &[0x03, 0xf4])).await.unwrap();
        assert_eq!(near.read(&mut received).await.unwrap(), 0);
        drop(near);
        finish.await.unwrap();
        tasks.close();
        tasks.wait().await;
    }

    #[tokio::test]
    async fn a_panic_sends_an_internal_error_close_frame() {
        let (socket, mut near, tasks) = opened(100).await;

        let panicked = tokio::spawn(async move {
            socket.outbox().push(Bytes::from_static(b"before"));
            panic!("for the test");
        });
        assert!(panicked.await.is_err());

        let mut received = Vec::new();
        near.read_to_end(&mut received).await.unwrap();
        let close = encode::close(Some(encode::INTERNAL_ERROR), "");
        assert_eq!(received, [b"before".as_slice(), &close].concat());
        tasks.close();
        tasks.wait().await;
    }

    #[tokio::test]
    async fn a_client_that_never_closes_is_disconnected() {
        let (socket, near, tasks) = opened(100).await;

        socket.finish_within(Duration::from_millis(50)).await;

        tasks.close();
        tasks.wait().await;
        drop(near);
    }
}
