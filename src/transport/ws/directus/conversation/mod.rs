//! One connection from its first frame to its last: the order of frames. Its timers are in
//! `timers`.
//!
//! Frames are handled in order and one at a time, so that responses keep the order of requests and
//! no frame is dropped while a sign-in is being checked. Only consecutive creates may run
//! concurrently, so that they can share a commit; their responses still keep their order.
//! `connection` interprets the frames.

mod entry;
mod timers;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesOrdered;
use futures_util::{FutureExt, StreamExt};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::domain::Error;
use crate::domain::delivery::{ByteBudget, Closing, Outbox};
use crate::domain::memory::Reservation;
use crate::transport::ws::context::Context;
use crate::transport::ws::directus::ack_tracker::{AckTracker, PingKind};
use crate::transport::ws::directus::answers;
use crate::transport::ws::directus::auth::Auth;
use crate::transport::ws::directus::auth_state::AuthState;
use crate::transport::ws::directus::backlog::{Backlog, Next, Refused};
use crate::transport::ws::directus::connection::denied;
use crate::transport::ws::directus::connection::{Connection, Granted};
pub use crate::transport::ws::directus::conversation::entry::Entry;
use crate::transport::ws::directus::conversation::entry::auth_state;
pub use crate::transport::ws::directus::conversation::entry::expiry;
use crate::transport::ws::directus::frames::Frame;
use crate::transport::ws::directus::heartbeat::Heartbeat;
use crate::transport::ws::directus::uid::Uid;
use crate::transport::ws::pace::Pace;
use crate::transport::ws::socket::{Socket, SocketEvent};

/// Maximum number of concurrent creates of one connection.
const CREATES_MAX: usize = 32;
/// Maximum size of concurrent creates, as a multiple of the maximum frame size.
const CREATES_FRAMES: usize = 2;
/// Divisor of the send queue capacity, for the share that unread responses may take before no
/// further ones are made.
const ANSWERS_SHARE: usize = 4;

/// Serves a client until either side ends the connection. A change that has started by then runs to
/// its end even if the client is gone, so that no change is left half done.
#[expect(clippy::boxed_local, reason = "the box is freed here, and the task has space for no more")]
pub fn converse(
    mut socket: Socket,
    context: Arc<Context>,
    entry: Box<Entry>,
) -> impl Future<Output = ()> + Send {
    // Outside the future: otherwise each idle connection would keep memory for its start.
    let entry = *entry;
    let outbox = Arc::clone(socket.outbox());
    let auth_state = auth_state(&context, entry.identity.as_ref());
    let identity = match entry.identity {
        Some(identity) => identity,
        None if auth_state.is_waiting() => denied(),
        None => context.services.auth.public(entry.client.ip),
    };
    let peer = context.services.hub.join(Arc::clone(&outbox), identity);
    let budget =
        context.services.hub.budget(context.config.websockets.outbox_bytes_max / ANSWERS_SHARE);
    let typing = Mutex::default();
    let connection = Connection { context, peer, client: entry.client, budget, typing };
    async move {
        let mut conversation = Conversation::new(&connection, &outbox, auth_state);
        conversation.run(&mut socket).await;
        // Boxed, like other rare futures: otherwise each idle connection would include their size.
        Box::pin(conversation.rest()).await;
        drop(connection);
        Box::pin(socket.finish()).await;
    }
}

/// The state of one connection.
pub(super) struct Conversation<'a> {
    pub(super) connection: &'a Connection,
    pub(super) outbox: &'a Outbox,
    pub(super) auth_state: AuthState,
    heartbeat: Heartbeat,
    ack_tracker: AckTracker,
    backlog: Backlog,
    budget: ByteBudget,
    pace: Pace,
    /// Rate-limited: no frames are handled until then.
    rate_limited_until: Option<Instant>,
    /// After a token expiry, the errors of subscriptions that lost access are deferred until then.
    pub(super) deferred_errors_until: Option<Instant>,
    /// Running work: several creates, or one frame of another kind.
    running: FuturesOrdered<BoxFuture<'a, Settled>>,
    /// Approximate size of the running work in bytes.
    running_bytes: usize,
    /// Size of the frame that is about to start, and its memory reservation.
    next_bytes: usize,
    next_memory: Option<Box<Reservation>>,
    /// The kind of the running work, if there is any.
    pub(super) kind: Kind,
    /// Whether this connection created or refreshed the session it is signed in by.
    pub(super) owns_session: bool,
    /// Back-pressure: pending frames wait until the client has read more responses.
    is_backpressured: bool,
    /// Whether the connection is closed.
    is_closed: bool,
}

/// The kind of the running work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Creates, which further creates may join.
    Creates,
    /// A read.
    Read,
    /// The check of a sign-in.
    Check,
    /// Anything else.
    Other,
}

/// The result of a frame.
pub(super) enum Outcome {
    /// The response, if there is one.
    Answer(Option<Bytes>),
    /// The result of a sign-in check.
    Checked(Result<Granted, Error>, Option<Uid>),
}

/// An outcome, and the size of its frame as counted in `running_bytes`.
type Settled = (Outcome, usize);

impl<'a> Conversation<'a> {
    fn new(connection: &'a Connection, outbox: &'a Outbox, auth_state: AuthState) -> Self {
        let config = &connection.context.config.websockets;
        let json_depth_max = connection.context.config.server.json_depth_max;
        Self {
            connection,
            outbox,
            auth_state,
            heartbeat: Heartbeat::new(config.heartbeat_period, Instant::now()),
            ack_tracker: AckTracker::new(Instant::now()),
            backlog: Backlog::new(config.pending_max, config.frame_bytes_max, json_depth_max),
            budget: connection.budget.clone(),
            pace: Pace::new(&connection.context, Instant::now()),
            rate_limited_until: None,
            deferred_errors_until: None,
            running: FuturesOrdered::new(),
            running_bytes: 0,
            next_bytes: 0,
            next_memory: None,
            kind: Kind::Other,
            owns_session: false,
            is_backpressured: false,
            is_closed: false,
        }
    }

    async fn run(&mut self, socket: &mut Socket) {
        let connection = self.connection;
        if !self.auth_state.is_waiting() && !connection.confirm(connection.peer.identity()).await {
            let transition = self.auth_state.lose();
            self.apply(transition, None).await;
        }
        let mut stopping = pin!(connection.context.stopping.cancelled());
        let mut alarm = pin!(tokio::time::sleep_until(self.due()));
        loop {
            self.start_ready_frames().await;
            if self.is_closed {
                break;
            }
            if alarm.deadline() != self.due() {
                alarm.as_mut().reset(self.due());
            }
            socket.bound_messages(self.message_bytes_max());
            socket.belong_to(connection.owner());
            // Evaluated once: if it changed between the guards, neither branch would be polled.
            let has_capacity = self.budget.has_capacity();
            tokio::select! {
                biased;
                () = &mut stopping => {
                    Box::pin(self.stop()).await;
                    break;
                }
                Some(outcome) = self.running.next(),
                    if !self.running.is_empty() && has_capacity =>
                {
                    if let Some(rest) = self.settle(outcome) {
                        rest.await;
                    }
                }
                () = self.budget.released(), if !has_capacity || self.is_backpressured => {}
                () = &mut alarm => {
                    if socket.has_lived() {
                        self.heartbeat.hear();
                    }
                    Box::pin(self.tick()).await;
                }
                // The hub has revoked the identity already. While a sign-in is being checked, its
                // result decides.
                () = connection.peer.identity_lost(), if !self.is_checking() => {
                    let transition = self.auth_state.lose();
                    self.apply(transition, None).await;
                }
                () = connection.peer.ack_needed(), if !self.ack_tracker.is_wanted() => {
                    self.ack_tracker.want();
                }
                event = socket.next(self.backlog.has_capacity()) => if !self.receive(event) {
                    Box::pin(self.finish_unheard()).await;
                    break;
                },
            }
        }
    }

    /// Takes an event of the socket. Returns whether the socket is still open.
    fn receive(&mut self, event: SocketEvent) -> bool {
        let connection = self.connection;
        match event {
            SocketEvent::Frame(text) => self.backlog.push(text, || connection.reservation()),
            SocketEvent::Activity => self.heartbeat.hear(),
            SocketEvent::Pong => {
                self.heartbeat.hear();
                self.confirm(PingKind::Protocol);
            }
            SocketEvent::Closed => return false,
        }
        true
    }

    /// Handles the pending frames of a client that is gone: a page that sends and is closed at once
    /// has still sent. Reads are discarded.
    async fn finish_unheard(&mut self) {
        self.outbox.close(Closing::Done);
        // The client reads no more responses, so back-pressure is disabled.
        self.budget = ByteBudget::new(usize::MAX);
        loop {
            self.rate_limited_until = None;
            self.start_ready_frames().await;
            if self.kind == Kind::Read {
                self.running.clear();
                self.running_bytes = 0;
                self.kind = Kind::Other;
                continue;
            }
            match self.running.next().await {
                Some(outcome) => {
                    if let Some(rest) = self.settle(outcome) {
                        rest.await;
                    }
                }
                None => return,
            }
        }
    }

    /// Waits for running work, unless it is a read.
    async fn rest(mut self) {
        if !self.running.is_empty() && self.kind != Kind::Read {
            self.outbox.close(Closing::Done);
            while self.running.next().await.is_some() {}
        }
    }

    /// Finishes running work, drops pending frames, and closes the connection for a restart.
    async fn stop(&mut self) {
        while let Some(outcome) = self.running.next().await {
            if let Some(rest) = self.settle(outcome) {
                rest.await;
            }
        }
        self.outbox.close(Closing::Restart);
    }

    /// Returns the current maximum message size. Before a sign-in a smaller limit applies.
    fn message_bytes_max(&self) -> usize {
        let config = &self.connection.context.config.websockets;
        if self.auth_state.is_waiting() {
            config.handshake_bytes_max
        } else {
            config.frame_bytes_max
        }
    }

    /// Returns the maximum size of concurrent creates. Further frames wait in the backlog, and once
    /// that is full the socket is not read.
    fn creates_bytes_max(&self) -> usize {
        CREATES_FRAMES * self.connection.context.config.websockets.frame_bytes_max
    }

    /// Starts, in order, all pending frames that need not wait for the running work.
    async fn start_ready_frames(&mut self) {
        self.is_backpressured = false;
        while !self.is_closed && self.rate_limited_until.is_none() {
            if !self.budget.has_capacity() {
                self.is_backpressured = true;
                return;
            }
            let next = self.backlog.take(|| self.connection.reservation());
            let Some(Next { frame, bytes, memory }) = next else { return };
            let kind = match &frame {
                Ok(frame) if frame.is_create() => Kind::Creates,
                Ok(frame) if frame.is_read() => Kind::Read,
                _ => Kind::Other,
            };
            let joins = kind == Kind::Creates
                && self.kind == Kind::Creates
                && self.running.len() < CREATES_MAX
                && self.running_bytes + bytes <= self.creates_bytes_max();
            if !self.running.is_empty() && !joins {
                self.backlog.put_back(Next { frame, bytes, memory });
                return;
            }
            let changes = frame.as_ref().map_or(1, Frame::changes);
            if let Err(wait) = self.keep_pace(changes) {
                self.rate_limited_until = Some(Instant::now() + wait);
                self.send(answers::too_fast(&frame, wait));
                continue;
            }
            self.kind = kind;
            (self.next_bytes, self.next_memory) = (bytes, memory);
            if !matches!(frame, Ok(Frame::Auth(..))) {
                self.heartbeat.hear();
            }
            if let Some(rest) = self.begin(frame) {
                rest.await;
            }
        }
    }

    /// Takes a token for each item that a frame changes. A long list delays later frames as if its
    /// items had been sent one by one.
    ///
    /// # Errors
    /// The remaining wait, if the frame came too early.
    fn keep_pace(&mut self, changes: usize) -> Result<(), Duration> {
        let (context, owner) = (&self.connection.context, self.connection.owner());
        let now = Instant::now();
        self.pace.take(context, owner, now)?;
        if changes > 1 {
            let wait = self.pace.spend(context, owner, changes - 1, now);
            self.rate_limited_until = (!wait.is_zero()).then(|| now + wait);
        }
        Ok(())
    }

    /// Starts to handle a frame. A returned future, which is rare, has to be awaited. Frames and
    /// outcomes are large, so no state that lives while a connection is idle contains one.
    fn begin(&mut self, frame: Result<Frame, Refused>) -> Option<BoxFuture<'_, ()>> {
        let connection = self.connection;
        let frame = match frame {
            Ok(Frame::Auth(Auth::SignIn(credentials), uid)) => {
                self.sign_in(credentials, uid);
                return None;
            }
            _ if self.auth_state.is_waiting() => {
                let transition = self.auth_state.refuse();
                return Some(self.apply(transition, None));
            }
            Ok(frame) => frame,
            Err(Refused::Invalid(invalid)) => {
                self.send(answers::invalid(&invalid));
                return None;
            }
            Err(Refused::NoMemory(error)) => {
                self.send(answers::failed("server", &error, None));
                return None;
            }
        };
        match frame {
            Frame::Auth(Auth::SignOut, _) => return Some(self.sign_out().boxed()),
            Frame::Auth(..) | Frame::Other => {}
            Frame::Pong => self.confirm(PingKind::Frame),
            Frame::Ping(uid) => self.send(answers::pong(uid.as_ref())),
            Frame::Typing(frame, uid) => {
                self.launch(async move {
                    let answer = connection.typing(frame, uid.as_ref()).await;
                    Outcome::Answer(answer)
                });
            }
            Frame::Unsubscribe(uid) => self.send(connection.unsubscribe(uid.as_ref())),
            Frame::Items(frame) => {
                self.launch(async move { Outcome::Answer(Some(connection.items(*frame).await)) });
            }
            Frame::Subscribe(frame) => {
                self.launch(async move { Outcome::Answer(connection.subscribe(*frame).await) });
            }
        }
        None
    }

    /// Adds a future to the running work.
    pub(super) fn launch(&mut self, work: impl Future<Output = Outcome> + Send + 'a) {
        let (bytes, memory) = (std::mem::take(&mut self.next_bytes), self.next_memory.take());
        self.running_bytes += bytes;
        let work = async move {
            let _memory = memory;
            (work.await, bytes)
        };
        self.running.push_back(work.boxed());
    }

    /// Handles an outcome. A returned future, which is rare, has to be awaited.
    fn settle(&mut self, (outcome, bytes): Settled) -> Option<BoxFuture<'_, ()>> {
        self.running_bytes -= bytes;
        match outcome {
            Outcome::Answer(frame) => {
                if let Some(frame) = frame {
                    self.send(frame);
                }
                None
            }
            Outcome::Checked(result, uid) => {
                self.kind = Kind::Other;
                let answered = async move {
                    match result {
                        Ok(granted) => self.grant(granted, uid.as_ref()).await,
                        Err(error) => self.deny(&error, uid.as_ref()).await,
                    }
                };
                Some(answered.boxed())
            }
        }
    }

    /// Sends a frame, counted in the budget of unread responses.
    pub(super) fn send(&self, frame: Bytes) {
        self.connection.peer.send(self.budget.track(frame));
    }

    /// Closes the connection after the frames that are queued.
    pub(super) fn close(&mut self) {
        self.outbox.close(Closing::Done);
        self.is_closed = true;
    }
}
