//! WebSocket connections: the upgrade of a request, the lifecycle, and the protocols.
//!
//! `endpoint` checks the upgrade and its credentials, and `addresses` and `users` apply limits.
//! `socket` reads frames and closes connections, `incoming` tracks frames that the codec hides, and
//! `life` records activity. `sweep` writes many connections per thread, with frames coalesced by
//! `gather`, and `writer` waits for blocked sockets. `encode` builds frames. Each subdirectory
//! implements a protocol. Frames are parsed by tungstenite, and the frames that it writes on its
//! own join the send queue through `codec_io`.

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
