//! Quotas of a resource for each account and for each address. Where sign-up is open, accounts cost
//! nothing, so all clients of one address together have only a few times the quota of one account.

use std::sync::Arc;

use crate::domain::quota::Owner;
use crate::domain::quota::Permit;
use crate::domain::quota::Quota;
use crate::model::Actor;

/// The quota of all clients of one address, as a multiple of the quota of one account.
pub const ADDRESS_FACTOR: usize = 4;

/// The quotas of each account, of the visitors of each address, and of all clients of each address.
pub struct ClientQuota {
    owner_max: usize,
    owners: Arc<Quota>,
    addresses: Arc<Quota>,
}

/// Permits from the quotas of an account and of its address. They are released on drop.
pub struct ClientPermit {
    _owner: Permit,
    _address: Permit,
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
    pub fn new(owner_max: usize) -> Self {
        let address_max = owner_max.saturating_mul(ADDRESS_FACTOR);
        let (owners, addresses) =
            (Quota::new(owner_max, usize::MAX), Quota::new(address_max, usize::MAX));
        Self { owner_max, owners, addresses }
    }

    /// Acquires a permit from the quota of an actor and from that of its address, or from neither.
    ///
    /// # Errors
    /// [`ClientQuotaExceeded`] if one of them is exhausted.
    pub fn take(&self, actor: &Actor, count: usize) -> Result<ClientPermit, ClientQuotaExceeded> {
        let (owner, address) = owners_of(actor);
        let owner = self.owners.take(owner, count).map_err(|_| match actor.user {
            Some(_) => ClientQuotaExceeded::Account,
            None => ClientQuotaExceeded::Visitors,
        })?;
        let address = self.addresses.take(address, count);
        let address = address.map_err(|_| ClientQuotaExceeded::Address)?;
        Ok(ClientPermit { _owner: owner, _address: address })
    }

    /// Acquires a permit even from an exhausted quota: a running subscription is kept.
    #[must_use]
    pub fn take_anyway(&self, actor: &Actor, count: usize) -> ClientPermit {
        let (owner, address) = owners_of(actor);
        let owner = self.owners.take_anyway(owner, count);
        ClientPermit { _owner: owner, _address: self.addresses.take_anyway(address, count) }
    }

    /// Returns the size of an exhausted quota.
    #[must_use]
    pub const fn most(&self, exceeded: ClientQuotaExceeded) -> usize {
        match exceeded {
            ClientQuotaExceeded::Account | ClientQuotaExceeded::Visitors => self.owner_max,
            ClientQuotaExceeded::Address => self.owner_max.saturating_mul(ADDRESS_FACTOR),
        }
    }
}

/// Returns the owners of the quotas of an actor and of its address.
fn owners_of(actor: &Actor) -> (Owner, Owner) {
    (Owner::of(actor), Owner::of_either(None, actor.profile.address))
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
        let kept = quota.take_anyway(&actor(Some(1), "192.0.2.1"), 5);
        drop(first);
        assert_eq!(take(Some(1), "192.0.2.2", 6).err(), Some(ClientQuotaExceeded::Account));
        let again = take(Some(1), "192.0.2.2", 5).ok().unwrap();

        drop((others, elsewhere, kept, again));
        let (here, elsewhere) = (actor(Some(1), "192.0.2.1"), actor(Some(5), "192.0.2.2"));
        for actor in [&here, &elsewhere] {
            let (owner, address) = owners_of(actor);
            assert_eq!(quota.owners.left_of(owner), 10);
            assert_eq!(quota.addresses.left_of(address), 40);
        }
    }
}
