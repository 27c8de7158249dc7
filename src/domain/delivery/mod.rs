//! The delivery of frames: the connections of this process, their send queues and byte budgets, and
//! the end of slow ones. Knows no items and no protocol; `subscriptions` decides which frames a
//! connection gets.

mod byte_budget;
mod connections;
pub mod outbox;

pub use byte_budget::ByteBudget;
pub(in crate::domain) use connections::Connections;
pub use outbox::{Batch, Closing, Outbox};
