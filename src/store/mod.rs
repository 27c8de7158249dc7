//! Storage: the only module with SQL.
//!
//! The read pool and the single writer of an embedded database. The store knows rows, scopes and
//! queries, but not which principal asks or why. A write is acknowledged and published only after
//! its commit.

mod activity;
mod aggregate_value;
mod compile;
mod dialect;
mod erasure;
mod error;
mod event_log;
mod find;
mod integrity;
mod lock;
mod log;
mod mails;
mod maintenance;
mod migrate;
#[cfg(test)]
mod plans;
mod read;
mod readers;
mod recent;
mod rows;
mod search;
mod select;
mod space;
mod sqlite;
mod wal;
mod write;
mod writer;

pub use crate::query::Select;
pub use aggregate_value::AggregateValue;
pub use erasure::Earlier;
pub use error::StoreError;
pub use integrity::Integrity;
pub use log::{Page, Retention};
pub use maintenance::Position;
pub use read::{Grow, RowBudget};
pub use space::Vacuumed;
pub use sqlite::Store;
pub use write::{Committed, FlowKey, IdempotencyKey, Mutation, Outcome, Precondition, Write};
pub use writer::Begun;
