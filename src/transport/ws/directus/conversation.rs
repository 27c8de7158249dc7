//! One connection from its first frame to its last: the order of frames, and the time.
//!
//! Frames are handled in order and one at a time, so that answers keep the order of questions and
//! nothing is dropped while a sign-in is being checked. Only creates that follow each other may be
//! under way together, so that they can share a commit; their answers still come in order. What a
//! frame means is the business of `connection`.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesOrdered;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::domain::Error;
use crate::domain::auth::Identity;
use crate::domain::auth::Origin;
use crate::domain::memory::Reservation;
use crate::domain::realtime::Closing;
use crate::domain::realtime::Meter;
use crate::domain::realtime::Outbox;
use crate::transport::ws::context::Context;
use crate::transport::ws::directus::answers;
use crate::transport::ws::directus::auth::Auth;
use crate::transport::ws::directus::backlog::Backlog;
use crate::transport::ws::directus::backlog::Next;
use crate::transport::ws::directus::backlog::Refused;
use crate::transport::ws::directus::confirming::Confirming;
use crate::transport::ws::directus::confirming::Question;
use crate::transport::ws::directus::connection::Connection;
use crate::transport::ws::directus::connection::Granted;
use crate::transport::ws::directus::connection::nobody;
use crate::transport::ws::directus::frames::Frame;
use crate::transport::ws::directus::heartbeat::Beat;
use crate::transport::ws::directus::heartbeat::Heartbeat;
use crate::transport::ws::directus::pace::Pace;
use crate::transport::ws::directus::standing::Standing;
use crate::transport::ws::directus::uid::Uid;
use crate::transport::ws::encode;
use crate::transport::ws::socket::Heard;
use crate::transport::ws::socket::Socket;
use crate::transport::ws::users::Who;

/// How many creates of one connection may be under way together.
const CREATES_MAX: usize = 32;
/// How many times the bytes of the largest frame they may have together.
const CREATES_FRAMES: usize = 2;
/// The part of its outbox that a connection's answers may take before no more are made.
const ANSWERS_SHARE: usize = 4;

/// How a connection comes in.
#[derive(Debug)]
pub struct Entry {
    /// Who it is, by the credentials of its upgrade; `None` if it had none.
    pub identity: Option<Identity>,
    /// Where it comes from.
    pub origin: Origin,
    /// The origin of the page, as browsers tell it.
    pub page: Option<String>,
}

/// Speaks with a client until either side ends the connection. A change that has begun by then is
/// carried to its end, heard or not, so that none is left half done.
#[expect(clippy::boxed_local, reason = "the box is freed here, and the task has room for no more")]
pub fn converse(
    mut socket: Socket,
    context: Arc<Context>,
    entry: Box<Entry>,
) -> impl Future<Output = ()> + Send {
    // Outside of the future: each idle connection would keep what only the start needs.
    let entry = *entry;
    let outbox = Arc::clone(socket.outbox());
    let standing = standing(&context, entry.identity.as_ref());
    let identity = match entry.identity {
        Some(identity) => identity,
        None if standing.is_waiting() => nobody(),
        None => context.services.auth.public(entry.origin.ip),
    };
    let peer = context.services.hub.join(Arc::clone(&outbox), identity);
    let meter = context.services.hub.meter(context.config.outbox_bytes_max / ANSWERS_SHARE);
    let typing = Mutex::default();
    let connection = Connection { context, peer, origin: entry.origin, meter, typing };
    async move {
        let mut conversation = Conversation::new(&connection, &outbox, standing);
        conversation.run(&mut socket).await;
        // Boxed, as are others that come once: each idle connection would keep their needs ready.
        Box::pin(conversation.rest()).await;
        drop(connection);
        Box::pin(socket.finish()).await;
    }
}

/// Returns where a new connection stands.
fn standing(context: &Context, identity: Option<&Identity>) -> Standing {
    let until = identity.and_then(|identity| expiry(identity, &context.services.clock));
    Standing::new(
        context.config.auth,
        context.config.auth_timeout,
        identity.is_some(),
        until,
        Instant::now(),
    )
}

/// Returns when an identity expires, by a clock that nobody can set: `None` for never.
pub fn expiry(identity: &Identity, clock: &Clock) -> Option<Instant> {
    Instant::now().checked_add(clock.now().until(identity.expires?))
}

/// What one connection is in the midst of.
pub(super) struct Conversation<'a> {
    pub(super) connection: &'a Connection,
    pub(super) outbox: &'a Outbox,
    pub(super) standing: Standing,
    heartbeat: Heartbeat,
    confirming: Confirming,
    backlog: Backlog,
    meter: Meter,
    pace: Pace,
    /// Until when nothing that was said is looked at: it came too fast.
    deaf_until: Option<Instant>,
    /// Until when subscriptions do not say that they show nothing since a token has expired.
    pub(super) unsaid_until: Option<Instant>,
    /// What is under way: creates, or one thing of another kind.
    running: FuturesOrdered<BoxFuture<'a, Settled>>,
    /// How many bytes that takes, about.
    running_bytes: usize,
    /// How many what is about to begin takes, and what is reserved for it.
    next_bytes: usize,
    next_memory: Option<Box<Reservation>>,
    /// What that is, if it is anything.
    pub(super) kind: Kind,
    /// Whether this connection began or renewed the session it is signed in by.
    pub(super) owns_session: bool,
    /// Whether what has come waits until more of the answers are read.
    crowded: bool,
    /// Whether nothing follows any more.
    over: bool,
}

/// What is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Creates, which others may join.
    Creates,
    /// What changes nothing.
    Read,
    /// The check of a sign-in.
    Check,
    /// Anything else.
    Other,
}

/// What came out of a frame.
pub(super) enum Outcome {
    /// The answer, if there is one.
    Answer(Option<Bytes>),
    /// A sign-in that was checked.
    Checked(Result<Granted, Error>, Option<Uid>),
}

/// An outcome, and how many bytes what it came of had taken.
type Settled = (Outcome, usize);

impl<'a> Conversation<'a> {
    fn new(connection: &'a Connection, outbox: &'a Outbox, standing: Standing) -> Self {
        let config = &connection.context.config;
        let json_depth_max = connection.context.json_depth_max;
        Self {
            connection,
            outbox,
            standing,
            heartbeat: Heartbeat::new(config.heartbeat_period, Instant::now()),
            confirming: Confirming::new(Instant::now()),
            backlog: Backlog::new(config.pending_max, config.frame_bytes_max, json_depth_max),
            meter: connection.meter.clone(),
            pace: Pace::new(&connection.context, Instant::now()),
            deaf_until: None,
            unsaid_until: None,
            running: FuturesOrdered::new(),
            running_bytes: 0,
            next_bytes: 0,
            next_memory: None,
            kind: Kind::Other,
            owns_session: false,
            crowded: false,
            over: false,
        }
    }

    async fn run(&mut self, socket: &mut Socket) {
        let connection = self.connection;
        if !self.standing.is_waiting() && !connection.confirm(connection.peer.identity()).await {
            let consequence = self.standing.lose();
            self.suffer(consequence, None).await;
        }
        let mut stopping = pin!(connection.context.stopping.cancelled());
        let mut alarm = pin!(tokio::time::sleep_until(self.due()));
        loop {
            self.begin_what_may().await;
            if self.over {
                break;
            }
            if alarm.deadline() != self.due() {
                alarm.as_mut().reset(self.due());
            }
            socket.bound_messages(self.message_bytes_max());
            socket.belong_to(connection.owner());
            // Asked once: what is written in between would be noticed by neither of those who ask.
            let has_room = self.meter.has_room();
            tokio::select! {
                biased;
                () = &mut stopping => {
                    Box::pin(self.stop()).await;
                    break;
                }
                Some(outcome) = self.running.next(),
                    if !self.running.is_empty() && has_room =>
                {
                    if let Some(rest) = self.settle(outcome) {
                        rest.await;
                    }
                }
                () = self.meter.less(), if !has_room || self.crowded => {}
                () = &mut alarm => {
                    if socket.has_lived() {
                        self.heartbeat.hear();
                    }
                    Box::pin(self.tick()).await;
                }
                // The connection is nobody's by then. While a sign-in is being checked, what comes
                // out of that decides.
                () = connection.peer.identity_lost(), if !self.is_checking() => {
                    let consequence = self.standing.lose();
                    self.suffer(consequence, None).await;
                }
                () = connection.peer.told(), if !self.confirming.is_wanted() => {
                    self.confirming.want();
                }
                heard = socket.next(self.backlog.has_room()) => match heard {
                    Heard::Frame(text) => self.backlog.push(text, || connection.reservation()),
                    Heard::Pulse => self.heartbeat.hear(),
                    Heard::Pong => {
                        self.heartbeat.hear();
                        self.confirm(Question::Protocol);
                    }
                    Heard::Ended => {
                        Box::pin(self.finish_unheard()).await;
                        break;
                    }
                },
            }
        }
    }

    /// Does what the client has said before it went: a page that sends and is left at once has
    /// still sent. What it only wanted to read is given up.
    async fn finish_unheard(&mut self) {
        self.outbox.close(Closing::Done);
        // Nobody reads the answers, so none of them is waited for.
        self.meter = Meter::new(usize::MAX);
        loop {
            self.deaf_until = None;
            self.begin_what_may().await;
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

    /// Waits for what has begun, unless it only reads.
    async fn rest(mut self) {
        if !self.running.is_empty() && self.kind != Kind::Read {
            self.outbox.close(Closing::Done);
            while self.running.next().await.is_some() {}
        }
    }

    /// Answers what has begun, drops what has not, and says that the service restarts.
    async fn stop(&mut self) {
        while let Some(outcome) = self.running.next().await {
            if let Some(rest) = self.settle(outcome) {
                rest.await;
            }
        }
        self.outbox.close(Closing::Restart);
    }

    /// Returns how large a message may be: nobody needs much to sign in.
    fn message_bytes_max(&self) -> usize {
        let config = &self.connection.context.config;
        if self.standing.is_waiting() { config.handshake_bytes_max } else { config.frame_bytes_max }
    }

    /// Returns how many bytes the creates under way may have together. What follows waits in the
    /// backlog, and once that is full the socket is not read.
    fn creates_bytes_max(&self) -> usize {
        CREATES_FRAMES * self.connection.context.config.frame_bytes_max
    }

    /// Begins, in order, all that need not wait for what is under way.
    async fn begin_what_may(&mut self) {
        self.crowded = false;
        while !self.over && self.deaf_until.is_none() {
            if !self.meter.has_room() {
                self.crowded = true;
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
                self.deaf_until = Some(Instant::now() + wait);
                self.say(answers::too_fast(&frame, wait));
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

    /// Notes that something was said that changes so many items. Each of them counts as a message: what
    /// follows a long list waits as if it had been said one by one.
    ///
    /// # Errors
    /// How long it should have waited.
    fn keep_pace(&mut self, changes: usize) -> Result<(), Duration> {
        let Connection { context, peer, origin, .. } = self.connection;
        let (who, now) = (Who::of(peer.actor().user, origin.ip), Instant::now());
        self.pace.take(context, who, now)?;
        if changes > 1 {
            let wait = self.pace.spend(context, who, changes - 1, now);
            self.deaf_until = (!wait.is_zero()).then(|| now + wait);
        }
        Ok(())
    }

    /// Begins what a frame asks for; what is returned belongs to it, and is rare. Frames and outcomes
    /// are large, so nothing that is kept while a connection waits holds one.
    fn begin(&mut self, frame: Result<Frame, Refused>) -> Option<BoxFuture<'_, ()>> {
        let connection = self.connection;
        let frame = match frame {
            Ok(Frame::Auth(Auth::SignIn(credentials), uid)) => {
                self.sign_in(credentials, uid);
                return None;
            }
            _ if self.standing.is_waiting() => {
                let consequence = self.standing.refuse();
                return Some(self.suffer(consequence, None));
            }
            Ok(frame) => frame,
            Err(Refused::Invalid(invalid)) => {
                self.say(answers::invalid(&invalid));
                return None;
            }
            Err(Refused::NoMemory(error)) => {
                self.say(answers::failed("server", &error, None));
                return None;
            }
        };
        match frame {
            Frame::Auth(Auth::SignOut, _) => return Some(self.sign_out().boxed()),
            Frame::Auth(..) | Frame::Other => {}
            Frame::Pong => self.confirm(Question::Frame),
            Frame::Ping(uid) => self.say(answers::pong(uid.as_ref())),
            Frame::Typing(frame, uid) => {
                self.launch(async move {
                    let answer = connection.typing(frame, uid.as_ref()).await;
                    Outcome::Answer(answer)
                });
            }
            Frame::Unsubscribe(uid) => self.say(connection.unsubscribe(uid.as_ref())),
            Frame::Items(frame) => {
                self.launch(async move { Outcome::Answer(Some(connection.items(*frame).await)) });
            }
            Frame::Subscribe(frame) => {
                self.launch(async move { Outcome::Answer(connection.subscribe(*frame).await) });
            }
        }
        None
    }

    /// Lets something be under way.
    pub(super) fn launch(&mut self, work: impl Future<Output = Outcome> + Send + 'a) {
        let (bytes, memory) = (std::mem::take(&mut self.next_bytes), self.next_memory.take());
        self.running_bytes += bytes;
        let work = async move {
            let _memory = memory;
            (work.await, bytes)
        };
        self.running.push_back(work.boxed());
    }

    /// Answers what is done; what is returned belongs to it, and is rare.
    fn settle(&mut self, (outcome, bytes): Settled) -> Option<BoxFuture<'_, ()>> {
        self.running_bytes -= bytes;
        match outcome {
            Outcome::Answer(frame) => {
                if let Some(frame) = frame {
                    self.say(frame);
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

    fn is_checking(&self) -> bool {
        self.kind == Kind::Check
    }

    /// Returns when [`Conversation::tick`] is due.
    fn due(&self) -> Instant {
        let standing = self.standing.due(self.is_checking());
        // While a sign-in is being checked, what comes out of that decides.
        let unsaid = self.unsaid_until.filter(|_| !self.is_checking());
        let others = [standing, self.deaf_until, unsaid, self.confirming.due()];
        others.into_iter().flatten().fold(self.heartbeat.due(), Instant::min)
    }

    async fn tick(&mut self) {
        let now = Instant::now();
        self.deaf_until = self.deaf_until.filter(|until| *until > now);
        if self.standing.due(self.is_checking()).is_some_and(|due| due <= now) {
            let consequence = self.standing.expire(now);
            self.suffer(consequence, None).await;
        }
        if self.unsaid_until.is_some_and(|until| until <= now) && !self.is_checking() {
            self.unsaid_until = None;
            self.connection.peer.say_unsaid();
        }
        if self.heartbeat.due() <= now {
            match self.heartbeat.beat(now, self.is_busy()) {
                Beat::Ask => self.ask(now),
                Beat::Gone => self.close(),
            }
        }
        if self.confirming.due().is_some_and(|due| due <= now) {
            self.ask(now);
        }
    }

    /// Returns whether the client has said something that is still being answered, or that has not
    /// even been looked at.
    fn is_busy(&self) -> bool {
        !self.running.is_empty() || !self.backlog.has_room() || !self.meter.has_room()
    }

    /// Asks for a sign of life, which also says how far the client has got.
    fn ask(&mut self, now: Instant) {
        let question = self.question();
        // Before the ping is sent: what comes after this may be behind it.
        self.confirming.ask(question, self.connection.peer.mark(), now);
        self.say(match question {
            Question::Frame => answers::ping(),
            Question::Protocol => encode::ping(),
        });
    }

    fn confirm(&mut self, question: Question) {
        if let Some(mark) = self.confirming.answer(question) {
            self.connection.peer.remember(mark);
        }
    }

    /// Returns what asks for a sign of life. Pages see only what comes after their sign-in; before
    /// that, and where heartbeats are switched off, browsers are asked without their knowledge.
    fn question(&self) -> Question {
        let shown = self.connection.context.config.heartbeat && !self.is_checking();
        if shown && self.standing.is_signed_in() { Question::Frame } else { Question::Protocol }
    }

    /// Sends a frame.
    pub(super) fn say(&self, frame: Bytes) {
        self.connection.peer.send(self.meter.count(frame));
    }

    /// Closes the connection after what has been said.
    pub(super) fn close(&mut self) {
        self.outbox.close(Closing::Done);
        self.over = true;
    }
}
