//! The minimum rate at which a client has to read a response: a client that reads nothing for ten
//! seconds, or less than a kilobyte per second for longer, is disconnected.
//!
//! Computes from the given times only. HTTP connections (`app::connection`) and sockets
//! (`ws::writer`) use the same rate.

use std::time::Duration;

/// Maximum time without progress.
pub const STALL_MAX: Duration = Duration::from_secs(10);
/// Number of bytes a client has to read in that time.
const TAKEN_MIN: u32 = 10 * 1024;

/// The remaining time for one client. Waiting uses it up, and written bytes restore it.
#[derive(Debug)]
pub struct MinimumRate {
    stall_max: Duration,
    left: Duration,
}

impl MinimumRate {
    /// Creates the rate of a client that may stall for `stall_max`.
    #[must_use]
    pub const fn new(stall_max: Duration) -> Self {
        Self { stall_max, left: stall_max }
    }

    /// Returns the remaining time without progress.
    #[must_use]
    pub const fn left(&self) -> Duration {
        self.left
    }

    /// Records progress after a wait. The bytes restore as much time as the minimum rate grants for
    /// them: a client that reads single bytes lasts no longer than one that reads nothing. Returns
    /// whether the client keeps the rate.
    pub fn note(&mut self, waited: Duration, taken: usize) -> bool {
        let taken = u32::try_from(taken).unwrap_or(TAKEN_MIN).min(TAKEN_MIN);
        let earned = self.stall_max * taken / TAKEN_MIN;
        self.left = (self.left.saturating_sub(waited) + earned).min(self.stall_max);
        !self.left.is_zero()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minimum_rate_is_a_kilobyte_per_second() {
        let second = Duration::from_secs(1);

        for (taken, keeps_to_it) in
            [(1024, true), (2048, true), (1 << 30, true), (900, false), (1, false)]
        {
            let mut rate = MinimumRate::new(STALL_MAX);
            // Repeated, so that the missing time adds up.
            let is_over = (0..200).any(|_| !rate.note(second, taken) || rate.left() < second);

            assert_eq!(!is_over, keeps_to_it, "{taken}");
        }
    }
}
