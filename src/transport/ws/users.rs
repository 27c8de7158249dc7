//! How fast each account may speak, over all of its sockets together.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Weak;

use parking_lot::Mutex;
use tokio::time::Instant;
use uuid::Uuid;

use crate::transport::ws::rate::Rate;

/// Below this many accounts nobody looks which of them have gone.
const KEPT_MIN: usize = 64;

/// The rates of the accounts that have a socket.
#[derive(Debug, Default)]
pub struct Users {
    rates: Mutex<HashMap<Uuid, Weak<Mutex<Rate>>>>,
}

impl Users {
    /// Returns the rate that all sockets of an account share.
    pub fn rate(&self, user: Uuid, per_second: u32, now: Instant) -> Arc<Mutex<Rate>> {
        let mut rates = self.rates.lock();
        if let Some(rate) = rates.get(&user).and_then(Weak::upgrade) {
            return rate;
        }
        if rates.len() >= KEPT_MIN && rates.len() == rates.capacity() {
            rates.retain(|_, rate| rate.strong_count() > 0);
        }
        let rate = Arc::new(Mutex::new(Rate::new(per_second, now)));
        rates.insert(user, Arc::downgrade(&rate));
        rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_of_one_account_share_its_rate_as_long_as_there_are_any() {
        let users = Users::default();
        let (ann, bob) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let now = Instant::now();

        let one = users.rate(ann, 1, now);
        let other = users.rate(ann, 1, now);

        assert!(Arc::ptr_eq(&one, &other));
        assert!(!Arc::ptr_eq(&one, &users.rate(bob, 1, now)));
    }

    #[test]
    fn accounts_that_have_gone_are_forgotten() {
        let users = Users::default();
        let now = Instant::now();

        for user in 0..10_000 {
            users.rate(Uuid::from_u128(user), 1, now);
        }

        assert!(users.rates.lock().len() < 1000);
    }
}
