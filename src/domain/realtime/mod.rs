//! Live subscriptions: first what is there, then news, each once and in one order.
//!
//! The hub knows who is connected and hands each event to each view; a view matches and encodes an
//! event once for all who listen alike; a listener is one subscription, an outbox one connection's
//! bounded queue. None of them knows a protocol: the envelope that a transport hands in turns news
//! into frames.

mod audience;
pub mod hub;
mod listener;
pub mod outbox;
pub mod peer;
mod relay;
pub mod subscribe;
pub mod view;

pub use hub::Hub;
pub use outbox::Batch;
pub use outbox::Closing;
pub use outbox::Outbox;
pub use peer::Peer;
pub use relay::run;
pub use subscribe::Subscribe;
pub use view::Envelope;
pub use view::News;
