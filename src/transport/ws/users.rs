//! Message rate limits of accounts, over all of their sockets, and of addresses, over all of the
//! sockets without an account.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::Weak;

use parking_lot::Mutex;
use tokio::time::Instant;
use uuid::Uuid;

use crate::domain::rate::Rate;
use crate::model::network;

/// Number of entries below which unused ones are not removed.
const KEPT_MIN: usize = 64;

/// The key of a shared rate limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Who {
    /// An account.
    Account(Uuid),
    /// All visitors of one network address.
    Visitors(IpAddr),
}

impl Who {
    /// Returns the key of a client, or `None` if it has neither an account nor an address.
    #[must_use]
    pub fn of(user: Option<Uuid>, from: Option<IpAddr>) -> Option<Self> {
        let visitors = || from.map(network).map(Self::Visitors);
        user.map(Self::Account).or_else(visitors)
    }
}

/// The shared token buckets of all clients with an open socket.
#[derive(Debug, Default)]
pub struct Users {
    rates: Mutex<HashMap<Who, Weak<Mutex<Rate>>>>,
}

impl Users {
    /// Returns the token bucket that all sockets of a client share.
    pub fn rate(&self, user: Who, per_second: u32, now: Instant) -> Arc<Mutex<Rate>> {
        let mut rates = self.rates.lock();
        if let Some(rate) = rates.get(&user).and_then(Weak::upgrade) {
            return rate;
        }
        if rates.len() >= KEPT_MIN && rates.len() == rates.capacity() {
            rates.retain(|_, rate| rate.strong_count() > 0);
        }
        let rate = Arc::new(Mutex::new(Rate::new(per_second, now.into_std())));
        rates.insert(user, Arc::downgrade(&rate));
        rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(number: u128) -> Who {
        Who::Account(Uuid::from_u128(number))
    }

    #[test]
    fn visitors_of_one_network_share_a_key() {
        let of = |address: &str| Who::of(None, Some(address.parse().unwrap()));

        assert_eq!(of("2001:db8::1"), of("2001:db8::2"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8::1"));
        assert_eq!(Who::of(None, None), None);
        let user = Uuid::from_u128(1);
        assert_eq!(Who::of(Some(user), "::1".parse().ok()), Some(Who::Account(user)));
    }

    #[test]
    fn sockets_of_an_account_share_one_rate_limit() {
        let users = Users::default();
        let (ann, bob) = (account(1), account(2));
        let now = Instant::now();

        let one = users.rate(ann, 1, now);
        let other = users.rate(ann, 1, now);

        assert!(Arc::ptr_eq(&one, &other));
        assert!(!Arc::ptr_eq(&one, &users.rate(bob, 1, now)));
    }

    #[test]
    fn unused_rate_limits_are_removed() {
        let users = Users::default();
        let now = Instant::now();

        for user in 0..10_000 {
            users.rate(account(user), 1, now);
        }

        assert!(users.rates.lock().len() < 1000);
    }
}
