//! Live subscriptions: first what is there, then news, each once and in one order.
//!
//! The hub knows who is connected and hands each event to each view; a view matches and encodes an
//! event once for all who listen alike; a listener is one subscription, an outbox one connection's
//! bounded queue. None of them knows a protocol: the envelope that a transport hands in turns news
//! into frames. What a client missed it is told by `replay`, from the log, by the same views. `topics` are
//! what clients of nuxt-ws follow instead of subscriptions, `typing` is who is writing just now.

mod ask;
mod audience;
mod cursor;
mod gate;
pub mod hub;
mod in_order;
mod lane;
mod lapse;
mod listener;
mod meter;
pub mod outbox;
pub mod pages;
pub mod peer;
mod places;
mod positions;
mod relay;
mod replay;
mod review;
mod room;
mod split;
pub mod subscribe;
pub mod topics;
pub mod typing;
pub mod view;

pub use hub::Hub;
pub use meter::Meter;
pub use outbox::Batch;
pub use outbox::Closing;
pub use outbox::Outbox;
pub use peer::Mark;
pub use peer::Peer;
pub use relay::run;
pub use subscribe::Resume;
pub use subscribe::Subscribe;
pub use topics::Topics;
pub use typing::Typing;
pub use view::Envelope;
pub use view::News;
