//! One connection of the topics protocol, from its first frame to its last.
//!
//! Frames are handled one at a time. While one is being handled, or while the client is
//! rate-limited, the socket is not read. The protocol has no sign-in: the identity comes from the
//! upgrade, or is the public.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::Arc;

use tokio::time::Instant;

use crate::config::{RateLimit, WebSocketAuth};
use crate::domain::Error;
use crate::domain::delivery::{Closing, Outbox};
use crate::domain::memory::Reservation;
use crate::domain::quota::Owner;
use crate::domain::subscriptions::Peer;
use crate::domain::subscriptions::topics::{Page, SubscriberHandle, Topic};
use crate::domain::subscriptions::typing::Watch;
use crate::domain::token_bucket::TokenBucket;
use crate::model::id;
use crate::transport::json_size;
use crate::transport::ws::context::Context;
use crate::transport::ws::directus::Entry;
use crate::transport::ws::directus::answers;
use crate::transport::ws::directus::auth_state::Reason;
use crate::transport::ws::directus::conversation::expiry;
use crate::transport::ws::directus::heartbeat::{Beat, Heartbeat};
use crate::transport::ws::encode;
use crate::transport::ws::pace::Pace;
use crate::transport::ws::socket::{Socket, SocketEvent};
use crate::transport::ws::topics::frames;
use crate::transport::ws::topics::frames::Frame;

/// The burst of frames, in seconds.
const BURST: NonZeroU32 = NonZeroU32::new(2).expect("it is not zero");

/// Serves a client until either side ends the connection.
#[expect(clippy::boxed_local, reason = "the box is freed here, and the task has space for no more")]
pub fn converse(
    mut socket: Socket,
    context: Arc<Context>,
    entry: Box<Entry>,
) -> impl Future<Output = ()> + Send {
    // Outside the future: otherwise each idle connection would keep memory for its start.
    let entry = *entry;
    let outbox = Arc::clone(socket.outbox());
    let from = entry.client.ip;
    let identity = entry.identity.unwrap_or_else(|| context.services.auth.public(from));
    let expires = expiry(&identity, &context.services.clock);
    let peer = context.services.hub.join(Arc::clone(&outbox), identity);
    let page = peer.page(&entry.client, entry.page.as_deref());
    async move {
        let now = Instant::now();
        let limit = RateLimit::with_burst(context.config.topics.rate_max, BURST);
        let mut conversation = Conversation {
            context: &context,
            outbox: &outbox,
            peer: &peer,
            from,
            expires,
            heartbeat: Heartbeat::new(context.config.websockets.heartbeat_period, now),
            frames: TokenBucket::new(limit, now.into_std()),
            pace: Pace::new(&context, now),
            pause: None,
            typing: None,
            over: false,
        };
        conversation.run(&mut socket, page).await;
        drop(conversation);
        drop((peer, context));
        // Boxed: otherwise each idle connection would include its size.
        Box::pin(socket.finish()).await;
    }
}

struct Conversation<'a> {
    context: &'a Context,
    outbox: &'a Outbox,
    peer: &'a Peer,
    /// The address of the client.
    from: Option<IpAddr>,
    /// When the token of the upgrade expires.
    expires: Option<Instant>,
    heartbeat: Heartbeat,
    /// The rate limit of this protocol, per connection.
    frames: TokenBucket,
    /// The rate limits of both protocols, per connection and per account.
    pace: Pace,
    /// Reading is paused until then, so no frame is dropped.
    pause: Option<Instant>,
    /// The subscription to typing notifications.
    typing: Option<Watch>,
    /// Whether the connection is closed.
    over: bool,
}

impl Conversation<'_> {
    async fn run(&mut self, socket: &mut Socket, page: Option<Page>) {
        let (context, peer) = (self.context, self.peer);
        if !Box::pin(peer.confirm(peer.identity())).await {
            self.fall(Reason::Failed).await;
        }
        let subscriber = Box::pin(peer.enter_topics(id::fresh(), page)).await;
        let mut stopping = pin!(context.stopping.cancelled());
        let mut alarm = pin!(tokio::time::sleep_until(self.due()));
        while !self.over {
            let pause = self.pause(Instant::now());
            let due = pause.map_or(self.due(), |pause| pause.min(self.due()));
            if alarm.deadline() != due {
                alarm.as_mut().reset(due);
            }
            socket.belong_to(self.owner());
            tokio::select! {
                biased;
                () = &mut stopping => {
                    self.outbox.close(Closing::Restart);
                    break;
                }
                () = &mut alarm => {
                    if socket.has_lived() {
                        self.heartbeat.hear();
                    }
                    Box::pin(self.tick()).await;
                }
                () = peer.identity_lost() => Box::pin(self.fall(Reason::Failed)).await,
                heard = socket.next(pause.is_none()) => match heard {
                    SocketEvent::Frame(text) => {
                        self.heartbeat.hear();
                        self.count(Instant::now());
                        Box::pin(self.handle(&subscriber, &text)).await;
                    }
                    SocketEvent::Activity | SocketEvent::Pong => self.heartbeat.hear(),
                    SocketEvent::Closed => break,
                },
            }
        }
    }

    /// Counts a frame against all rate limits.
    fn count(&mut self, now: Instant) {
        let wait = self.pace.spend(self.context, self.owner(), 1, now);
        let wait = self.frames.spend(1, now.into_std()).max(wait);
        self.pause = (!wait.is_zero()).then(|| now + wait);
    }

    /// Returns until when reading is paused, or `None` if the next frame may be read.
    fn pause(&self, now: Instant) -> Option<Instant> {
        self.pause.filter(|until| *until > now)
    }

    /// Returns the owner that is charged for the memory of messages.
    fn owner(&self) -> Owner {
        Owner::of_either(self.peer.actor().user, self.from)
    }

    async fn handle(&mut self, subscriber: &SubscriberHandle, text: &[u8]) {
        let mut memory = Reservation::new(&self.context.services.memory, self.owner());
        if let Err(error) = memory.resize(json_size::of_tree(text)) {
            self.outbox.push(answers::failed("server", &error, None));
            return;
        }
        match Frame::parse(text, self.context.config.server.json_depth_max) {
            Some(Frame::Ping) => {
                self.outbox.push(frames::pong());
            }
            Some(Frame::Subscribe(Topic::Typing)) if self.typing.is_none() => {
                match self.peer.watch_typing(frames::typing, None).await {
                    Ok(watch) => self.typing = Some(watch),
                    Err(error @ Error::LimitExceeded(_)) => self.refuse("subscribe", &error),
                    // Without permission to read messages, the subscription is ignored.
                    Err(_) => {}
                }
            }
            Some(Frame::Unsubscribe(Topic::Typing)) => self.typing = None,
            Some(Frame::Typing(true)) => {
                // Without permission to write messages, the client has nothing to announce, so the
                // error is ignored.
                let _ = self.peer.start_typing(Some(subscriber.name())).await;
            }
            Some(Frame::Typing(false)) => self.peer.stop_typing(),
            Some(Frame::Subscribe(topic)) => {
                if let Err(error) = subscriber.subscribe(topic).await {
                    self.refuse("subscribe", &error);
                }
            }
            Some(Frame::Unsubscribe(topic)) => subscriber.unsubscribe(topic),
            Some(Frame::Publish(text)) => {
                if let Err(error) = self.publish(subscriber, &text).await {
                    self.refuse("publish", &error);
                }
            }
            None => {}
        }
    }

    /// Reports an error without topic and payload: pages tell such frames apart from topic states.
    fn refuse(&self, what: &'static str, error: &Error) {
        self.outbox.push(answers::failed(what, error, None));
    }

    async fn publish(&self, subscriber: &SubscriberHandle, text: &str) -> Result<(), Error> {
        subscriber.publish(&self.peer.acting().await?, text).await
    }

    /// Returns when [`Conversation::tick`] is due, apart from the end of a pause.
    fn due(&self) -> Instant {
        let beat = self.heartbeat.due();
        self.expires.map_or(beat, |expires| expires.min(beat))
    }

    async fn tick(&mut self) {
        let now = Instant::now();
        if self.expires.is_some_and(|expires| expires <= now) {
            self.fall(Reason::Expired).await;
        }
        if self.heartbeat.due() <= now {
            let is_unread = self.pause(now).is_some();
            match self.heartbeat.beat(now, is_unread) {
                Beat::Ask => {
                    self.outbox.push(encode::ping());
                }
                Beat::Gone => {
                    self.outbox.close(Closing::Done);
                    self.over = true;
                }
            }
        }
    }

    /// Falls back to the public, or closes the connection in strict mode, which requires a sign-in.
    async fn fall(&mut self, reason: Reason) {
        self.expires = None;
        self.outbox.push(answers::not_signed_in(reason, None));
        if self.context.config.websockets.auth == WebSocketAuth::Strict {
            self.outbox.close(Closing::Done);
            self.over = true;
        } else {
            self.peer.identify(self.context.services.auth.public(self.from)).await;
        }
    }
}
