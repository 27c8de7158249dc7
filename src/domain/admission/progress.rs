//! Delivery progress: the last event with all its frames written to the sockets, and the time that
//! a write takes.
//!
//! A blocked socket is written by a task of its own, so no event waits for it here.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// In nanoseconds: the time of a delivery before any measurement, and the limits of a measurement.
const NANOS_USUAL: u64 = 5_000;
const NANOS_MIN: u64 = 1_000;
const NANOS_MAX: u64 = 100_000;
/// The inverse weight of a measurement in the moving average.
const SMOOTHING: u64 = 8;
/// The minimum number of sockets in a round for a measurement.
const ROUND_MIN: u64 = 16;

/// Delivery progress.
#[derive(Debug)]
pub struct Progress {
    /// The last event with all its frames in the send queues.
    delivered: AtomicI64,
    /// The last event that each thread has written; `i64::MAX` for an idle thread.
    written: Box<[AtomicI64]>,
    /// The average time of a write to one socket, in nanoseconds.
    nanos: AtomicU64,
}

impl Progress {
    /// Creates the progress of a number of writer threads.
    #[must_use]
    pub fn new(threads: usize) -> Self {
        Self {
            delivered: AtomicI64::new(0),
            written: (0..threads).map(|_| AtomicI64::new(i64::MAX)).collect(),
            nanos: AtomicU64::new(NANOS_USUAL),
        }
    }

    /// Records the last event in the send queues.
    pub fn deliver(&self, seq: i64) {
        self.delivered.store(seq, Ordering::SeqCst);
    }

    /// Returns the last event in the send queues. A thread must call this before it takes its work.
    #[must_use]
    pub fn delivered(&self) -> i64 {
        self.delivered.load(Ordering::SeqCst)
    }

    /// Records that a thread has written all frames up to `seq`, to `count` sockets in `elapsed`.
    pub fn write(&self, thread: usize, seq: i64, count: usize, elapsed: Duration) {
        self.set(thread, seq);
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        if count >= ROUND_MIN {
            let each = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX) / count;
            let before = self.nanos.load(Ordering::Relaxed);
            let each = each.clamp(NANOS_MIN, NANOS_MAX);
            let smooth = (before * (SMOOTHING - 1) + each) / SMOOTHING;
            self.nanos.store(smooth, Ordering::Relaxed);
        }
    }

    /// Records that a thread is idle. Must be called while no work can be added.
    pub fn sleep(&self, thread: usize) {
        self.set(thread, i64::MAX);
    }

    /// Records that a thread has work again. Must be called before a later event is delivered.
    pub fn wake(&self, thread: usize) {
        self.set(thread, self.delivered());
    }

    fn set(&self, thread: usize, seq: i64) {
        if let Some(written) = self.written.get(thread) {
            written.store(seq, Ordering::SeqCst);
        }
    }

    /// Returns the last event that all threads have written.
    #[must_use]
    pub fn written(&self) -> i64 {
        // Read first: a thread that is idle afterwards has written everything up to this event.
        let delivered = self.delivered();
        let written = self.written.iter().map(|written| written.load(Ordering::SeqCst));
        written.fold(delivered, i64::min)
    }

    /// Returns the average time of a delivery, divided among all threads.
    #[must_use]
    pub fn of_delivery(&self) -> Duration {
        let threads = u64::try_from(self.written.len().max(1)).unwrap_or(1);
        Duration::from_nanos(self.nanos.load(Ordering::Relaxed) / threads)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(10);

    #[test]
    fn an_event_is_written_after_every_busy_thread_wrote_it() {
        let progress = Progress::new(2);
        progress.deliver(5);
        assert_eq!(progress.written(), 5);

        progress.wake(0);
        progress.wake(1);
        progress.deliver(6);
        assert_eq!(progress.written(), 5);
        progress.write(0, 6, 1, SOON);
        progress.sleep(0);
        assert_eq!(progress.written(), 5);
        progress.write(1, 6, 1, SOON);
        progress.deliver(7);
        assert_eq!(progress.written(), 6);
        progress.sleep(1);
        assert_eq!(progress.written(), 7);
    }

    #[test]
    fn delivery_time_is_estimated_from_large_rounds_only() {
        let progress = Progress::new(1);
        for _ in 0..100 {
            progress.write(0, 1, 500, Duration::from_millis(10));
            progress.write(0, 1, 1, Duration::from_secs(1));
        }

        let micros = progress.of_delivery().as_micros();
        assert!((19..=20).contains(&micros), "{micros}");
    }

    #[test]
    fn without_threads_delivered_events_count_as_written() {
        let progress = Progress::new(0);
        progress.deliver(3);

        assert_eq!(progress.written(), 3);
        assert!(!progress.of_delivery().is_zero());
    }
}
