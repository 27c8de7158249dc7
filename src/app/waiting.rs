//! How long an HTTP connection waits for its client: for a request, for the head of one, and until a
//! response is taken; and how much memory heads may take meanwhile.

use std::io;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::time::Instant;
use tokio::time::Sleep;

use crate::app::exchanges::Exchanges;
use crate::app::linger::Linger;
use crate::domain::Error;
use crate::domain::memory::FREE;
use crate::domain::memory::Reservation;
use crate::transport::minimum_rate::MinimumRate;

/// How an HTTP/2 connection begins.
const HTTP_2: &[u8] = b"PRI * HTTP/2.0\r\n";

/// How long a connection may wait for what comes from its client.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// For the head of a request, from its first byte on; for that of the first one from the
    /// beginning.
    pub head: Duration,
    /// For the next request.
    pub idle: Duration,
    /// For a client that takes nothing of a response.
    pub stall: Duration,
}

/// The wait for a client: for its request, and until it has taken the response.
pub(super) struct Waiting {
    patience: Patience,
    deadline: Pin<Box<Sleep>>,
    /// Whether some of the head is there, or should be.
    is_head: bool,
    /// How many requests had been answered when the wait began.
    answered: u32,
    /// Whether the client took something since.
    has_taken: bool,
    /// Whether anything was read.
    has_heard: bool,
    stall: Stall,
    /// The end of the connection, once it has begun.
    linger: Option<Linger>,
    /// How much of a head is there.
    head_bytes: usize,
    /// What is reserved for the largest head so far: the server keeps the buffer of it.
    memory: Reservation,
}

/// The wait for a client to take what is written.
struct Stall {
    rate: MinimumRate,
    /// Since when the client has been waited for, and until when it is; most never are.
    waited_for: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Waiting {
    /// Returns the wait for a first request.
    pub(super) fn new(patience: Patience, memory: Reservation) -> Self {
        Self {
            deadline: Box::pin(tokio::time::sleep(patience.head)),
            patience,
            is_head: true,
            answered: 0,
            has_taken: false,
            has_heard: false,
            stall: Stall { rate: MinimumRate::new(patience.stall), waited_for: None },
            linger: None,
            head_bytes: 0,
            memory,
        }
    }

    /// Waits until the first request is overdue.
    pub(super) async fn overdue(&mut self) {
        self.deadline.as_mut().await;
    }

    /// Returns what a write came to, or an error if the client has taken too little for too long.
    pub(super) fn taken(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) => {
                self.has_taken |= bytes > 0;
                self.stall.end(bytes);
                Poll::Ready(Ok(bytes))
            }
            Poll::Pending => self.stall.poll_over(context).map(Err),
            failed @ Poll::Ready(Err(_)) => failed,
        }
    }

    /// Returns whether the client has let pass what it had of time.
    pub(super) fn is_over(&mut self, exchanges: &Exchanges, context: &mut Context<'_>) -> bool {
        let answered = exchanges.answered();
        if exchanges.running() > 0 {
            return false;
        }
        if self.answered != answered {
            self.answered = answered;
            self.is_head = false;
            self.head_bytes = 0;
            self.begin(self.patience.idle);
        } else if !self.is_head && self.has_taken {
            // It is reading the answer still.
            self.begin(self.patience.idle);
        }
        self.deadline.as_mut().poll(context).is_ready()
    }

    /// Notes that something was read.
    ///
    /// # Errors
    /// What the memory of a head is refused with.
    pub(super) fn hear(&mut self, bytes: &[u8], exchanges: &Exchanges) -> Result<(), Error> {
        if !std::mem::replace(&mut self.has_heard, true) && bytes.starts_with(HTTP_2) {
            exchanges.note_http_2();
        }
        exchanges.hear();
        if exchanges.running() > 0 {
            self.head_bytes = 0;
            return Ok(());
        }
        if !self.is_head {
            self.is_head = true;
            self.begin(self.patience.head);
        }
        self.head_bytes += bytes.len();
        if self.head_bytes > FREE { self.memory.grow(2 * self.head_bytes) } else { Ok(()) }
    }

    /// Returns whether the connection is being closed.
    pub(super) const fn is_lingering(&self) -> bool {
        self.linger.is_some()
    }

    /// Waits, after the end of the writing side, until the client has had time to read the last response.
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
        self.has_taken = false;
        self.deadline.as_mut().reset(Instant::now() + patience);
    }
}

impl Stall {
    /// Returns an error once the client has been waited for too long.
    fn poll_over(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let left = self.rate.left();
        let (_, until) = self.waited_for.get_or_insert_with(|| {
            let now = Instant::now();
            (now, Box::pin(tokio::time::sleep_until(now + left)))
        });
        until.as_mut().poll(context).map(|()| io::ErrorKind::TimedOut.into())
    }

    /// Notes that the client has taken so many bytes.
    fn end(&mut self, bytes: usize) {
        if let Some((since, _)) = self.waited_for.take() {
            self.rate.note(since.elapsed(), bytes);
        }
    }
}
