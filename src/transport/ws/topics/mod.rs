//! The nuxt-ws protocol: named topics, each sent with its complete state in every frame.
//!
//! `frames` parses and encodes frames, and `conversation` serves a connection.
//! `domain::subscriptions::topics` provides the states.

mod conversation;
pub(super) mod frames;

pub use conversation::converse;
pub use frames::encode;
