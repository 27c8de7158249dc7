//! A bounded number of counters, by keyed hashes of whom they are about.
//!
//! A table of small sets: the key names the set, and in a full set the count that weighs least makes
//! room. So a step costs the same however many there are, and whoever makes up accounts only pushes
//! out others that were tried once: a count that has risen stays.

use std::collections::HashMap;
use std::time::Instant;

use crate::domain::auth::throttle::rule::Count;
use crate::domain::auth::throttle::rule::Rule;

/// How many counters there may be.
pub const COUNTERS_MAX: usize = 1 << 16;
/// How many of them share a set.
const WAYS: usize = 16;
/// How many sets there may be.
const SETS: Key = (COUNTERS_MAX / WAYS) as Key;

/// Whom a counter is about: a keyed hash, of which nobody outside knows where it leads.
pub type Key = u128;

/// Counters; each is 64 bytes or less, and takes them only once it counts something.
#[derive(Debug, Default)]
pub struct Counters {
    /// Those that are not empty. A table of all, in one piece, would keep the memory around it from being
    /// given back.
    sets: HashMap<Key, Vec<Entry>>,
}

#[derive(Debug)]
struct Entry {
    key: Key,
    rule: &'static Rule,
    count: Count,
}

impl Counters {
    /// Returns the count of somebody; one of nothing if there is none.
    pub fn count(&mut self, key: Key, rule: &'static Rule, now: Instant) -> Count {
        self.entry(key, rule, now).map_or_else(|| Count::none(now), |entry| entry.count)
    }

    /// Notes an attempt of somebody.
    pub fn rise(&mut self, key: Key, rule: &'static Rule, now: Instant) {
        if let Some(entry) = self.entry(key, rule, now) {
            entry.count.rise(rule, now);
            return;
        }
        let mut count = Count::none(now);
        count.rise(rule, now);
        let set = self.sets.entry(key % SETS).or_default();
        for entry in set.iter_mut() {
            entry.count.fade(entry.rule, now);
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

    /// Takes an attempt of somebody back.
    pub fn sink(&mut self, key: Key, rule: &'static Rule, now: Instant) {
        if let Some(entry) = self.entry(key, rule, now) {
            entry.count.sink();
        }
    }

    /// Forgets all attempts of somebody.
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
        entry.count.fade(rule, now);
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

    /// Keys as a keyed hash would give them: spread evenly.
    fn made_up(count: u128) -> impl Iterator<Item = Key> {
        (1..=count).map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
    }

    #[test]
    fn there_are_never_more_than_the_bound_and_what_has_risen_stays() {
        let now = Instant::now();
        let mut counters = Counters::default();
        let guarded = 7;
        for _ in 0..6 {
            counters.rise(guarded, &RULE, now);
        }
        let wait = counters.count(guarded, &RULE, now).wait(&RULE, now);
        assert!(!wait.is_zero());

        for key in made_up(5 * COUNTERS_MAX as u128) {
            counters.rise(key, &RULE, now);
        }

        assert!(len(&counters) <= COUNTERS_MAX);
        assert_eq!(counters.count(guarded, &RULE, now).wait(&RULE, now), wait);
    }

    #[test]
    fn of_those_that_weigh_the_same_the_oldest_goes() {
        let now = Instant::now();
        let mut counters = Counters::default();
        let sets = SETS;
        let of_one_set = |number: usize| 5 + number as u128 * sets;
        for number in 0..=WAYS {
            counters.rise(of_one_set(number), &RULE, now + Duration::from_secs(number as u64));
        }

        let later = now + Duration::from_mins(1);
        assert!(counters.count(of_one_set(0), &RULE, later).is_none());
        assert!(!counters.count(of_one_set(1), &RULE, later).is_none());
        assert!(!counters.count(of_one_set(WAYS), &RULE, later).is_none());
    }

    #[test]
    fn what_is_forgotten_makes_room_first() {
        let now = Instant::now();
        let mut counters = Counters::default();
        let sets = SETS;
        for number in 0..WAYS as u128 {
            counters.rise(number * sets, &RULE, now);
        }

        counters.rise(99 * sets, &RULE, now + RULE.forgets);

        assert_eq!(len(&counters), 1);
    }

    #[test]
    fn a_counter_is_small() {
        assert!(size_of::<Entry>() <= 64, "{}", size_of::<Entry>());
    }
}
