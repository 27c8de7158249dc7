//! The protocol of Directus.
//!
//! `frames` is what clients send, `auth` one of them, and `answers` what they get; `connection`
//! turns one into a call of the domain and its result into the other; `conversation` keeps the
//! order of frames and the time, `backlog` and `pace` the bounds, `sign_in` who it is; `standing`
//! and `heartbeat` decide without waiting or sending.

pub(super) mod answers;
mod auth;
mod backlog;
mod confirming;
mod connection;
pub(super) mod conversation;
mod fields;
pub(super) mod frames;
pub(super) mod heartbeat;
mod items;
pub(super) mod pace;
mod sign_in;
pub(super) mod standing;
mod uid;

pub use conversation::Entry;
pub use conversation::converse;
