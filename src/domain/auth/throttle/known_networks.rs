//! The networks that each account was used from.
//!
//! Only an authenticated owner adds an entry, so guessing cannot fill the map. The numbers of
//! accounts and of networks per account are bounded.

use std::collections::VecDeque;

use parking_lot::Mutex;

use crate::domain::auth::throttle::counters::Key;
use crate::domain::bounded_map::BoundedMap;

/// Maximum number of networks of an account. The least recently used one is evicted.
const NETWORKS_MAX: usize = 8;

/// The known networks of all accounts.
#[derive(Default)]
pub struct KnownNetworks(BoundedMap<Key, Mutex<VecDeque<Key>>>);

impl KnownNetworks {
    /// Returns whether an account was used from a network.
    pub fn contains(&self, account: Key, network: Key) -> bool {
        self.0.get(&account).is_some_and(|networks| networks.lock().contains(&network))
    }

    /// Records that the owner of an account was authenticated on a network.
    pub fn add(&self, account: Key, network: Key) {
        let networks = self.0.get_or_insert(&account, Mutex::default);
        let mut networks = networks.lock();
        networks.retain(|known| *known != network);
        if networks.len() == NETWORKS_MAX {
            networks.pop_front();
        }
        networks.push_back(network);
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::bounded_map::KEYS_MAX;

    use super::*;

    #[test]
    fn an_account_is_known_only_on_its_own_networks() {
        let known = KnownNetworks::default();

        known.add(1, 10);

        assert!(known.contains(1, 10));
        assert!(!known.contains(1, 11) && !known.contains(2, 10));
    }

    #[test]
    fn the_most_recent_networks_of_an_account_are_kept() {
        let known = KnownNetworks::default();
        for network in 0..NETWORKS_MAX as Key {
            known.add(1, network);
        }

        known.add(1, 0);
        known.add(1, 99);

        assert!(known.contains(1, 0) && known.contains(1, 99));
        assert!(!known.contains(1, 1));
    }

    #[test]
    fn active_accounts_are_kept() {
        let known = KnownNetworks::default();
        known.add(0, 10);

        let accounts = 4 * Key::from(KEYS_MAX);
        for account in 1..=accounts {
            known.add(account, 10);
            if account % 1000 == 0 {
                known.add(0, 10);
            }
        }

        assert!(known.contains(0, 10));
        let kept = (0..=accounts).filter(|account| known.contains(*account, 10)).count();
        assert!(kept as u64 <= KEYS_MAX, "{kept}");
    }
}
