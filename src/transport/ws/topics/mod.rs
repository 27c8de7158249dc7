//! The protocol of nuxt-ws: named topics, each with its whole state in every frame.
//!
//! `frames` is what goes over the wire, `pace` how fast clients may speak, `conversation` a
//! connection's life. What the topics hold is for `domain::realtime::topics`.

mod conversation;
pub(super) mod frames;
mod pace;

pub use conversation::converse;
pub use frames::encode;
