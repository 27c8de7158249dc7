//! Sockets: the upgrade of a request, a connection's life, and the protocols spoken over it.
//!
//! `endpoint` checks the upgrade and who asks for it, `rate` and `users` how fast; `socket` reads
//! frames and ends connections; `incoming` counts what the codec passes over, `life` whether bytes
//! pass; `sweep` writes many connections at once, each as `gather` puts its frames together, and
//! `writer` those that have to be waited for; `encode` makes frames; the folders beneath speak a
//! protocol each. Reading frames is tungstenite's work, and what it has to write by itself joins the
//! outbox through `codec_io`.

mod addresses;
mod codec_io;
mod context;
pub mod directus;
pub mod encode;
mod endpoint;
#[cfg(test)]
mod fuzz;
mod gather;
mod incoming;
mod life;
mod socket;
mod sweep;
pub mod topics;
mod upgrade;
mod users;
mod wire;
mod writer;

pub use context::Context;
pub use endpoint::Protocol;
pub use endpoint::endpoint;
pub use sweep::Sweep;
pub use wire::TryWrite;
pub use wire::Wire;
