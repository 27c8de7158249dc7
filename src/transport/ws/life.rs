//! Whether anything has passed between a client and this service since somebody last looked.
//!
//! A client that sends a large message, or reads much that waited for it, cannot answer a question in
//! between: that bytes pass is as good a sign of life.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

/// The life of one connection; copies are of the same.
#[derive(Debug, Clone, Default)]
pub struct Life(Arc<Signs>);

#[derive(Debug, Default)]
struct Signs {
    /// Whether bytes have passed since somebody looked.
    passed: AtomicBool,
    /// Whether somebody waits for the client to take something, and will not wait for ever.
    waits: AtomicBool,
}

impl Life {
    /// Notes that the client has sent something, or taken something it was waited for.
    pub fn note(&self) {
        self.0.passed.store(true, Ordering::Relaxed);
    }

    /// Notes whether the client is waited for to take something: until it does, it has not been asked
    /// for anything either. Whoever waits gives it up in time.
    pub fn wait(&self, waits: bool) {
        self.0.waits.store(waits, Ordering::Relaxed);
    }

    /// Returns whether anything was noted since the last time this was asked, or the client is waited
    /// for.
    pub fn take(&self) -> bool {
        let passed = self.0.passed.swap(false, Ordering::Relaxed);
        passed || self.0.waits.load(Ordering::Relaxed)
    }
}
