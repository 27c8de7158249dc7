//! Whether anything has passed between a client and this service since somebody last looked.
//!
//! A client that sends a large message, or reads much that waited for it, cannot answer a question in
//! between: that bytes pass is as good a sign of life.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

/// The life of one connection; copies are of the same.
#[derive(Debug, Clone, Default)]
pub struct Life(Arc<AtomicBool>);

impl Life {
    /// Notes that the client has sent something, or taken something it was waited for.
    pub fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Returns whether anything was noted since the last time this was asked.
    pub fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}
