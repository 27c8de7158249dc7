//! chinwag: a persistent chat backend that speaks Directus over REST and WebSocket.
//!
//! The layers, from the top: `app`, `transport`, `domain`, then `store`, `bus`, `mail` and `providers`,
//! `query`, `model`. Each may call only those below it, and `transport` none of the four in the middle;
//! `clock`, `config`, `signatures` and `text` are for all (`tests/it/tidy.rs` holds the table).

// The one place that knows all parts: open, wire, mount, shut down.
pub mod app;
// News between machines.
pub mod bus;
// The one source of time.
pub mod clock;
// Settings, read once.
pub mod config;
// What it means: no HTTP, no SQL, no sockets.
pub mod domain;
// Mail on its way out.
pub mod mail;
// The nouns: pure.
pub mod model;
// Those who know our users.
pub mod providers;
// The query language: pure.
pub mod query;
// Signatures of tokens.
pub mod signatures;
// Storage: the only SQL.
pub mod store;
// Logs, for `main`.
pub mod telemetry;
// Rules about texts that every layer shares.
pub mod text;
// The wire: HTTP, sockets, JSON shapes. Decides nothing.
pub mod transport;
