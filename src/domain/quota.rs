//! Quotas of a resource shared by all clients. Each account has a quota, and so have all visitors
//! of one address together, so that no client can exhaust the resource.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use uuid::Uuid;

use crate::model::Actor;
use crate::model::network;

/// The owner of a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Owner {
    /// An account.
    Account(Uuid),
    /// All visitors of one address (for IPv6: of one network), or all without a known address. Where
    /// accounts do not count, all clients of the address.
    Visitors(Option<IpAddr>),
    /// Clients behind proxies until they are identified. They have no quota of their own; only the
    /// total limits them.
    Proxied,
}

impl Owner {
    /// Returns the owner of the quota that an actor uses.
    #[must_use]
    pub fn of(actor: &Actor) -> Self {
        Self::of_either(actor.user, actor.profile.address)
    }

    /// Returns the owner of the quota that an actor uses, and that of all clients of its address.
    #[must_use]
    pub fn with_address(actor: &Actor) -> [Self; 2] {
        [Self::of(actor), Self::of_either(None, actor.profile.address)]
    }

    /// Returns the owner for an account or, without one, for a client address.
    #[must_use]
    pub fn of_either(user: Option<Uuid>, address: Option<IpAddr>) -> Self {
        user.map_or_else(|| Self::Visitors(address.map(network)), Self::Account)
    }
}

/// A resource with a quota per owner and a total.
#[derive(Debug)]
pub struct Quota {
    account_max: usize,
    visitors_max: usize,
    total_max: usize,
    used: Mutex<Used>,
}

#[derive(Debug, Default)]
struct Used {
    /// Only owners with a permit.
    by_owner: HashMap<Owner, usize>,
    total: usize,
}

/// The requested amount exceeds the remaining amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuotaExceeded {
    /// The owner's quota is exceeded.
    Owner,
    /// The total is exceeded.
    Total,
}

/// A permit for an amount of the resource. It is released on drop.
#[derive(Debug)]
pub struct Permit {
    quota: Arc<Quota>,
    owner: Owner,
    amount: usize,
}

impl Quota {
    /// Creates unused quotas of this size for each owner, and this total.
    #[must_use]
    pub fn new(owner_max: usize, total_max: usize) -> Arc<Self> {
        Self::with_visitors(owner_max, owner_max, total_max)
    }

    /// Creates unused quotas, with a separate size for the visitors of one address.
    #[must_use]
    pub fn with_visitors(account_max: usize, visitors_max: usize, total_max: usize) -> Arc<Self> {
        Arc::new(Self { account_max, visitors_max, total_max, used: Mutex::default() })
    }

    /// Returns the quota of this owner.
    #[must_use]
    pub const fn max_of(&self, owner: Owner) -> usize {
        match owner {
            Owner::Account(_) => self.account_max,
            Owner::Visitors(_) => self.visitors_max,
            Owner::Proxied => self.total_max,
        }
    }

    /// Returns the amount that this owner may still acquire.
    #[must_use]
    pub fn left_of(&self, owner: Owner) -> usize {
        let used = self.used.lock();
        let own = used.by_owner.get(&owner).copied().unwrap_or(0);
        let left = self.total_max.saturating_sub(used.total);
        self.max_of(owner).saturating_sub(own).min(left)
    }

    /// Returns whether nothing is left of the total.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        self.used.lock().total >= self.total_max
    }

    /// Acquires a permit for an amount, or nothing.
    ///
    /// # Errors
    /// [`QuotaExceeded`] if that exceeds the remaining amount.
    pub fn take(self: &Arc<Self>, owner: Owner, amount: usize) -> Result<Permit, QuotaExceeded> {
        let mut permit = self.nothing(owner);
        permit.resize(amount)?;
        Ok(permit)
    }

    /// Acquires a permit even beyond the remaining amount.
    #[must_use]
    pub fn take_anyway(self: &Arc<Self>, owner: Owner, amount: usize) -> Permit {
        let mut permit = self.nothing(owner);
        permit.resize_anyway(amount);
        permit
    }

    /// Creates an empty permit for an owner.
    #[must_use]
    pub fn nothing(self: &Arc<Self>, owner: Owner) -> Permit {
        Permit { quota: Arc::clone(self), owner, amount: 0 }
    }
}

impl Used {
    /// Returns the amounts held apart from this permit: by its owner and in total.
    fn beside(&self, permit: &Permit) -> (usize, usize) {
        let own = self.by_owner.get(&permit.owner).copied().unwrap_or(0);
        (own - permit.amount, self.total - permit.amount)
    }

    fn set(&mut self, permit: &mut Permit, amount: usize) {
        let (own, total) = self.beside(permit);
        let own = own.saturating_add(amount);
        if own == 0 {
            self.by_owner.remove(&permit.owner);
        } else {
            self.by_owner.insert(permit.owner, own);
        }
        self.total = total.saturating_add(amount);
        permit.amount = amount;
    }
}

impl Permit {
    /// Resizes the permit. Shrinking always succeeds.
    ///
    /// # Errors
    /// [`QuotaExceeded`] if that exceeds the remaining amount; the permit then keeps its size.
    pub fn resize(&mut self, amount: usize) -> Result<(), QuotaExceeded> {
        let quota = Arc::clone(&self.quota);
        let mut used = quota.used.lock();
        if amount > self.amount {
            let (own, total) = used.beside(self);
            if own.saturating_add(amount) > quota.max_of(self.owner) {
                return Err(QuotaExceeded::Owner);
            }
            if total.saturating_add(amount) > quota.total_max {
                return Err(QuotaExceeded::Total);
            }
        }
        used.set(self, amount);
        Ok(())
    }

    /// Resizes the permit even beyond the remaining amount. Further permits are refused until
    /// enough is released.
    pub fn resize_anyway(&mut self, amount: usize) {
        let quota = Arc::clone(&self.quota);
        quota.used.lock().set(self, amount);
    }

    /// Returns the owner of the permit.
    #[must_use]
    pub const fn owner(&self) -> Owner {
        self.owner
    }

    /// Returns the quotas that the permit counts towards.
    #[must_use]
    pub const fn quota(&self) -> &Arc<Quota> {
        &self.quota
    }

    /// Returns the amount.
    #[must_use]
    pub const fn amount(&self) -> usize {
        self.amount
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.amount > 0 {
            self.resize_anyway(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::AssertUnwindSafe;

    use proptest::prelude::*;

    use super::*;

    fn account(number: u128) -> Owner {
        Owner::Account(Uuid::from_u128(number))
    }

    #[test]
    fn permits_are_bounded_per_owner_and_in_total() {
        let quota = Quota::new(10, 15);

        let first = quota.take(account(1), 10).ok().unwrap();
        assert_eq!(quota.take(account(1), 1).err(), Some(QuotaExceeded::Owner));
        assert_eq!(quota.take(account(2), 6).err(), Some(QuotaExceeded::Total));
        let second = quota.take(account(2), 5).ok().unwrap();
        drop(first);
        let third = quota.take(account(1), 10).ok().unwrap();

        drop((second, third));
        assert!(quota.used.lock().by_owner.is_empty());
        assert_eq!(quota.used.lock().total, 0);
    }

    #[test]
    fn a_permit_resizes_within_the_remaining_quota() {
        let quota = Quota::with_visitors(10, 4, 15);
        let visitors = Owner::Visitors(None);

        let mut permit = quota.take(visitors, 1).ok().unwrap();
        assert_eq!(permit.resize(5), Err(QuotaExceeded::Owner));
        assert_eq!(permit.resize(4), Ok(()));
        let others = quota.take(account(1), 10).ok().unwrap();
        let mut third = quota.take(account(2), 1).ok().unwrap();
        assert_eq!(third.resize(2), Err(QuotaExceeded::Total));
        assert_eq!(quota.left_of(account(2)), 0);
        permit.resize(2).unwrap();
        assert_eq!(third.resize(3), Ok(()));
        assert_eq!((permit.amount(), third.amount()), (2, 3));

        drop((permit, others, third));
        assert!(quota.used.lock().by_owner.is_empty());
        assert_eq!(quota.used.lock().total, 0);
    }

    #[test]
    fn a_forced_permit_exhausts_the_quota() {
        let quota = Quota::new(10, 15);

        let much = quota.take_anyway(account(1), 20);
        assert_eq!(quota.take(account(1), 1).err(), Some(QuotaExceeded::Owner));
        assert_eq!(quota.take(account(2), 1).err(), Some(QuotaExceeded::Total));
        drop(much);

        assert!(quota.take(account(1), 10).is_ok());
        assert!(quota.used.lock().by_owner.is_empty());
    }

    /// The total in use is the sum of the live permits after any sequence of acquiring, resizing
    /// and dropping, including drops during a panic.
    #[test]
    fn usage_equals_the_sum_of_the_live_permits() {
        let step = (0..4_u128, 0..20_usize, 0..3_u8);
        proptest!(|(steps in prop::collection::vec(step, 0..60))| {
            let quota = Quota::with_visitors(30, 10, 70);
            let mut permits: Vec<Permit> = Vec::new();
            for (number, bytes, what) in steps {
                let owner = if number == 0 { Owner::Visitors(None) } else { account(number) };
                match what {
                    0 => permits.extend(quota.take(owner, bytes)),
                    1 => {
                        if let Some(permit) = permits.first_mut() {
                            let _ = permit.resize(bytes);
                        }
                    }
                    _ => {
                        let permit = permits.pop();
                        let dropped = std::panic::catch_unwind(AssertUnwindSafe(|| {
                            let _permit = permit;
                            std::panic::resume_unwind(Box::new(()));
                        }));
                        prop_assert!(dropped.is_err());
                    }
                }
                let sum: usize = permits.iter().map(Permit::amount).sum();
                let used = quota.used.lock();
                prop_assert_eq!(used.total, sum);
                prop_assert_eq!(used.by_owner.values().sum::<usize>(), sum);
                for (owner, own) in &used.by_owner {
                    prop_assert!((1..=quota.max_of(*owner)).contains(own));
                }
            }
        });
    }

    #[test]
    fn visitors_of_one_network_share_a_quota() {
        let of = |address: &str| {
            let mut actor = Actor::denied();
            actor.profile.address = Some(address.parse().unwrap());
            Owner::of(&actor)
        };

        assert_eq!(of("192.0.2.7"), of("::ffff:192.0.2.7"));
        assert_ne!(of("192.0.2.7"), of("192.0.2.8"));
        assert_eq!(of("2001:db8:0:1::1"), of("2001:db8:0:1:ffff::2"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8:0:2::1"));
    }

    #[test]
    fn only_the_total_limits_clients_behind_proxies() {
        let quota = Quota::new(1, 3);

        let _proxied = [quota.take(Owner::Proxied, 1), quota.take(Owner::Proxied, 1)];
        assert!(quota.take(account(1), 1).is_ok());
        assert_eq!(quota.left_of(Owner::Proxied), 1);
    }

    #[test]
    fn a_permit_takes_40_bytes() {
        assert!(size_of::<Permit>() <= 40, "{}", size_of::<Permit>());
    }
}
