//! Lingering close, for a client that may still be sending: reads and discards until the client
//! closes its side or has had time to read the response.
//!
//! Closing a connection with unread bytes resets it, and a reset discards the response before the
//! client has read it.

use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, Sleep};

/// Maximum bytes to read.
const BYTES_MAX: usize = 32 << 20;
/// Maximum total time.
const TOTAL_MAX: Duration = Duration::from_secs(10);
/// Maximum pause of the client.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// Bytes per read.
const CHUNK: usize = 16 << 10;

/// A connection that is being closed.
#[derive(Debug)]
pub(super) struct Linger {
    /// Whether the client is sending, as far as the server knows.
    is_sending: bool,
    bytes: usize,
    end: Instant,
}

impl Linger {
    /// Starts a lingering close.
    pub(super) fn begin(is_sending: bool, mut deadline: Pin<&mut Sleep>) -> Self {
        let now = Instant::now();
        deadline.as_mut().reset(now + PAUSE_MAX);
        Self { is_sending, bytes: 0, end: now + TOTAL_MAX }
    }

    /// Reads until the connection may be closed.
    pub(super) fn poll(
        &mut self,
        mut reader: Pin<&mut impl AsyncRead>,
        mut deadline: Pin<&mut Sleep>,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        let mut chunk = [MaybeUninit::uninit(); CHUNK];
        loop {
            let mut buffer = ReadBuf::uninit(&mut chunk);
            match reader.as_mut().poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    self.is_sending = true;
                    self.bytes += buffer.filled().len();
                    if self.bytes > BYTES_MAX {
                        return Poll::Ready(());
                    }
                    deadline.as_mut().reset(self.end.min(Instant::now() + PAUSE_MAX));
                }
                Poll::Pending if self.is_sending => return deadline.as_mut().poll(context),
                _ => return Poll::Ready(()),
            }
        }
    }
}
