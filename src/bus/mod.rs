//! The event bus: every machine delivers the events that any machine has committed.
//!
//! A single machine uses the same path, through an in-memory queue. The bus is only a hint: the
//! event log in the database is authoritative.

mod local;

pub use local::{Bus, CommittedEvents};
