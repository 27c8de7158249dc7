//! The write queue, bounded in jobs and in bytes. The quotas of single owners are up to the domain.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc;
use tokio::sync::oneshot;

use crate::store::StoreError;
use crate::store::write::FlowKey;
use crate::store::writer::{JobResult, Work};

/// A queued job, and the channel for its outcome.
pub(in crate::store) struct Job {
    pub(super) work: Work,
    pub(super) flow: FlowKey,
    pub(super) reply: oneshot::Sender<JobResult>,
    permit: QueuePermit,
}

/// The sender of the queue. Clones share it, and the queue closes with the last of them.
#[derive(Clone)]
pub(in crate::store) struct Queue {
    jobs: mpsc::Sender<Job>,
    bounds: Arc<Bounds>,
}

struct Bounds {
    jobs_max: usize,
    bytes_max: usize,
    jobs: AtomicUsize,
    bytes: AtomicUsize,
}

/// The permit of one job, released when dropped.
struct QueuePermit {
    bounds: Arc<Bounds>,
    bytes: usize,
}

impl Queue {
    /// Creates a queue of `jobs_max` jobs and `bytes_max` bytes in total, and its receiver. A
    /// larger job is accepted while no other job is queued.
    pub(in crate::store) fn new(jobs_max: usize, bytes_max: usize) -> (Self, mpsc::Receiver<Job>) {
        let (jobs, waiting) = mpsc::channel(jobs_max);
        let (count, bytes) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let bounds = Arc::new(Bounds { jobs_max, bytes_max, jobs: count, bytes });
        (Self { jobs, bounds }, waiting)
    }

    /// Queues a job, and returns the receiver of its outcome.
    pub(in crate::store) fn add(
        &self,
        work: Work,
        flow: FlowKey,
    ) -> Result<oneshot::Receiver<JobResult>, StoreError> {
        let permit = Bounds::take(&self.bounds, work.bytes()).ok_or(StoreError::QueueFull)?;
        let (reply, answer) = oneshot::channel();
        let queued = self.jobs.try_send(Job { work, flow, reply, permit });
        queued.map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => StoreError::QueueFull,
            mpsc::error::TrySendError::Closed(_) => StoreError::Stopped,
        })?;
        Ok(answer)
    }

    /// Waits until the receiver is closed.
    pub(in crate::store) async fn closed(&self) {
        self.jobs.closed().await;
    }
}

impl Job {
    /// Returns the approximate size in bytes.
    pub(super) const fn bytes(&self) -> usize {
        self.permit.bytes
    }
}

impl Bounds {
    fn take(self: &Arc<Self>, bytes: usize) -> Option<QueuePermit> {
        let jobs = self.jobs.fetch_add(1, Ordering::Relaxed);
        let others = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        // Dropped, and thereby released, if it exceeds a limit.
        let permit = QueuePermit { bounds: Arc::clone(self), bytes };
        let fits = others == 0 || others.saturating_add(bytes) <= self.bytes_max;
        (jobs < self.jobs_max && fits).then_some(permit)
    }
}

impl Drop for QueuePermit {
    fn drop(&mut self) {
        self.bounds.jobs.fetch_sub(1, Ordering::Relaxed);
        self.bounds.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_is_bounded_by_jobs_and_bytes() {
        let bounds = |jobs_max, bytes_max| {
            let (jobs, bytes) = (AtomicUsize::new(0), AtomicUsize::new(0));
            Arc::new(Bounds { jobs_max, bytes_max, jobs, bytes })
        };

        for bounds in [bounds(2, 1000), bounds(10, 20)] {
            let first = bounds.take(10);
            let second = bounds.take(10);
            assert!(first.is_some() && second.is_some());
            assert!(bounds.take(10).is_none());
            assert!(bounds.take(10).is_none());
            drop(first);
            assert!(bounds.take(10).is_some());
        }
    }

    #[test]
    fn an_oversized_job_is_accepted_only_into_an_empty_queue() {
        let (jobs, bytes) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let bounds = Arc::new(Bounds { jobs_max: 9, bytes_max: 20, jobs, bytes });

        let large = bounds.take(21);
        assert!(large.is_some());
        assert!(bounds.take(1).is_none());
        drop(large);

        let _small = bounds.take(1);
        assert!(bounds.take(21).is_none());
    }
}
