//! What is shared out among all clients, so that nobody can take all of it: each account, and all
//! visitors from one address together, have at most so much.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use uuid::Uuid;

use crate::model::Actor;
use crate::model::network;

/// Whose share something is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Owner {
    /// An account.
    Account(Uuid),
    /// All visitors from one address (of IPv6: from one network), or of whom none is known.
    Visitors(Option<IpAddr>),
}

impl Owner {
    /// Returns whose share somebody takes from.
    #[must_use]
    pub fn of(actor: &Actor) -> Self {
        match actor.user {
            Some(user) => Self::Account(user),
            None => Self::Visitors(actor.profile.address.map(network)),
        }
    }
}

/// Something of which there is only so much.
pub struct Shares {
    of_one_max: usize,
    of_all_max: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    of_each: HashMap<Owner, usize>,
    of_all: usize,
}

/// There is not as much left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spent {
    /// The owner's share is.
    One,
    /// The whole is.
    All,
}

/// Part of a share, until it is dropped.
pub struct Part {
    shares: Arc<Shares>,
    owner: Owner,
    of_one: usize,
    of_all: usize,
}

impl Shares {
    /// Returns shares of which nothing is taken.
    #[must_use]
    pub fn new(of_one_max: usize, of_all_max: usize) -> Arc<Self> {
        Arc::new(Self { of_one_max, of_all_max, taken: Mutex::default() })
    }

    /// Returns how much an owner may take.
    #[must_use]
    pub const fn of_one_max(&self) -> usize {
        self.of_one_max
    }

    /// Takes `of_one` out of an owner's share and `of_all` out of the whole, or nothing.
    ///
    /// # Errors
    /// [`Spent`] if that is more than is left.
    pub fn take(
        self: &Arc<Self>,
        owner: Owner,
        of_one: usize,
        of_all: usize,
    ) -> Result<Part, Spent> {
        let mut taken = self.taken.lock();
        let own = taken.of_each.get(&owner).copied().unwrap_or(0).saturating_add(of_one);
        let all = taken.of_all.saturating_add(of_all);
        if of_one > 0 && own > self.of_one_max {
            return Err(Spent::One);
        }
        if of_all > 0 && all > self.of_all_max {
            return Err(Spent::All);
        }
        if of_one > 0 {
            taken.of_each.insert(owner, own);
        }
        taken.of_all = all;
        Ok(Part { shares: Arc::clone(self), owner, of_one, of_all })
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let mut taken = self.shares.taken.lock();
        taken.of_all -= self.of_all;
        if let Some(own) = taken.of_each.get_mut(&self.owner) {
            *own -= self.of_one;
            if *own == 0 {
                taken.of_each.remove(&self.owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(number: u128) -> Owner {
        Owner::Account(Uuid::from_u128(number))
    }

    #[test]
    fn nobody_takes_more_than_their_share_or_than_there_is() {
        let shares = Shares::new(10, 15);

        let first = shares.take(account(1), 10, 10).ok().unwrap();
        assert_eq!(shares.take(account(1), 1, 1).err(), Some(Spent::One));
        assert_eq!(shares.take(account(2), 6, 6).err(), Some(Spent::All));
        let second = shares.take(account(2), 5, 5).ok().unwrap();
        assert_eq!(shares.take(account(2), 5, 0).err(), None);
        drop(first);
        let third = shares.take(account(1), 10, 10).ok().unwrap();

        drop((second, third));
        assert!(shares.taken.lock().of_each.is_empty());
        assert_eq!(shares.taken.lock().of_all, 0);
    }

    #[test]
    fn visitors_of_one_network_share() {
        let of = |address: &str| {
            let mut actor = Actor::nobody();
            actor.profile.address = Some(address.parse().unwrap());
            Owner::of(&actor)
        };

        assert_eq!(of("192.0.2.7"), of("::ffff:192.0.2.7"));
        assert_ne!(of("192.0.2.7"), of("192.0.2.8"));
        assert_eq!(of("2001:db8:0:1::1"), of("2001:db8:0:1:ffff::2"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8:0:2::1"));
    }
}
