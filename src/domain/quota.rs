//! Quotas of a resource shared by all clients. Each account has a quota, and so have all visitors
//! of one address together, so that no client can exhaust the resource.

use std::collections::HashMap;
use std::fmt;
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
    /// All visitors of one address (for IPv6: of one network), or all without a known address.
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

    /// Returns the owner for an account or, without one, for a client address.
    #[must_use]
    pub fn of_either(user: Option<Uuid>, address: Option<IpAddr>) -> Self {
        user.map_or_else(|| Self::Visitors(address.map(network)), Self::Account)
    }
}

/// A resource with a quota per owner and a total.
pub struct Quota {
    of_one_max: usize,
    of_visitors_max: usize,
    of_all_max: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    of_each: HashMap<Owner, usize>,
    of_all: usize,
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
pub struct Permit {
    quota: Arc<Quota>,
    owner: Owner,
    of_one: usize,
    of_all: usize,
}

impl Quota {
    /// Creates unused quotas.
    #[must_use]
    pub fn new(of_one_max: usize, of_all_max: usize) -> Arc<Self> {
        Self::with_visitors(of_one_max, of_one_max, of_all_max)
    }

    /// Creates unused quotas, with a separate size for the visitors of one address.
    #[must_use]
    pub fn with_visitors(
        of_one_max: usize,
        of_visitors_max: usize,
        of_all_max: usize,
    ) -> Arc<Self> {
        Arc::new(Self { of_one_max, of_visitors_max, of_all_max, taken: Mutex::default() })
    }

    /// Returns the quota of an account.
    #[must_use]
    pub const fn of_one_max(&self) -> usize {
        self.of_one_max
    }

    /// Returns the quota of this owner.
    #[must_use]
    pub const fn max_of(&self, owner: Owner) -> usize {
        match owner {
            Owner::Account(_) => self.of_one_max,
            Owner::Visitors(_) => self.of_visitors_max,
            Owner::Proxied => self.of_all_max,
        }
    }

    /// Returns the amount that this owner may still acquire.
    #[must_use]
    pub fn left_of(&self, owner: Owner) -> usize {
        let taken = self.taken.lock();
        let own = taken.of_each.get(&owner).copied().unwrap_or(0);
        let all = self.of_all_max.saturating_sub(taken.of_all);
        self.max_of(owner).saturating_sub(own).min(all)
    }

    /// Acquires a permit for `of_one` of the owner's quota and `of_all` of the total, or nothing.
    ///
    /// # Errors
    /// [`QuotaExceeded`] if that exceeds the remaining amount.
    pub fn take(
        self: &Arc<Self>,
        owner: Owner,
        of_one: usize,
        of_all: usize,
    ) -> Result<Permit, QuotaExceeded> {
        let mut permit = self.nothing(owner);
        permit.resize(of_one, of_all)?;
        Ok(permit)
    }

    /// Creates an empty permit for an owner.
    #[must_use]
    pub fn nothing(self: &Arc<Self>, owner: Owner) -> Permit {
        Permit { quota: Arc::clone(self), owner, of_one: 0, of_all: 0 }
    }
}

impl Taken {
    /// Returns the amounts held apart from this permit: by its owner and in total.
    fn beside(&self, permit: &Permit) -> (usize, usize) {
        let own = self.of_each.get(&permit.owner).copied().unwrap_or(0);
        (own - permit.of_one, self.of_all - permit.of_all)
    }

    fn set(&mut self, permit: &mut Permit, of_one: usize, of_all: usize) {
        let (own, all) = self.beside(permit);
        let own = own.saturating_add(of_one);
        if own == 0 {
            self.of_each.remove(&permit.owner);
        } else {
            self.of_each.insert(permit.owner, own);
        }
        self.of_all = all.saturating_add(of_all);
        (permit.of_one, permit.of_all) = (of_one, of_all);
    }
}

impl Permit {
    /// Resizes the permit. Shrinking always succeeds.
    ///
    /// # Errors
    /// [`QuotaExceeded`] if that exceeds the remaining amount; the permit then keeps its size.
    pub fn resize(&mut self, of_one: usize, of_all: usize) -> Result<(), QuotaExceeded> {
        let quota = Arc::clone(&self.quota);
        let mut taken = quota.taken.lock();
        let (own, all) = taken.beside(self);
        if of_one > self.of_one && own.saturating_add(of_one) > quota.max_of(self.owner) {
            return Err(QuotaExceeded::Owner);
        }
        if of_all > self.of_all && all.saturating_add(of_all) > quota.of_all_max {
            return Err(QuotaExceeded::Total);
        }
        taken.set(self, of_one, of_all);
        Ok(())
    }

    /// Resizes the permit even beyond the remaining amount. Further permits are refused until
    /// enough is released.
    pub fn resize_anyway(&mut self, of_one: usize, of_all: usize) {
        let quota = Arc::clone(&self.quota);
        quota.taken.lock().set(self, of_one, of_all);
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

    /// Returns the amount that counts towards the owner's quota.
    #[must_use]
    pub const fn of_one(&self) -> usize {
        self.of_one
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} of {:?}, {} of all", self.of_one, self.owner, self.of_all)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.of_one > 0 || self.of_all > 0 {
            self.resize_anyway(0, 0);
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

        let first = quota.take(account(1), 10, 10).ok().unwrap();
        assert_eq!(quota.take(account(1), 1, 1).err(), Some(QuotaExceeded::Owner));
        assert_eq!(quota.take(account(2), 6, 6).err(), Some(QuotaExceeded::Total));
        let second = quota.take(account(2), 5, 5).ok().unwrap();
        assert_eq!(quota.take(account(2), 5, 0).err(), None);
        drop(first);
        let third = quota.take(account(1), 10, 10).ok().unwrap();

        drop((second, third));
        assert!(quota.taken.lock().of_each.is_empty());
        assert_eq!(quota.taken.lock().of_all, 0);
    }

    #[test]
    fn a_permit_resizes_within_the_remaining_quota() {
        let quota = Quota::with_visitors(10, 4, 15);
        let visitors = Owner::Visitors(None);

        let mut permit = quota.take(visitors, 1, 1).ok().unwrap();
        assert_eq!(permit.resize(5, 5), Err(QuotaExceeded::Owner));
        assert_eq!(permit.resize(4, 4), Ok(()));
        let others = quota.take(account(1), 10, 10).ok().unwrap();
        let mut third = quota.take(account(2), 1, 1).ok().unwrap();
        assert_eq!(third.resize(2, 2), Err(QuotaExceeded::Total));
        assert_eq!(quota.left_of(account(2)), 0);
        permit.resize(2, 2).unwrap();
        assert_eq!(third.resize(3, 3), Ok(()));
        assert_eq!((permit.of_one(), third.of_one()), (2, 3));

        drop((permit, others, third));
        assert!(quota.taken.lock().of_each.is_empty());
        assert_eq!(quota.taken.lock().of_all, 0);
    }

    #[test]
    fn a_forced_permit_exhausts_the_quota() {
        let quota = Quota::new(10, 15);

        let mut much = quota.nothing(account(1));
        much.resize_anyway(20, 20);
        assert_eq!(quota.take(account(1), 1, 1).err(), Some(QuotaExceeded::Owner));
        assert_eq!(quota.take(account(2), 1, 1).err(), Some(QuotaExceeded::Total));
        drop(much);

        assert!(quota.take(account(1), 10, 10).is_ok());
        assert!(quota.taken.lock().of_each.is_empty());
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
                    0 => permits.extend(quota.take(owner, bytes, bytes)),
                    1 => {
                        if let Some(permit) = permits.first_mut() {
                            let _ = permit.resize(bytes, bytes);
                        }
                    }
                    _ => {
                        let permit = permits.pop();
                        let dropped = std::panic::catch_unwind(AssertUnwindSafe(|| {
                            let _part = permit;
                            std::panic::resume_unwind(Box::new(()));
                        }));
                        prop_assert!(dropped.is_err());
                    }
                }
                let sum: usize = permits.iter().map(Permit::of_one).sum();
                let taken = quota.taken.lock();
                prop_assert_eq!(taken.of_all, sum);
                prop_assert_eq!(taken.of_each.values().sum::<usize>(), sum);
                for (owner, own) in &taken.of_each {
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
}
