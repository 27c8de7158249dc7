//! Realtime subscriptions: a snapshot first, then events, each exactly once and in order.
//!
//! The hub keeps the connections and passes each event to the views. A view matches and encodes an
//! event once for all subscriptions with the same query. The encoder of the transport encodes
//! notifications as frames, and `delivery` sends them. `replay` delivers missed events from the log
//! through the same views. `topics` replace subscriptions for nuxt-ws clients; `typing` is the
//! typing indicator.

mod connection;
mod cursor;
mod event_pump;
mod fanout;
pub mod hub;
mod limits;
pub mod notification;
pub mod peer;
mod reauthorize;
mod recovery;
mod reorder_buffer;
mod replay;
mod request;
mod state;
mod subscribe;
pub mod topics;
pub mod typing;
mod view;
mod view_index;
mod view_queue;
mod view_task;

pub use event_pump::run;
pub use hub::Hub;
pub use notification::{FrameEncoder, Notification};
pub use peer::Peer;
pub use recovery::{AckPoint, Recovery};
pub use request::{Resume, Subscribe};
