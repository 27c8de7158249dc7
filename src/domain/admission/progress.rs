//! How far delivery has got: the last event whose frames were written to the sockets, and the time that
//! writing takes.
//!
//! A socket that takes nothing is written by a task of its own, so no event waits for it here.

use std::sync::atomic::AtomicI64;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The time of a delivery before any was measured, in nanoseconds, and the bounds of a measurement.
const NANOS_USUAL: u64 = 5_000;
const NANOS_MIN: u64 = 1_000;
const NANOS_MAX: u64 = 100_000;
/// The weight of a measurement is one of this number.
const SMOOTHING: u64 = 8;
/// The smallest round that is a measurement.
const ROUND_MIN: u64 = 16;

/// How far delivery has got.
#[derive(Debug)]
pub struct Progress {
    /// The last event whose frames are in the outboxes.
    delivered: AtomicI64,
    /// The last event whose frames each thread has written; `i64::MAX` for a thread without work.
    written: Box<[AtomicI64]>,
    /// The nanoseconds of a write to one socket.
    nanos: AtomicU64,
}

impl Progress {
    /// Returns the progress of a number of threads that write sockets.
    #[must_use]
    pub fn new(threads: usize) -> Self {
        Self {
            delivered: AtomicI64::new(0),
            written: (0..threads).map(|_| AtomicI64::new(i64::MAX)).collect(),
            nanos: AtomicU64::new(NANOS_USUAL),
        }
    }

    /// Notes the last event whose frames are in the outboxes.
    pub fn deliver(&self, seq: i64) {
        self.delivered.store(seq, Ordering::SeqCst);
    }

    /// Returns the last event whose frames are in the outboxes. To be called by a thread before it takes
    /// its work.
    #[must_use]
    pub fn delivered(&self) -> i64 {
        self.delivered.load(Ordering::SeqCst)
    }

    /// Notes that a thread has written all frames up to an event, `count` sockets in `elapsed`.
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

    /// Notes that a thread has no work. To be called while no work can be added.
    pub fn sleep(&self, thread: usize) {
        self.set(thread, i64::MAX);
    }

    /// Notes that a thread has work again. To be called before anything later is delivered.
    pub fn wake(&self, thread: usize) {
        self.set(thread, self.delivered());
    }

    fn set(&self, thread: usize, seq: i64) {
        if let Some(written) = self.written.get(thread) {
            written.store(seq, Ordering::SeqCst);
        }
    }

    /// Returns the last event whose frames were written.
    #[must_use]
    pub fn written(&self) -> i64 {
        // Read first: a thread that has no work afterwards has written all of that.
        let delivered = self.delivered();
        let written = self.written.iter().map(|written| written.load(Ordering::SeqCst));
        written.fold(delivered, i64::min)
    }

    /// Returns the time that a delivery takes of all threads.
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
    fn an_event_is_written_once_each_thread_with_work_has_written_it() {
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
    fn the_time_of_a_delivery_follows_the_measurements_and_not_small_rounds() {
        let progress = Progress::new(1);
        for _ in 0..100 {
            progress.write(0, 1, 500, Duration::from_millis(10));
            progress.write(0, 1, 1, Duration::from_secs(1));
        }

        let micros = progress.of_delivery().as_micros();
        assert!((19..=20).contains(&micros), "{micros}");
    }

    #[test]
    fn without_threads_all_that_is_delivered_counts_as_written() {
        let progress = Progress::new(0);
        progress.deliver(3);

        assert_eq!(progress.written(), 3);
        assert!(!progress.of_delivery().is_zero());
    }
}
