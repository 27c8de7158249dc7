//! The nuxt-ws protocol: named topics, each sent with its complete state in every frame.
//!
//! `frames` parses and encodes frames, `pace` limits the rate of a client, and `conversation`
//! serves a connection. `domain::subscriptions::topics` provides the states.

mod conversation;
pub(super) mod frames;
mod pace;

pub use conversation::converse;
pub use frames::encode;
