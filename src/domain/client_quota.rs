//! Quotas of a resource for each account and for each address. Where sign-up is open, accounts cost
//! nothing, so all clients of one address together have only a few times the quota of one account.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::domain::quota::Owner;
use crate::model::Actor;
use crate::model::network;

/// The quota of all clients of one address, as a multiple of the quota of one account.
pub const ADDRESS_FACTOR: usize = 4;

/// The quotas of each account, of the visitors of each address, and of all clients of each address.
pub struct ClientQuota {
    of_owner_max: usize,
    taken: Mutex<TakenByClients>,
}

#[derive(Default)]
struct TakenByClients {
    by_owner: HashMap<Owner, usize>,
    by_address: HashMap<Option<IpAddr>, usize>,
}

/// A permit that counts towards the quotas of an account and of its address until it is dropped.
pub struct ClientPermit {
    quota: Arc<ClientQuota>,
    owner: Owner,
    address: Option<IpAddr>,
    count: usize,
}

/// The quota that is exhausted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientQuotaExceeded {
    /// The quota of the account.
    Account,
    /// The quota of the visitors of the address.
    Visitors,
    /// The quota of all clients of the address.
    Address,
}

impl ClientQuota {
    /// Creates quotas of this size for each account.
    #[must_use]
    pub fn new(of_owner_max: usize) -> Arc<Self> {
        Arc::new(Self { of_owner_max, taken: Mutex::default() })
    }

    /// Acquires a permit from the quota of an actor and from that of its address, or from neither.
    ///
    /// # Errors
    /// [`ClientQuotaExceeded`] if one of them is exhausted.
    pub fn take(
        self: &Arc<Self>,
        actor: &Actor,
        count: usize,
    ) -> Result<ClientPermit, ClientQuotaExceeded> {
        self.take_if(actor, count, true)
    }

    /// Returns the size of an exhausted quota.
    #[must_use]
    pub const fn most(&self, exceeded: ClientQuotaExceeded) -> usize {
        match exceeded {
            ClientQuotaExceeded::Account | ClientQuotaExceeded::Visitors => self.of_owner_max,
            ClientQuotaExceeded::Address => self.of_owner_max.saturating_mul(ADDRESS_FACTOR),
        }
    }

    /// Acquires a permit even from an exhausted quota: a running subscription is kept.
    pub fn take_anyway(self: &Arc<Self>, actor: &Actor, count: usize) -> Option<ClientPermit> {
        self.take_if(actor, count, false).ok()
    }

    fn take_if(
        self: &Arc<Self>,
        actor: &Actor,
        count: usize,
        is_bounded: bool,
    ) -> Result<ClientPermit, ClientQuotaExceeded> {
        let (owner, address) = (Owner::of(actor), actor.profile.address.map(network));
        let mut taken = self.taken.lock();
        let by_owner = taken.by_owner.get(&owner).copied().unwrap_or(0) + count;
        let by_address = taken.by_address.get(&address).copied().unwrap_or(0) + count;
        if is_bounded && by_owner > self.of_owner_max {
            return Err(match owner {
                Owner::Account(_) => ClientQuotaExceeded::Account,
                Owner::Visitors(_) | Owner::Proxied => ClientQuotaExceeded::Visitors,
            });
        }
        if is_bounded && by_address > self.of_owner_max.saturating_mul(ADDRESS_FACTOR) {
            return Err(ClientQuotaExceeded::Address);
        }
        taken.by_owner.insert(owner, by_owner);
        taken.by_address.insert(address, by_address);
        drop(taken);
        Ok(ClientPermit { quota: Arc::clone(self), owner, address, count })
    }
}

impl ClientQuotaExceeded {
    /// Returns the description of the clients that share the quota, for an error message.
    #[must_use]
    pub const fn clients(self) -> &'static str {
        match self {
            Self::Account => "one account",
            Self::Visitors => "the visitors of one address",
            Self::Address => "all clients of one address",
        }
    }
}

impl Drop for ClientPermit {
    fn drop(&mut self) {
        let mut taken = self.quota.taken.lock();
        give_back(&mut taken.by_owner, &self.owner, self.count);
        give_back(&mut taken.by_address, &self.address, self.count);
    }
}

fn give_back<K: Eq + Hash>(taken: &mut HashMap<K, usize>, key: &K, count: usize) {
    if let Some(left) = taken.get_mut(key) {
        *left -= count;
        if *left == 0 {
            taken.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn actor(user: Option<u128>, address: &str) -> Actor {
        let mut actor = Actor::denied();
        actor.user = user.map(Uuid::from_u128);
        actor.profile.address = Some(address.parse().unwrap());
        actor
    }

    #[test]
    fn account_and_address_quotas_are_enforced_and_released() {
        let quota = ClientQuota::new(10);
        let take = |user, address, count| quota.take(&actor(user, address), count);

        let first = take(Some(1), "192.0.2.1", 10).ok().unwrap();
        assert_eq!(take(Some(1), "192.0.2.2", 1).err(), Some(ClientQuotaExceeded::Account));
        let others: Vec<_> =
            (2..=4).map(|user| take(Some(user), "192.0.2.1", 10).ok().unwrap()).collect();
        assert_eq!(take(Some(5), "192.0.2.1", 1).err(), Some(ClientQuotaExceeded::Address));
        assert_eq!(take(None, "192.0.2.1", 1).err(), Some(ClientQuotaExceeded::Address));
        let elsewhere = take(Some(5), "192.0.2.2", 1).ok().unwrap();
        let kept = quota.take_anyway(&actor(Some(1), "192.0.2.1"), 5).unwrap();
        drop(first);
        assert_eq!(take(Some(1), "192.0.2.2", 6).err(), Some(ClientQuotaExceeded::Account));
        let again = take(Some(1), "192.0.2.2", 5).ok().unwrap();

        drop((others, elsewhere, kept, again));
        assert!(quota.taken.lock().by_owner.is_empty());
        assert!(quota.taken.lock().by_address.is_empty());
    }
}
