//! Liveness of a client: whether bytes were received or sent since the last check.
//!
//! A client that sends a large message, or reads a large backlog, cannot answer a ping meanwhile.
//! The transfer of bytes is equal evidence of liveness.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The liveness of one connection. Clones share their state.
#[derive(Debug, Clone, Default)]
pub struct Liveness(Arc<Activity>);

#[derive(Debug, Default)]
struct Activity {
    /// Whether bytes were received or sent since the last check.
    passed: AtomicBool,
    /// Whether a write is blocked by the client. The writer limits that time.
    waits: AtomicBool,
}

impl Liveness {
    /// Records that bytes were received, or that a blocked write has made progress.
    pub fn note(&self) {
        self.0.passed.store(true, Ordering::Relaxed);
    }

    /// Records whether a write is blocked. While it is, the client has not received the last ping
    /// either. The writer disconnects it in time.
    pub fn wait(&self, waits: bool) {
        self.0.waits.store(waits, Ordering::Relaxed);
    }

    /// Returns whether there was activity since the last call, or a write is blocked.
    pub fn take(&self) -> bool {
        let passed = self.0.passed.swap(false, Ordering::Relaxed);
        passed || self.0.waits.load(Ordering::Relaxed)
    }
}
