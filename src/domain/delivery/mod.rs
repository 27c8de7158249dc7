//! The delivery of frames to connections: send queues and byte budgets. Knows no items and no
//! protocol; `subscriptions` decides which frames a connection gets.

mod byte_budget;
pub mod outbox;

pub use byte_budget::ByteBudget;
pub use outbox::Batch;
pub use outbox::Closing;
pub use outbox::Outbox;
