//! Sockets: the upgrade of a request, a connection's life, and the protocols spoken over it.
//!
//! `endpoint` checks the upgrade and who asks for it; `socket` reads frames and ends connections;
//! `writer` is the one task that writes a connection; `encode` makes frames; the folders beneath
//! speak a protocol each. Reading frames is tungstenite's work, and what it has to write by itself
//! joins the outbox through `codec_io`.

mod codec_io;
mod context;
pub mod directus;
pub mod encode;
mod endpoint;
mod socket;
mod upgrade;
mod writer;

pub use context::Context;
pub use endpoint::endpoint;
