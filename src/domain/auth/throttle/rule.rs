//! Back-off rules, and the arithmetic of one counter.
//!
//! Pure: the time is an argument. A counter rises by one with each attempt and falls by one after
//! each interval of `forgets`. Above the free attempts, each attempt doubles the wait for the next.

use std::time::{Duration, Instant};

/// Maximum level above the free attempts. It bounds the time until a flood is forgotten.
const ABOVE_MAX: u32 = 20;

/// The limits of one kind of counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Number of attempts without a wait.
    pub free: u32,
    /// Time after which one attempt is forgotten.
    pub forgets: Duration,
    /// The wait after the first attempt that is not free.
    pub first: Duration,
    /// Maximum wait.
    pub longest: Duration,
}

/// The attempts on one key that are not forgotten yet.
#[derive(Debug, Clone, Copy)]
pub struct Count {
    level: u32,
    /// Start of the current interval of `forgets`.
    since: Instant,
    /// Time of the last attempt.
    last: Instant,
}

impl Count {
    /// Returns a count of zero.
    pub const fn none(now: Instant) -> Self {
        Self { level: 0, since: now, last: now }
    }

    /// Forgets the attempts that are due at `now`.
    pub fn decay(&mut self, rule: &Rule, now: Instant) {
        let quiet = now.saturating_duration_since(self.since);
        let forgotten = quiet.as_nanos() / rule.forgets.as_nanos().max(1);
        let forgotten = u32::try_from(forgotten).unwrap_or(u32::MAX);
        if forgotten >= self.level {
            self.level = 0;
            self.since = now;
        } else {
            self.level -= forgotten;
            self.since += rule.forgets * forgotten;
        }
    }

    /// Returns how long the next attempt has to wait.
    pub fn wait(&self, rule: &Rule, now: Instant) -> Duration {
        (self.last + rule.delay(self.level)).saturating_duration_since(now)
    }

    /// Records an attempt.
    pub fn increment(&mut self, rule: &Rule, now: Instant) {
        self.level = (self.level + 1).min(rule.free + ABOVE_MAX);
        self.last = now;
    }

    /// Takes back one attempt, together with the wait that it caused.
    pub const fn decrement(&mut self) {
        self.level = self.level.saturating_sub(1);
    }

    /// Returns whether the count is zero.
    pub const fn is_none(&self) -> bool {
        self.level == 0
    }

    /// Returns the weight for eviction: the level relative to the free attempts, then the time of
    /// the last attempt.
    pub fn weight(&self, rule: &Rule) -> (i64, Instant) {
        (i64::from(self.level) - i64::from(rule.free), self.last)
    }
}

impl Rule {
    /// Returns the wait after the attempt that raised a counter to `level`.
    fn delay(&self, level: u32) -> Duration {
        let Some(doublings) = level.checked_sub(self.free + 1) else { return Duration::ZERO };
        self.first.saturating_mul(1 << doublings.min(ABOVE_MAX)).min(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Rule = Rule {
        free: 3,
        forgets: Duration::from_mins(10),
        first: Duration::from_secs(1),
        longest: Duration::from_mins(1),
    };

    /// Makes each attempt as soon as it is allowed, and returns the waits in seconds.
    fn waits(rule: &Rule, count: &mut Count, now: &mut Instant, attempts: usize) -> Vec<u64> {
        let mut waits = Vec::new();
        for _ in 0..attempts {
            count.decay(rule, *now);
            let wait = count.wait(rule, *now);
            waits.push(wait.as_secs());
            *now += wait;
            count.increment(rule, *now);
        }
        waits
    }

    #[test]
    fn backoff_doubles_above_the_free_attempts_up_to_the_maximum() {
        let mut now = Instant::now();
        let mut count = Count::none(now);

        let waits = waits(&RULE, &mut count, &mut now, 12);

        assert_eq!(waits, [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60]);
    }

    #[test]
    fn failures_decay_gradually_to_zero() {
        let mut now = Instant::now();
        let mut count = Count::none(now);
        waits(&RULE, &mut count, &mut now, 6);

        now += Duration::from_mins(10);
        count.decay(&RULE, now);
        assert_eq!((count.level, count.wait(&RULE, now)), (5, Duration::ZERO));
        now += Duration::from_mins(15);
        count.decay(&RULE, now);
        assert_eq!(count.level, 4);
        // Half of the next ten minutes has already passed.
        now += Duration::from_mins(5);
        count.decay(&RULE, now);
        assert_eq!(count.level, 3);
        now += Duration::from_hours(1);
        count.decay(&RULE, now);
        assert!(count.is_none());
    }

    #[test]
    fn a_reverted_failure_adds_no_wait() {
        let now = Instant::now();
        let mut count = Count::none(now);
        waits(&RULE, &mut count, &mut now.clone(), 3);
        count.increment(&RULE, now);
        assert!(!count.wait(&RULE, now).is_zero());

        count.decrement();

        assert_eq!(count.wait(&RULE, now), Duration::ZERO);
    }

    #[test]
    fn a_flood_raises_the_level_only_to_its_maximum() {
        let now = Instant::now();
        let mut count = Count::none(now);

        for _ in 0..1_000_000 {
            count.increment(&RULE, now);
        }

        assert_eq!(count.level, RULE.free + ABOVE_MAX);
        assert_eq!(count.wait(&RULE, now), RULE.longest);
    }
}
