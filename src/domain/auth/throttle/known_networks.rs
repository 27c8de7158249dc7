//! The networks that each account was used from.
//!
//! Only an authenticated owner adds an entry, so guessing cannot fill the table. The numbers of
//! accounts and of networks per account are bounded; the least recently used are evicted first.

use std::collections::HashMap;
use std::collections::VecDeque;

use crate::domain::auth::throttle::counters::Key;

/// Maximum number of accounts.
pub const ACCOUNTS_MAX: usize = 1 << 16;
/// Maximum number of networks of an account.
pub const PLACES_MAX: usize = 8;

/// The known networks of all accounts.
#[derive(Debug, Default)]
pub struct Places {
    /// Two generations. Once `young` holds half of the maximum, it replaces `old`, and the accounts
    /// that were not used since the last replacement are dropped.
    young: HashMap<Key, VecDeque<Key>>,
    old: HashMap<Key, VecDeque<Key>>,
}

impl Places {
    /// Returns whether an account was used from a network.
    pub fn knows(&self, account: Key, place: Key) -> bool {
        let places = self.young.get(&account).or_else(|| self.old.get(&account));
        places.is_some_and(|places| places.contains(&place))
    }

    /// Records that the owner of an account was authenticated on a network.
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
    fn an_account_is_known_only_on_its_own_networks() {
        let mut places = Places::default();

        places.note(1, 10);

        assert!(places.knows(1, 10));
        assert!(!places.knows(1, 11) && !places.knows(2, 10));
    }

    #[test]
    fn the_most_recent_networks_of_an_account_are_kept() {
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
    fn active_accounts_are_kept() {
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
