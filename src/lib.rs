//! chinwag: a persistent chat backend that speaks Directus over REST and WebSocket.
//!
//! The layers, each of which may call only those below it (`tests/it/tidy.rs` holds the table):

/// The one place that knows all parts: open, wire, mount, shut down.
pub mod app;
/// The wire: HTTP, sockets, JSON shapes. Decides nothing.
pub mod transport;
/// What it means: no HTTP, no SQL, no sockets.
pub mod domain;
/// Storage: the only SQL.
pub mod store;
/// News between machines.
pub mod bus;
/// The query language: pure.
pub mod query;
/// The nouns: pure.
pub mod model;
/// Settings, read once.
pub mod config;
/// The one source of time.
pub mod clock;
/// Logs, for `main`.
pub mod telemetry;
