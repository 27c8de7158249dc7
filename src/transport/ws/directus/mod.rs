//! The Directus protocol.
//!
//! `frames` parses frames from clients, `auth` one type of them, and `answers` encodes frames from
//! the server. `connection` maps frames to domain calls and results to frames. `conversation` keeps
//! the order of frames and the timers, `backlog` the limits, and `sign_in` the identity.
//! `auth_state`, `ack_tracker` and `heartbeat` compute state without I/O.

mod ack_tracker;
pub(super) mod answers;
mod auth;
pub(super) mod auth_state;
mod backlog;
mod connection;
pub(super) mod conversation;
mod fields;
pub(super) mod frames;
pub(super) mod heartbeat;
mod items;
mod sign_in;
mod uid;

pub use conversation::Entry;
pub use conversation::converse;
