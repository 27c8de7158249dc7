//! What clients may send, made up at random: the reader of frames and the readers of messages are
//! given it, and held to what an implementation without any cleverness says.
//!
//! Under `cargo test` each target takes a few seconds, its corpus first (`__fuzz__`). How to run one
//! for longer, and led by what it reaches, is in `ARCHITECTURE.md`.

mod frames;
mod messages;
mod reference;

use std::time::Duration;

/// How long each target runs as a test.
const TEST_TIME: Duration = Duration::from_secs(3);
