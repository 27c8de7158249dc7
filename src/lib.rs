//! chinwag: a persistent chat backend that speaks Directus over REST and WebSocket.
//!
//! The layers, from the top: `app`, `transport`, `domain`, then `store`, `bus`, `mail` and
//! `providers`, `query`, `model`. Each may depend only on those below it, and `transport` on none
//! of the four in the middle. `clock`, `config`, `signatures` and `text` are available to all
//! (`tests/it/tidy.rs` has the table).

// Composition root: opens, wires, serves and shuts down all components.
pub mod app;
// Committed batches, sent between machines.
pub mod bus;
// The only source of time.
pub mod clock;
// Settings, read once.
pub mod config;
// Domain logic: no HTTP, no SQL, no sockets.
pub mod domain;
// Outgoing mail.
pub mod mail;
// The data model: pure.
pub mod model;
// Identity providers.
pub mod providers;
// The query language: pure.
pub mod query;
// Token signatures.
pub mod signatures;
// Storage: the only SQL.
pub mod store;
// Logging, for `main`.
pub mod telemetry;
// Text rules shared by all layers.
pub mod text;
// Transports: HTTP, WebSockets, JSON formats. No decisions.
pub mod transport;
