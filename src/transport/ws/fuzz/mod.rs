//! Fuzz targets for the frame parser and the message parsers. The results are compared with a
//! simple reference implementation.
//!
//! Under `cargo test` each target runs for a few seconds, starting with its corpus (`__fuzz__`).
//! `ARCHITECTURE.md` describes longer, coverage-guided runs.

mod frames;
mod messages;
mod reference;

use std::time::Duration;

/// How long each target runs as a test.
const TEST_TIME: Duration = Duration::from_secs(3);
