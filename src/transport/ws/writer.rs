//! Writes one connection while its socket is blocked, and waits for it: queued frames are written
//! together, and the close frame once, after them. `writer_pool` writes sockets that take frames.

use std::io;
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use tokio::time::timeout_at;

use crate::domain::delivery::{Batch, Closing, Outbox};
use crate::transport::minimum_rate::{MinimumRate, STALL_MAX};
use crate::transport::ws::coalesce;
use crate::transport::ws::coalesce::COALESCED_MAX;
use crate::transport::ws::encode;
use crate::transport::ws::liveness::Liveness;
use crate::transport::ws::write_half::TryWrite;

/// The writer of a blocked socket.
pub struct Writer<'a, W> {
    outbox: &'a Outbox,
    liveness: &'a Liveness,
    write_half: W,
    stall_max: Duration,
    rate: MinimumRate,
    /// Time limit for all writes once the connection is to be closed.
    last: Option<Instant>,
}

impl<'a, W: TryWrite> Writer<'a, W> {
    /// Creates the writer of a connection.
    pub const fn new(outbox: &'a Outbox, liveness: &'a Liveness, write_half: W) -> Self {
        Self::with_stall_max(outbox, liveness, write_half, STALL_MAX)
    }

    const fn with_stall_max(
        outbox: &'a Outbox,
        liveness: &'a Liveness,
        write_half: W,
        stall_max: Duration,
    ) -> Self {
        let rate = MinimumRate::new(stall_max);
        Self { outbox, liveness, write_half, stall_max, rate, last: None }
    }

    /// Writes these frames, then the send queue, until it is empty. Returns whether the close frame
    /// was written. Frames that are queued later wake no task: the caller has to check the queue
    /// again.
    ///
    /// # Errors
    /// Fails if the client did not take all frames.
    pub async fn write(&mut self, mut frames: Vec<Bytes>, mut is_last: bool) -> io::Result<bool> {
        loop {
            self.write_all(frames, is_last).await?;
            if is_last {
                return Ok(true);
            }
            (frames, is_last) = finish(self.outbox.drain(Waker::noop().clone()));
            if frames.is_empty() {
                return Ok(false);
            }
        }
    }

    /// Writes frames in chunks. Frames of later chunks stay in the send queue, which may discard
    /// them to free memory. The close frame is written in any case.
    async fn write_all(&mut self, mut frames: Vec<Bytes>, is_last: bool) -> io::Result<()> {
        let close_frame = if is_last { frames.pop() } else { None };
        self.outbox.begin(frames);
        while let Some(piece) = self.outbox.next_chunk(COALESCED_MAX) {
            self.write_frames(piece).await?;
        }
        match close_frame {
            Some(close_frame) => self.write_frames(vec![close_frame]).await,
            None => Ok(()),
        }
    }

    async fn write_frames(&mut self, mut frames: Vec<Bytes>) -> io::Result<()> {
        let mut scratch = Vec::new();
        while !frames.is_empty() {
            let (begun, until) = (Instant::now(), self.until());
            let mut waited = false;
            let written = loop {
                match coalesce::write_now(&self.write_half, &mut frames, &mut scratch)? {
                    0 => {}
                    written => break written,
                }
                waited = true;
                self.liveness.wait(true);
                timeout_at(until, self.write_half.writable()).await??;
            };
            self.liveness.wait(false);
            if waited && self.rate.note(begun.elapsed(), written) {
                self.liveness.note();
            }
        }
        Ok(())
    }

    /// Returns the time by which the next write has to make progress.
    fn until(&mut self) -> Instant {
        let now = Instant::now();
        if self.last.is_none() && self.outbox.is_closing() {
            self.last = Some(now + self.stall_max);
        }
        let until = now + self.rate.left();
        self.last.map_or(until, |last| last.min(until))
    }
}

/// Returns the frames to write, and whether they are the last. They end at the first close frame in
/// the batch (the echo of the close frame of the client, or one with a code). Without one, a close
/// frame is added if the connection is closing.
pub fn finish(batch: Batch) -> (Vec<Bytes>, bool) {
    let Batch { mut frames, closing } = batch;
    if let Some(end) = frames.iter().position(|frame| encode::is_close(frame)) {
        frames.truncate(end + 1);
        return (frames, true);
    }
    if let Some(closing) = closing {
        frames.push(close_frame(closing));
    }
    (frames, closing.is_some())
}

/// If the current task is panicking, closes its connection with an internal error code, which tells
/// the client that the fault is on the server.
pub fn close_after_panic(outbox: &Outbox) {
    if std::thread::panicking() {
        outbox.push(encode::close(Some(encode::INTERNAL_ERROR), ""));
        outbox.close(Closing::Done);
    }
}

fn close_frame(closing: Closing) -> Bytes {
    match closing {
        Closing::SlowConsumer => encode::close(Some(encode::TRY_AGAIN), encode::READS_SLOWLY),
        Closing::Restart => encode::close(Some(encode::RESTART), "restarting"),
        Closing::Done => encode::close(None, ""),
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use parking_lot::Mutex;
    use tokio::io::{AsyncReadExt, AsyncWrite, DuplexStream};

    use super::*;

    struct Half(Mutex<DuplexStream>);

    impl TryWrite for Half {
        fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
            let mut context = Context::from_waker(Waker::noop());
            match Pin::new(&mut *self.0.lock()).poll_write(&mut context, bytes) {
                Poll::Ready(written) => written,
                Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
            }
        }

        async fn writable(&self) -> io::Result<()> {
            tokio::time::sleep(Duration::from_millis(1)).await;
            Ok(())
        }
    }

    async fn write(outbox: &Outbox, far: DuplexStream, stall_max: Duration) -> io::Result<bool> {
        let (frames, is_last) = finish(outbox.drain(Waker::noop().clone()));
        let liveness = Liveness::default();
        Writer::with_stall_max(outbox, &liveness, Half(Mutex::new(far)), stall_max)
            .write(frames, is_last)
            .await
    }

    async fn written(outbox: &Outbox) -> Vec<u8> {
        let (mut near, far) = tokio::io::duplex(1 << 20);
        assert!(write(outbox, far, STALL_MAX).await.unwrap());
        let mut bytes = Vec::new();
        near.read_to_end(&mut bytes).await.unwrap();
        bytes
    }

    #[tokio::test]
    async fn queued_frames_precede_the_close_frame() {
        let outbox = Outbox::new(1000);
        outbox.push(Bytes::from_static(b"ab"));
        outbox.push(Bytes::from_static(b"cd"));
        outbox.close(Closing::Done);

        assert_eq!(written(&outbox).await, [b'a', b'b', b'c', b'd', 0x88, 0]);
    }

    #[tokio::test]
    async fn large_and_small_frames_keep_their_order() {
        let outbox = Outbox::new(1 << 20);
        let large = vec![b'x'; COALESCED_MAX];
        outbox.push(Bytes::from_static(b"a"));
        outbox.push(Bytes::from(large.clone()));
        outbox.push(Bytes::from_static(b"b"));
        outbox.close(Closing::Done);

        let expected = [b"a".as_slice(), &large, b"b", &[0x88, 0]].concat();
        assert_eq!(written(&outbox).await, expected);
    }

    #[tokio::test]
    async fn no_frame_follows_a_queued_close_frame() {
        let outbox = Outbox::new(1000);
        let echo = encode::close(Some(1000), "");
        outbox.push(echo.clone());
        outbox.push(Bytes::from_static(b"late"));
        outbox.close(Closing::Done);

        assert_eq!(written(&outbox).await, echo);
    }

    #[tokio::test]
    async fn a_close_frame_has_the_reason_of_the_server() {
        let slow = Outbox::new(1000);
        slow.close(Closing::SlowConsumer);
        let restart = Outbox::new(1000);
        restart.close(Closing::Restart);

        assert_eq!(written(&slow).await, encode::close(Some(1013), "reading too slowly"));
        assert_eq!(written(&restart).await, encode::close(Some(1012), "restarting"));
    }

    #[tokio::test]
    async fn a_client_that_reads_nothing_is_disconnected() {
        let outbox = Outbox::new(1000);
        let (near, far) = tokio::io::duplex(4);
        outbox.push(Bytes::from_static(b"more than fits"));

        assert!(write(&outbox, far, Duration::from_millis(100)).await.is_err());

        drop(near);
    }

    #[tokio::test]
    async fn a_slow_client_is_disconnected() {
        let outbox = Outbox::new(1000);
        let (mut near, far) = tokio::io::duplex(1);
        outbox.push(Bytes::from(vec![b'x'; 400]));
        let dripping = tokio::spawn(async move {
            while near.read_u8().await.is_ok() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });

        assert!(write(&outbox, far, Duration::from_millis(500)).await.is_err());

        dripping.await.unwrap();
    }

    #[tokio::test]
    async fn the_rest_has_a_deadline_once_a_close_is_queued() {
        let outbox = Outbox::new(1 << 20);
        let (mut near, far) = tokio::io::duplex(64 * 1024);
        outbox.push(Bytes::from(vec![b'x'; 1 << 20]));
        outbox.close(Closing::SlowConsumer);
        let taking = tokio::spawn(async move {
            let mut taken = vec![0; 64 * 1024];
            while near.read_exact(&mut taken).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(400)).await;
            }
        });

        assert!(write(&outbox, far, Duration::from_secs(1)).await.is_err());

        taking.await.unwrap();
    }
}
