//! Realtime subscriptions: a snapshot first, then events, each exactly once and in order.
//!
//! The hub keeps the connections and passes each event to the views. A view matches and encodes an
//! event once for all subscriptions with the same query. An outbox is the bounded send queue of one
//! connection. None of them depends on a protocol: the encoder of the transport encodes
//! notifications as frames. `replay` delivers missed events from the log through the same views.
//! `topics` replace subscriptions for nuxt-ws clients; `typing` is the typing indicator.

mod backlog_limit;
mod byte_budget;
mod cursor;
mod delivery;
mod event_pump;
pub mod hub;
mod identity_gap;
mod limits;
pub mod notification;
pub mod outbox;
pub mod pages;
pub mod peer;
mod reauthorize;
mod recovery_key;
mod recovery_store;
mod reorder_buffer;
mod replay;
mod request;
pub mod subscribe;
mod subscription;
pub mod topics;
pub mod typing;
pub mod view;
mod view_index;
mod view_queue;

pub use byte_budget::ByteBudget;
pub use event_pump::run;
pub use hub::Hub;
pub use notification::FrameEncoder;
pub use notification::Notification;
pub use outbox::Batch;
pub use outbox::Closing;
pub use outbox::Outbox;
pub use peer::AckPoint;
pub use peer::Peer;
pub use subscribe::Resume;
pub use subscribe::Subscribe;
pub use topics::Topics;
pub use typing::Typing;
