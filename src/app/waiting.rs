//! The timeouts of an HTTP connection: for a request, for the head of one, and for an unread
//! response; and the memory budget of request heads.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::time::{Instant, Sleep};

use crate::app::exchanges::Exchanges;
use crate::app::linger::Linger;
use crate::domain::Error;
use crate::domain::memory::{FREE, Reservation};
use crate::transport::minimum_rate::MinimumRate;

/// The start of an HTTP/2 connection preface.
const HTTP_2: &[u8] = b"PRI * HTTP/2.0\r\n";

/// Timeouts for input from the client.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// For the head of a request, from its first byte. For the first request it runs from the start
    /// of the connection.
    pub head: Duration,
    /// For the next request.
    pub idle: Duration,
    /// For a client that accepts no byte of a response.
    pub stall: Duration,
}

/// The wait for a client: for its request, and for it to read the response.
pub(super) struct Waiting {
    timeouts: Timeouts,
    deadline: Pin<Box<Sleep>>,
    /// Whether part of a head has arrived, or a first request is due.
    is_head: bool,
    /// Number of answered requests when the wait began.
    answered: u32,
    /// Whether the client has accepted bytes since the wait began.
    has_accepted: bool,
    /// Whether anything was read.
    has_received: bool,
    stall: Stall,
    /// The lingering close, once it has begun.
    linger: Option<Linger>,
    /// Bytes of the head received.
    head_bytes: usize,
    /// Reservation for the largest head so far, since the server keeps its buffer.
    memory: Reservation,
}

/// The wait for a client to accept written bytes.
struct Stall {
    rate: MinimumRate,
    /// Start and deadline of the current wait. Most connections never wait.
    waited_for: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Waiting {
    /// Starts the wait for the first request.
    pub(super) fn new(timeouts: Timeouts, memory: Reservation) -> Self {
        Self {
            deadline: Box::pin(tokio::time::sleep(timeouts.head)),
            timeouts,
            is_head: true,
            answered: 0,
            has_accepted: false,
            has_received: false,
            stall: Stall { rate: MinimumRate::new(timeouts.stall), waited_for: None },
            linger: None,
            head_bytes: 0,
            memory,
        }
    }

    /// Waits until the first request is overdue.
    pub(super) async fn overdue(&mut self) {
        self.deadline.as_mut().await;
    }

    /// Returns the result of a write, or an error if the client has been reading too slowly.
    pub(super) fn track_write(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) => {
                self.has_accepted |= bytes > 0;
                self.stall.end(bytes);
                Poll::Ready(Ok(bytes))
            }
            Poll::Pending => self.stall.poll_over(context).map(Err),
            failed @ Poll::Ready(Err(_)) => failed,
        }
    }

    /// Returns whether the client has exceeded its timeout.
    pub(super) fn is_over(&mut self, exchanges: &Exchanges, context: &mut Context<'_>) -> bool {
        let answered = exchanges.answered();
        if exchanges.running() > 0 {
            return false;
        }
        if self.answered != answered {
            self.answered = answered;
            self.is_head = false;
            self.head_bytes = 0;
            self.begin(self.timeouts.idle);
        } else if !self.is_head && self.has_accepted {
            // The client is still reading the response.
            self.begin(self.timeouts.idle);
        }
        self.deadline.as_mut().poll(context).is_ready()
    }

    /// Records bytes read.
    ///
    /// # Errors
    /// When the memory budget of heads is exceeded.
    pub(super) fn receive(&mut self, bytes: &[u8], exchanges: &Exchanges) -> Result<(), Error> {
        if !std::mem::replace(&mut self.has_received, true) && bytes.starts_with(HTTP_2) {
            exchanges.note_http_2();
        }
        exchanges.record_read();
        if exchanges.running() > 0 {
            self.head_bytes = 0;
            return Ok(());
        }
        if !self.is_head {
            self.is_head = true;
            self.begin(self.timeouts.head);
        }
        self.head_bytes += bytes.len();
        if self.head_bytes > FREE { self.memory.grow(2 * self.head_bytes) } else { Ok(()) }
    }

    /// Returns whether the connection is being closed.
    pub(super) const fn is_lingering(&self) -> bool {
        self.linger.is_some()
    }

    /// Gives the client time to read the last response after the write half is shut down.
    pub(super) fn poll_linger(
        &mut self,
        reader: Pin<&mut impl AsyncRead>,
        exchanges: &Exchanges,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        let is_within_head = self.is_head && self.answered == exchanges.answered();
        let is_sending = exchanges.has_unread() || is_within_head;
        let mut deadline = self.deadline.as_mut();
        let linger =
            self.linger.get_or_insert_with(|| Linger::begin(is_sending, deadline.as_mut()));
        linger.poll(reader, deadline, context)
    }

    fn begin(&mut self, patience: Duration) {
        self.has_accepted = false;
        self.deadline.as_mut().reset(Instant::now() + patience);
    }
}

impl Stall {
    /// Returns an error once the client has exceeded its timeout.
    fn poll_over(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let left = self.rate.left();
        let (_, until) = self.waited_for.get_or_insert_with(|| {
            let now = Instant::now();
            (now, Box::pin(tokio::time::sleep_until(now + left)))
        });
        until.as_mut().poll(context).map(|()| io::ErrorKind::TimedOut.into())
    }

    /// Records that the client accepted bytes.
    fn end(&mut self, bytes: usize) {
        if let Some((since, _)) = self.waited_for.take() {
            self.rate.note(since.elapsed(), bytes);
        }
    }
}
