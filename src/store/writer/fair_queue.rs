//! Fair queueing: selects the jobs of the next batch from all flows in turn, few enough that the
//! transaction stays short.

use std::collections::{HashMap, VecDeque};

use crate::store::write::FlowKey;
use crate::store::writer::BATCH_BYTES_MAX;
use crate::store::writer::queue::Job;

/// Quantum per flow, in bytes: many small jobs, or a large one.
const QUANTUM_BYTES: usize = 64 * 1024;

/// Jobs that wait for a later batch. Jobs of one flow stay in order.
pub(super) struct FairQueue {
    jobs_max: usize,
    waiting: HashMap<FlowKey, VecDeque<Job>>,
    /// The flows with waiting jobs, each once, in the order of their turns.
    order: VecDeque<FlowKey>,
}

impl FairQueue {
    /// Creates an empty queue, for batches of up to `jobs_max` jobs.
    pub(super) fn new(jobs_max: usize) -> Self {
        Self { jobs_max, waiting: HashMap::new(), order: VecDeque::new() }
    }

    /// Returns whether no job is waiting.
    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Adds the jobs of `come`, and moves the next batch to `batch`, which is empty.
    pub(super) fn take(&mut self, come: &mut Vec<Job>, batch: &mut Vec<Job>) {
        let fits = || come.iter().map(Job::bytes).sum::<usize>() <= BATCH_BYTES_MAX;
        if self.is_empty() && come.len() <= self.jobs_max && fits() {
            // Common case: all jobs fit into one batch.
            std::mem::swap(come, batch);
            return;
        }
        for job in come.drain(..) {
            let flow = job.flow;
            self.jobs_of(flow).push_back(job);
        }
        let mut bytes = 0;
        while batch.len() < self.jobs_max
            && bytes < BATCH_BYTES_MAX
            && let Some(flow) = self.order.pop_front()
        {
            let jobs = self.waiting.get_mut(&flow).expect("a flow in the order has waiting jobs");
            let before = bytes;
            while batch.len() < self.jobs_max
                && bytes < BATCH_BYTES_MAX
                && bytes - before < QUANTUM_BYTES
                && let Some(job) = jobs.pop_front()
            {
                bytes += job.bytes();
                batch.push(job);
            }
            if jobs.is_empty() {
                self.waiting.remove(&flow);
            } else {
                self.order.push_back(flow);
            }
        }
    }

    /// Puts jobs that did not fit into the batch back to the front of their flows.
    pub(super) fn put_back(&mut self, jobs: impl DoubleEndedIterator<Item = Job>) {
        for job in jobs.rev() {
            let flow = job.flow;
            self.jobs_of(flow).push_front(job);
        }
    }

    fn jobs_of(&mut self, flow: FlowKey) -> &mut VecDeque<Job> {
        self.waiting.entry(flow).or_insert_with(|| {
            self.order.push_back(flow);
            VecDeque::new()
        })
    }
}
