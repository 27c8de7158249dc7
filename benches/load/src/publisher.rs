//! The publishers, each on its own connection. They write at a fixed rate, or as fast as their
//! messages are delivered.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::select;
use tokio::time::Instant;
use tokio::time::sleep_until;

use crate::audience::Tally;
use crate::histogram::Histogram;
use crate::marker::Mark;
use crate::process::Usage;
use crate::protocol;
use crate::target::Target;
use crate::websocket::Frame;
use crate::websocket::WebSocket;

/// How long no message may arrive before the run fails.
const STALLED: Duration = Duration::from_secs(10);

/// How long to wait for the last acknowledgements.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// State shared by all publishers of a run.
pub struct Course {
    /// The server.
    pub target: Arc<Target>,
    /// The delivery counts.
    pub tally: Arc<Tally>,
    /// When the next message is written.
    pub pace: Pace,
    /// Maximum number of messages that can be told apart.
    pub messages_max: u64,
    /// When the measurement begins.
    pub measured_at: Instant,
    /// When publishing ends.
    pub end: Instant,
    /// The number of messages written.
    pub written: Cell<u64>,
    /// The state at the start of the measurement.
    pub start: Cell<Option<Start>>,
}

/// When the next message is written.
#[derive(Clone, Copy)]
pub enum Pace {
    /// When fewer than this number of messages are in flight.
    Window(u64),
    /// At a fixed interval for each publisher.
    Every(Duration),
}

/// The state at the start of the measurement.
#[derive(Clone, Copy)]
pub struct Start {
    /// The number of the first measured message.
    pub number: u64,
    /// The time, in microseconds.
    pub at: u64,
    /// The server's resource usage.
    pub usage: Option<Usage>,
}

/// The outcomes of the writes.
#[derive(Default)]
pub struct Written {
    /// Time from when a message was written, or was due, to its acknowledgement.
    pub acknowledged: Histogram,
    /// The number of refused writes and failed connections.
    pub errors: u64,
    /// The last error.
    pub last_error: Option<String>,
}

/// A publisher.
pub struct Publisher {
    course: Rc<Course>,
    socket: WebSocket,
    written: Written,
    unanswered: u64,
}

impl Publisher {
    /// Writes until the course ends. With a rate, the first message is due after `offset`.
    pub async fn run(course: Rc<Course>, token: Arc<str>, offset: Duration) -> Written {
        let socket = match protocol::connect(&course.target, &token).await {
            Ok(socket) => socket,
            Err(error) => {
                return Written {
                    errors: 1,
                    last_error: Some(error.to_string()),
                    ..Written::default()
                };
            }
        };
        let mut publisher = Self { course, socket, written: Written::default(), unanswered: 0 };
        if let Err(error) = publisher.write(offset).await {
            publisher.written.errors += 1;
            publisher.written.last_error = Some(error.to_string());
        }
        publisher.written
    }

    async fn write(&mut self, offset: Duration) -> io::Result<()> {
        let course = Rc::clone(&self.course);
        let mut due = Instant::now() + offset;
        loop {
            let sent = match course.pace {
                Pace::Window(window) => {
                    self.room(window).await?;
                    Instant::now()
                }
                Pace::Every(gap) => {
                    self.answers_until(due).await?;
                    due += gap;
                    due - gap
                }
            };
            let number = course.written.get();
            if Instant::now() >= course.end || number >= course.messages_max {
                break;
            }
            course.written.set(number + 1);
            if course.start.get().is_none() && Instant::now() >= course.measured_at {
                self.begin(number);
            }
            let sent = course.target.at(sent.into_std());
            let frame = protocol::create_frame(&course.target, Mark { number, sent });
            self.socket.text(&frame).await?;
            self.unanswered += u64::from(protocol::acknowledges(&course.target));
        }
        let until = Instant::now() + LAST_ANSWERS;
        while self.unanswered > 0 && Instant::now() < until {
            select! {
                frame = self.socket.next() => self.take(frame?).await?,
                () = sleep_until(until) => {}
            }
        }
        Ok(())
    }

    /// Starts the measurement.
    fn begin(&mut self, number: u64) {
        let target = &self.course.target;
        self.course.tally.measured_from.store(number, Relaxed);
        self.written.acknowledged = Histogram::default();
        self.course.start.set(Some(Start { number, at: target.now(), usage: target.usage() }));
    }

    /// Waits until fewer than `window` messages are in flight.
    async fn room(&mut self, window: u64) -> io::Result<()> {
        let course = Rc::clone(&self.course);
        let until = Instant::now() + STALLED;
        while course.written.get() - course.tally.completed.load(Relaxed) >= window {
            select! {
                () = course.tally.wake.notified() => {}
                frame = self.socket.next() => self.take(frame?).await?,
                () = sleep_until(until) => {
                    return Err(io::Error::other("stalled: what was written does not arrive"));
                }
            }
        }
        Ok(())
    }

    async fn answers_until(&mut self, due: Instant) -> io::Result<()> {
        loop {
            select! {
                frame = self.socket.next() => self.take(frame?).await?,
                () = sleep_until(due) => return Ok(()),
            }
        }
    }

    /// Processes a frame from the server.
    async fn take(&mut self, frame: Frame) -> io::Result<()> {
        let message = match frame {
            Frame::Message(message) => message,
            Frame::Close(code) => return Err(protocol::closed(code)),
        };
        let frame = self.socket.bytes(message);
        if let Some(mark) = self.course.target.marker.find(frame) {
            let taken = self.course.target.now().saturating_sub(mark.sent);
            self.written.acknowledged.record(taken);
            self.unanswered = self.unanswered.saturating_sub(1);
        } else if protocol::refuses(frame) {
            self.written.errors += 1;
            self.written.last_error = Some(String::from_utf8_lossy(frame).into_owned());
            self.unanswered = self.unanswered.saturating_sub(1);
        } else {
            let frame = frame.to_vec();
            protocol::keep_alive(&mut self.socket, &frame).await?;
        }
        Ok(())
    }
}
