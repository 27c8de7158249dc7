//! The recovery of clients that keep no cursors: the positions that they have acknowledged, and the
//! events that an account missed while it was not signed in.

pub mod identity_gap;
pub mod key;
pub mod store;
