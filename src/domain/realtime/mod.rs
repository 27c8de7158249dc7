//! Realtime subscriptions: a snapshot first, then events, each exactly once and in order.
//!
//! The hub keeps the connections and passes each event to the views. A view matches and encodes an
//! event once for all subscriptions with the same query. A listener is one subscription, an outbox
//! the bounded send queue of one connection. None of them depends on a protocol: the envelope of
//! the transport encodes notifications as frames. `replay` delivers missed events from the log
//! through the same views. `topics` replace subscriptions for nuxt-ws clients; `typing` is the
//! typing indicator.

mod ask;
mod audience;
mod backlog_limit;
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
pub mod subscribe;
pub mod topics;
pub mod typing;
pub mod view;

pub use hub::Hub;
pub use meter::Meter;
pub use outbox::Batch;
pub use outbox::Closing;
pub use outbox::Outbox;
pub use peer::AckPoint;
pub use peer::Peer;
pub use relay::run;
pub use subscribe::Resume;
pub use subscribe::Subscribe;
pub use topics::Topics;
pub use typing::Typing;
pub use view::Envelope;
pub use view::News;
