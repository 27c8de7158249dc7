//! WebSocket connections: the upgrade of a request, the lifecycle, and the protocols.
//!
//! `endpoint` checks the upgrade and its credentials, and `pace` limits the rate of messages.
//! `socket` reads frames and closes connections, `incoming` tracks frames that the codec hides, and
//! `liveness` records activity. `writer_pool` writes many connections per thread, with frames
//! coalesced by `coalesce`, and `writer` waits for blocked sockets. `encode` builds frames. Each
//! subdirectory implements a protocol. Frames are parsed by tungstenite, and the frames that it
//! writes on its own join the send queue through `codec_io`.

mod coalesce;
mod codec_io;
mod context;
pub mod directus;
pub mod encode;
mod endpoint;
#[cfg(test)]
mod fuzz;
mod incoming;
mod liveness;
mod pace;
mod socket;
pub mod topics;
mod upgrade;
mod write_half;
mod writer;
mod writer_pool;

pub use context::Context;
pub use endpoint::Protocol;
pub use endpoint::endpoint;
pub use write_half::{TryWrite, WriteHalf};
pub use writer_pool::WriterPool;
