//! News between machines: what one has committed, all deliver.
//!
//! One machine delivers by the same road, through a queue in memory. The bus is a hint; the log in
//! the database is the truth.

mod local;

pub use local::Bus;
pub use local::News;
