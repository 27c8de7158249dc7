//! How long whoever has failed so often has to wait: the numbers, and the arithmetic of one counter.
//!
//! Pure: instants come in as arguments. A counter rises by one with each attempt, and loses one
//! whenever so much time has passed. Above what is free, each attempt doubles the wait for the next.

use std::time::Duration;
use std::time::Instant;

/// The most that a counter rises above what is free: later quiet is not spent on forgetting more.
const ABOVE_MAX: u32 = 20;

/// What one kind of counter allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// How many attempts cost nothing.
    pub free: u32,
    /// How long it takes until one is forgotten.
    pub forgets: Duration,
    /// The wait after the first that is not free.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
}

/// The attempts of somebody, as far as they are not forgotten.
#[derive(Debug, Clone, Copy)]
pub struct Count {
    level: u32,
    /// Since when the level is what it is: forgetting is counted from here.
    since: Instant,
    /// When the last attempt was.
    last: Instant,
}

impl Count {
    /// Returns the count of somebody who has not tried yet.
    pub const fn none(now: Instant) -> Self {
        Self { level: 0, since: now, last: now }
    }

    /// Forgets what is to be forgotten by now.
    pub fn fade(&mut self, rule: &Rule, now: Instant) {
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

    /// Notes an attempt.
    pub fn rise(&mut self, rule: &Rule, now: Instant) {
        self.level = (self.level + 1).min(rule.free + ABOVE_MAX);
        self.last = now;
    }

    /// Takes one attempt back, and with it the wait that it caused.
    pub const fn sink(&mut self) {
        self.level = self.level.saturating_sub(1);
    }

    /// Returns whether there is nothing to remember.
    pub const fn is_none(&self) -> bool {
        self.level == 0
    }

    /// Returns what makes one count worth more than another: how near it is to a wait, or how far
    /// beyond, then how recent it is.
    pub fn weight(&self, rule: &Rule) -> (i64, Instant) {
        (i64::from(self.level) - i64::from(rule.free), self.last)
    }
}

impl Rule {
    /// Returns the wait behind the attempt that made a counter this high.
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

    /// Tries as soon as it may, and returns how long it had to wait each time.
    fn waits(rule: &Rule, count: &mut Count, now: &mut Instant, attempts: usize) -> Vec<u64> {
        let mut waits = Vec::new();
        for _ in 0..attempts {
            count.fade(rule, *now);
            let wait = count.wait(rule, *now);
            waits.push(wait.as_secs());
            *now += wait;
            count.rise(rule, *now);
        }
        waits
    }

    #[test]
    fn above_what_is_free_the_wait_doubles_up_to_the_longest() {
        let mut now = Instant::now();
        let mut count = Count::none(now);

        let waits = waits(&RULE, &mut count, &mut now, 12);

        assert_eq!(waits, [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60]);
    }

    #[test]
    fn quiet_is_forgiven_little_by_little_and_at_last_wholly() {
        let mut now = Instant::now();
        let mut count = Count::none(now);
        waits(&RULE, &mut count, &mut now, 6);

        now += Duration::from_mins(10);
        count.fade(&RULE, now);
        assert_eq!((count.level, count.wait(&RULE, now)), (5, Duration::ZERO));
        now += Duration::from_mins(15);
        count.fade(&RULE, now);
        assert_eq!(count.level, 4);
        // Half of the next ten minutes has passed already.
        now += Duration::from_mins(5);
        count.fade(&RULE, now);
        assert_eq!(count.level, 3);
        now += Duration::from_hours(1);
        count.fade(&RULE, now);
        assert!(count.is_none());
    }

    #[test]
    fn what_is_taken_back_costs_nothing() {
        let now = Instant::now();
        let mut count = Count::none(now);
        waits(&RULE, &mut count, &mut now.clone(), 3);
        count.rise(&RULE, now);
        assert!(!count.wait(&RULE, now).is_zero());

        count.sink();

        assert_eq!(count.wait(&RULE, now), Duration::ZERO);
    }

    #[test]
    fn no_flood_takes_longer_to_be_forgotten_than_the_bound() {
        let now = Instant::now();
        let mut count = Count::none(now);

        for _ in 0..1_000_000 {
            count.rise(&RULE, now);
        }

        assert_eq!(count.level, RULE.free + ABOVE_MAX);
        assert_eq!(count.wait(&RULE, now), RULE.longest);
    }
}
