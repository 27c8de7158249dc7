//! From where each account has been used before: there its owner is no stranger.
//!
//! Only whoever proved to be the owner gets in here, so nobody can fill it by guessing. Both how many
//! accounts and how many places of one are kept is bounded; the place used least recently goes first.

use std::collections::HashMap;
use std::collections::VecDeque;

use crate::domain::auth::throttle::counters::Key;

/// How many accounts are remembered.
pub const ACCOUNTS_MAX: usize = 1 << 16;
/// How many places of each.
pub const PLACES_MAX: usize = 8;

/// Where accounts have been used before.
#[derive(Debug, Default)]
pub struct Places {
    /// Two generations: when the young are half of all, they become the old, and the old that were
    /// not used since are forgotten.
    young: HashMap<Key, VecDeque<Key>>,
    old: HashMap<Key, VecDeque<Key>>,
}

impl Places {
    /// Returns whether an account was used at a place before.
    pub fn knows(&self, account: Key, place: Key) -> bool {
        let places = self.young.get(&account).or_else(|| self.old.get(&account));
        places.is_some_and(|places| places.contains(&place))
    }

    /// Notes that the owner of an account was at a place.
    pub fn note(&mut self, account: Key, place: Key) {
        if !self.young.contains_key(&account) {
            if self.young.len() >= ACCOUNTS_MAX / 2 {
                self.old = std::mem::take(&mut self.young);
            }
            let known = self.old.remove(&account).unwrap_or_default();
            self.young.insert(account, known);
        }
        let places = self.young.entry(account).or_default();
        places.retain(|known| *known != place);
        if places.len() == PLACES_MAX {
            places.pop_front();
        }
        places.push_back(place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_known_where_it_was_used_and_nowhere_else() {
        let mut places = Places::default();

        places.note(1, 10);

        assert!(places.knows(1, 10));
        assert!(!places.knows(1, 11) && !places.knows(2, 10));
    }

    #[test]
    fn of_many_places_the_last_used_stay() {
        let mut places = Places::default();
        for place in 0..PLACES_MAX as Key {
            places.note(1, place);
        }

        places.note(1, 0);
        places.note(1, 99);

        assert!(places.knows(1, 0) && places.knows(1, 99));
        assert!(!places.knows(1, 1));
        assert_eq!(places.young[&1].len(), PLACES_MAX);
    }

    #[test]
    fn of_many_accounts_those_in_use_stay() {
        let mut places = Places::default();
        places.note(0, 10);

        for account in 1..=4 * ACCOUNTS_MAX as Key {
            places.note(account, 10);
            if account % 1000 == 0 {
                places.note(0, 10);
            }
        }

        assert!(places.young.len() + places.old.len() <= ACCOUNTS_MAX);
        assert!(places.knows(0, 10));
        assert!(!places.knows(1, 10));
    }
}
