//! A byte budget for frames that clients have yet to read, with back-pressure.
//!
//! A client that does not read its events is disconnected, since it cannot be made to read. Answers
//! apply back-pressure instead: while too many are unread, the client's further requests wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::domain::delivery::outbox::FRAME_OVERHEAD;

/// A byte budget for frames that have not been written yet, counted as in the outbox. Clones share
/// the count.
#[derive(Debug, Clone)]
pub struct ByteBudget(Arc<Budget>);

#[derive(Debug)]
struct Budget {
    bytes: AtomicUsize,
    bytes_max: usize,
    released: Notify,
    /// The budget that this one is a part of: these bytes count towards it as well.
    whole: Option<ByteBudget>,
}

impl ByteBudget {
    /// Creates a budget of `bytes_max` bytes.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self::within(bytes_max, None)
    }

    /// Creates a budget of `bytes_max` bytes within this one: its frames count towards both.
    #[must_use]
    pub fn part(&self, bytes_max: usize) -> Self {
        Self::within(bytes_max, Some(self.clone()))
    }

    fn within(bytes_max: usize, whole: Option<Self>) -> Self {
        let (bytes, released) = (AtomicUsize::new(0), Notify::new());
        Self(Arc::new(Budget { bytes, bytes_max, released, whole }))
    }

    /// Returns the number of unread bytes.
    pub(in crate::domain) fn bytes(&self) -> usize {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// Returns the limit, in bytes.
    pub(in crate::domain) fn bytes_max(&self) -> usize {
        self.0.bytes_max
    }

    /// Counts a frame until its writer drops it.
    #[must_use]
    pub fn track(&self, frame: Bytes) -> Bytes {
        self.add(frame.len() + FRAME_OVERHEAD);
        Bytes::from_owner(Tracked { frame, budget: self.clone() })
    }

    /// Returns whether the budget allows another frame.
    #[must_use]
    pub fn has_capacity(&self) -> bool {
        self.bytes() < self.0.bytes_max
    }

    /// Waits until a frame was released. The caller then checks [`ByteBudget::has_capacity`] again.
    pub async fn released(&self) {
        self.0.released.notified().await;
    }

    fn add(&self, bytes: usize) {
        self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
        if let Some(whole) = &self.0.whole {
            whole.add(bytes);
        }
    }

    fn release(&self, bytes: usize) {
        self.0.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.0.released.notify_one();
        if let Some(whole) = &self.0.whole {
            whole.release(bytes);
        }
    }
}

struct Tracked {
    frame: Bytes,
    budget: ByteBudget,
}

impl AsRef<[u8]> for Tracked {
    fn as_ref(&self) -> &[u8] {
        &self.frame
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.budget.release(self.frame.len() + FRAME_OVERHEAD);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn frames_are_counted_until_they_are_dropped() {
        let budget = ByteBudget::new(4 + 2 * FRAME_OVERHEAD);

        let first = budget.track(Bytes::from_static(b"abc"));
        assert!(budget.has_capacity());
        let second = budget.track(Bytes::from_static(b"d"));
        assert!(!budget.has_capacity());
        assert_eq!(first, "abc");

        drop(first);

        assert!(budget.has_capacity());
        drop(second);
    }

    #[test]
    fn a_partial_budget_also_counts_for_its_parent() {
        let all = ByteBudget::new(3 + FRAME_OVERHEAD);
        let (one, other) = (all.part(1000), all.part(1000));

        let first = one.track(Bytes::from_static(b"abc"));
        let second = other.track(Bytes::from_static(b"d"));

        assert_eq!(all.bytes(), one.bytes() + other.bytes());
        drop(first);
        assert!(one.has_capacity() && all.has_capacity());
        drop(second);
        assert_eq!(all.bytes(), 0);
    }

    #[test]
    fn a_release_before_the_wait_is_not_lost() {
        let budget = ByteBudget::new(1);
        assert!(budget.released().now_or_never().is_none());

        drop(budget.track(Bytes::from_static(b"abc")));

        assert!(budget.released().now_or_never().is_some());
    }
}
