//! A bounded table of counters, by keyed hashes of their subjects.
//!
//! The table is set-associative: the key selects a set, and a full set evicts the counter of least
//! weight. The cost of an operation is independent of the number of counters. An attacker who
//! invents accounts evicts only counters of single attempts; a counter that has incremented stays.

use std::collections::HashMap;
use std::time::Instant;

use crate::domain::auth::throttle::rule::{Count, Rule};

/// Maximum number of counters.
pub const COUNTERS_MAX: usize = 1 << 16;
/// Number of counters in a set.
const WAYS: usize = 16;
/// Maximum number of sets.
const SETS: Key = (COUNTERS_MAX / WAYS) as Key;

/// Keyed hash of a subject; unpredictable without the key.
pub type Key = u128;

/// Counters. Each takes at most 64 bytes, allocated once it counts an attempt.
#[derive(Debug, Default)]
pub struct Counters {
    /// The sets that are not empty. A single allocation for all sets would keep adjacent memory
    /// from being released.
    sets: HashMap<Key, Vec<Entry>>,
}

#[derive(Debug)]
struct Entry {
    key: Key,
    rule: &'static Rule,
    count: Count,
}

impl Counters {
    /// Returns the count of a key; zero if there is none.
    pub fn count(&mut self, key: Key, rule: &'static Rule, now: Instant) -> Count {
        self.entry(key, rule, now).map_or_else(|| Count::none(now), |entry| entry.count)
    }

    /// Records an attempt.
    pub fn increment(&mut self, key: Key, rule: &'static Rule, now: Instant) {
        if let Some(entry) = self.entry(key, rule, now) {
            entry.count.increment(rule, now);
            return;
        }
        let mut count = Count::none(now);
        count.increment(rule, now);
        let set = self.sets.entry(key % SETS).or_default();
        for entry in set.iter_mut() {
            entry.count.decay(entry.rule, now);
        }
        set.retain(|entry| !entry.count.is_none());
        if set.len() == WAYS
            && let Some((least, _)) =
                set.iter().enumerate().min_by_key(|(_, entry)| entry.count.weight(entry.rule))
        {
            set.swap_remove(least);
        }
        set.push(Entry { key, rule, count });
    }

    /// Takes back one attempt.
    pub fn decrement(&mut self, key: Key, rule: &'static Rule, now: Instant) {
        if let Some(entry) = self.entry(key, rule, now) {
            entry.count.decrement();
        }
    }

    /// Removes the counter of a key.
    pub fn clear(&mut self, key: Key) {
        let Some(set) = self.sets.get_mut(&(key % SETS)) else { return };
        set.retain(|entry| entry.key != key);
        if set.is_empty() {
            self.sets.remove(&(key % SETS));
        }
    }

    fn entry(&mut self, key: Key, rule: &'static Rule, now: Instant) -> Option<&mut Entry> {
        let entry = self.sets.get_mut(&(key % SETS))?.iter_mut().find(|entry| entry.key == key)?;
        entry.rule = rule;
        entry.count.decay(rule, now);
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    static RULE: Rule = Rule {
        free: 3,
        forgets: Duration::from_mins(10),
        first: Duration::from_secs(1),
        longest: Duration::from_mins(15),
    };

    fn len(counters: &Counters) -> usize {
        counters.sets.values().map(Vec::len).sum()
    }

    /// Evenly distributed keys, like those of a keyed hash.
    fn made_up(count: u128) -> impl Iterator<Item = Key> {
        (1..=count).map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
    }

    #[test]
    fn counters_are_bounded_and_high_ones_are_not_evicted() {
        let now = Instant::now();
        let mut counters = Counters::default();
        let high = 7;
        for _ in 0..6 {
            counters.increment(high, &RULE, now);
        }
        let wait = counters.count(high, &RULE, now).wait(&RULE, now);
        assert!(!wait.is_zero());

        for key in made_up(5 * COUNTERS_MAX as u128) {
            counters.increment(key, &RULE, now);
        }

        assert!(len(&counters) <= COUNTERS_MAX);
        assert_eq!(counters.count(high, &RULE, now).wait(&RULE, now), wait);
    }

    #[test]
    fn the_oldest_of_equal_counters_is_evicted() {
        let now = Instant::now();
        let mut counters = Counters::default();
        let sets = SETS;
        let of_one_set = |number: usize| 5 + number as u128 * sets;
        for number in 0..=WAYS {
            counters.increment(of_one_set(number), &RULE, now + Duration::from_secs(number as u64));
        }

        let later = now + Duration::from_mins(1);
        assert!(counters.count(of_one_set(0), &RULE, later).is_none());
        assert!(!counters.count(of_one_set(1), &RULE, later).is_none());
        assert!(!counters.count(of_one_set(WAYS), &RULE, later).is_none());
    }

    #[test]
    fn decayed_counters_are_evicted_first() {
        let now = Instant::now();
        let mut counters = Counters::default();
        let sets = SETS;
        for number in 0..WAYS as u128 {
            counters.increment(number * sets, &RULE, now);
        }

        counters.increment(99 * sets, &RULE, now + RULE.forgets);

        assert_eq!(len(&counters), 1);
    }

    #[test]
    fn a_counter_fits_in_64_bytes() {
        assert!(size_of::<Entry>() <= 64, "{}", size_of::<Entry>());
    }
}
