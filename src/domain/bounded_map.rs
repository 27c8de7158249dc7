//! A map whose values clients cause to be created, with a bound on their number: a key that is used
//! often evicts keys that are used rarely, so a client that invents keys evicts only these.

use std::convert::Infallible;
use std::hash::Hash;
use std::sync::Arc;

use quick_cache::UnitWeighter;
use quick_cache::sync::Cache;

/// The maximum number of keys.
pub const KEYS_MAX: u64 = 1 << 16;
/// The number of keys to allocate memory for in advance.
const KEYS_USUAL: usize = 1 << 6;

/// A map of shared values, of at most [`KEYS_MAX`] keys.
pub struct BoundedMap<K, V>(Cache<K, Arc<V>, UnitWeighter>);

impl<K: Hash + Eq + Clone, V> Default for BoundedMap<K, V> {
    fn default() -> Self {
        Self(Cache::with_weighter(KEYS_USUAL, KEYS_MAX, UnitWeighter))
    }
}

impl<K: Hash + Eq + Clone, V> BoundedMap<K, V> {
    /// Returns the value of a key, if there is one.
    pub fn get(&self, key: &K) -> Option<Arc<V>> {
        self.0.get(key)
    }

    /// Returns the value of a key, which is created if there is none.
    pub fn get_or_insert(&self, key: &K, create: impl FnOnce() -> V) -> Arc<V> {
        let Ok(value) = self.0.get_or_insert_with(key, || Ok::<_, Infallible>(Arc::new(create())));
        value
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn one_time_keys_are_bounded_and_do_not_evict_frequent_keys() {
        let map = BoundedMap::default();
        let is_known =
            |key: u64| map.get_or_insert(&key, AtomicBool::default).swap(true, Ordering::Relaxed);
        assert!(!is_known(0));

        for once in 1..4 * KEYS_MAX {
            assert!(!is_known(once));
            if once % 64 == 0 {
                assert!(is_known(0));
            }
        }

        assert!(map.0.len() as u64 <= KEYS_MAX, "{}", map.0.len());
    }
}
