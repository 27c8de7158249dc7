//! The subscribers. Dedicated threads connect them, read their sockets and check each delivery.

use std::cell::Cell;
use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::thread::JoinHandle;
use std::time::Duration;
use std::time::Instant;

use tokio::runtime::Builder;
use tokio::sync::Notify;
use tokio::task::LocalSet;
use tokio::task::spawn_local;
use tokio::time::sleep;

use crate::Outcome;
use crate::arguments::Subscribers;
use crate::histogram::Histogram;
use crate::protocol;
use crate::seats::Seats;
use crate::target::Target;
use crate::websocket::Frame;
use crate::websocket::WebSocket;

/// Time limit for connecting all subscribers.
const CONNECT_MAX: Duration = Duration::from_mins(2);

/// How often threads poll for state changes that have no notification.
const LOOK: Duration = Duration::from_millis(10);

/// Delivery counts, shared by all threads.
#[derive(Default)]
pub struct Tally {
    /// The number of subscribers that each message has reached.
    reached: Vec<AtomicU32>,
    /// The number of the first measured message.
    pub measured_from: AtomicU64,
    /// The number of messages that have reached all subscribers.
    pub completed: AtomicU64,
    /// First deliveries of messages to a subscriber, measured or not.
    pub delivered: AtomicU64,
    /// The number of connected and subscribed clients.
    pub connected: AtomicUsize,
    /// The number of those whose filter matches the messages.
    pub hearing: AtomicUsize,
    /// The number of subscribers that failed to connect.
    pub refused: AtomicUsize,
    /// Notified when a message has reached all subscribers.
    pub wake: Notify,
    stop: AtomicBool,
}

/// The deliveries to the subscribers of one thread, or to all.
#[derive(Default)]
pub struct Heard {
    /// Time from writing a message to reading it at a subscriber.
    pub latency: Histogram,
    /// The number of measured deliveries.
    pub measured: u64,
    /// Duplicate deliveries of a message to a subscriber.
    pub doubled: u64,
    /// Messages that arrived after one that was written later.
    pub disordered: u64,
    /// Messages delivered to a subscriber whose filter does not match them.
    pub unexpected: u64,
    /// The number of connections that ended early.
    pub lost_connections: u64,
    /// When the last measured message arrived.
    pub last: u64,
    /// The total size of the measured frames, in bytes.
    pub bytes: u64,
    /// The last error.
    pub last_error: Option<String>,
}

/// All subscribers.
pub struct Audience {
    /// Their shared delivery counts.
    pub tally: Arc<Tally>,
    /// The time that connecting took.
    pub connecting: Duration,
    threads: Vec<JoinHandle<io::Result<Heard>>>,
}

impl Audience {
    /// Connects all subscribers, and returns once each has subscribed or failed. At most
    /// `messages_max` messages can be told apart.
    pub async fn gather(
        target: &Arc<Target>,
        seats: &Arc<Seats>,
        asked: &Subscribers,
        messages_max: usize,
    ) -> Self {
        let tally = Arc::new(Tally {
            reached: (0..messages_max).map(|_| AtomicU32::new(0)).collect(),
            measured_from: AtomicU64::new(u64::MAX),
            ..Tally::default()
        });
        let began = Instant::now();
        let threads = (0..asked.threads)
            .map(|thread| {
                let row = Row {
                    target: Arc::clone(target),
                    seats: Arc::clone(seats),
                    tally: Arc::clone(&tally),
                    next: Cell::new(thread),
                    step: asked.threads,
                    end: asked.subs,
                    heard: RefCell::default(),
                };
                let connecting = asked.connecting;
                thread::spawn(move || row.listen(connecting))
            })
            .collect();
        while tally.connected.load(Relaxed) + tally.refused.load(Relaxed) < asked.subs
            && began.elapsed() < CONNECT_MAX
        {
            sleep(LOOK).await;
        }
        Self { tally, connecting: began.elapsed(), threads }
    }

    /// Closes all connections and returns their deliveries.
    pub fn dismiss(self) -> Outcome<Heard> {
        self.tally.stop.store(true, Relaxed);
        let mut all = Heard::default();
        for thread in self.threads {
            let heard = thread.join().map_err(|_| "a thread of subscribers has panicked")??;
            all.latency.merge(&heard.latency);
            all.measured += heard.measured;
            all.doubled += heard.doubled;
            all.disordered += heard.disordered;
            all.unexpected += heard.unexpected;
            all.lost_connections += heard.lost_connections;
            all.last = all.last.max(heard.last);
            all.bytes += heard.bytes;
            all.last_error = heard.last_error.or(all.last_error);
        }
        Ok(all)
    }
}

/// The subscribers of one thread.
struct Row {
    target: Arc<Target>,
    seats: Arc<Seats>,
    tally: Arc<Tally>,
    /// The next seat to connect. Every `step`th one up to `end` belongs to this thread.
    next: Cell<usize>,
    step: usize,
    end: usize,
    heard: RefCell<Heard>,
}

impl Row {
    fn listen(self, connecting: usize) -> io::Result<Heard> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let row = Rc::new(self);
        runtime.block_on(LocalSet::new().run_until(async {
            for _ in 0..connecting {
                spawn_local(Rc::clone(&row).seat());
            }
            while !row.tally.stop.load(Relaxed) {
                sleep(LOOK).await;
            }
        }));
        Ok(row.heard.take())
    }

    /// Connects one subscriber after another, until all seats of the thread are connected.
    async fn seat(self: Rc<Self>) {
        while self.next.get() < self.end {
            let seat = self.seats.seat(self.next.get());
            self.next.set(self.next.get() + self.step);
            let connected = async {
                let mut socket = protocol::connect(&self.target, &seat.token).await?;
                protocol::subscribe(&self.target, &mut socket, seat.filter.as_ref()).await?;
                io::Result::Ok(socket)
            };
            match connected.await {
                Ok(socket) => {
                    self.tally.hearing.fetch_add(usize::from(seat.is_told), Relaxed);
                    self.tally.connected.fetch_add(1, Relaxed);
                    spawn_local(Rc::clone(&self).read(socket, seat.is_told));
                }
                Err(error) => {
                    self.heard.borrow_mut().last_error = Some(error.to_string());
                    self.tally.refused.fetch_add(1, Relaxed);
                }
            }
        }
    }

    /// Reads until the connection closes.
    async fn read(self: Rc<Self>, mut socket: WebSocket, told: bool) {
        let mut seen = Seen::default();
        let ended = loop {
            match socket.next().await {
                Ok(Frame::Close(code)) => break protocol::closed(code),
                Err(error) => break error,
                Ok(Frame::Message(message)) => {
                    let frame = socket.bytes(message.clone());
                    if self.take(frame, &mut seen, told) {
                        continue;
                    }
                    let frame = frame.to_vec();
                    if let Err(error) = protocol::keep_alive(&mut socket, &frame).await {
                        break error;
                    }
                }
            }
        };
        if !self.tally.stop.load(Relaxed) {
            let mut heard = self.heard.borrow_mut();
            heard.lost_connections += 1;
            heard.last_error = Some(ended.to_string());
        }
    }

    /// Records a delivery; returns false for a frame that holds no message of this run.
    fn take(&self, frame: &[u8], seen: &mut Seen, told: bool) -> bool {
        let Some(mark) = self.target.marker.find(frame) else { return false };
        let now = self.target.now();
        let mut heard = self.heard.borrow_mut();
        if !told {
            heard.unexpected += 1;
            return true;
        }
        if !seen.first_time(mark.number) {
            heard.doubled += 1;
            return true;
        }
        heard.disordered += u64::from(mark.number < seen.last);
        seen.last = mark.number;
        if mark.number >= self.tally.measured_from.load(Relaxed) {
            heard.latency.record(now.saturating_sub(mark.sent));
            heard.measured += 1;
            heard.bytes += frame.len() as u64;
            heard.last = now;
        }
        self.tally.delivered.fetch_add(1, Relaxed);
        let reached = place(mark.number).and_then(|number| self.tally.reached.get(number));
        let reached = reached.map_or(0, |reached| reached.fetch_add(1, Relaxed) + 1);
        if place(reached.into()) == Some(self.tally.hearing.load(Relaxed)) {
            self.tally.completed.fetch_add(1, Relaxed);
            self.tally.wake.notify_one();
        }
        true
    }
}

/// The messages that one subscriber has received.
#[derive(Default)]
struct Seen {
    bits: Vec<u64>,
    last: u64,
}

impl Seen {
    /// Marks a message as received; returns whether it was the first time.
    fn first_time(&mut self, number: u64) -> bool {
        let Some(word) = place(number / 64) else { return false };
        let bit = 1 << (number % 64);
        if self.bits.len() <= word {
            self.bits.resize(word + 1, 0);
        }
        let new = self.bits[word] & bit == 0;
        self.bits[word] |= bit;
        new
    }
}

fn place(number: u64) -> Option<usize> {
    usize::try_from(number).ok()
}
