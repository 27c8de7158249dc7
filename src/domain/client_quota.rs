//! Quotas of a resource for each account and for each address. Where sign-up is open, accounts cost
//! nothing, so all clients of one address together have only a few times the quota of one account.

use std::sync::Arc;

use crate::domain::quota::{Owner, Permit, Quota};
use crate::model::Actor;

/// The quota of all clients of one address, as a multiple of the quota of one account.
pub const ADDRESS_FACTOR: usize = 4;

/// The quotas of each account, of the visitors of each address, and of all clients of each address.
pub struct ClientQuota {
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
pub struct ClientQuotaExceeded {
    /// The clients that share the quota, for an error message.
    pub clients: &'static str,
    /// The size of the quota.
    pub max: usize,
}

impl ClientQuota {
    /// Creates quotas of this size for each account.
    #[must_use]
    pub fn new(owner_max: usize) -> Self {
        let address_max = owner_max.saturating_mul(ADDRESS_FACTOR);
        Self {
            owners: Quota::new(owner_max, usize::MAX),
            addresses: Quota::new(address_max, usize::MAX),
        }
    }

    /// Acquires a permit from the quota of an actor and from that of its address, or from neither.
    ///
    /// # Errors
    /// [`ClientQuotaExceeded`] if one of them is exhausted.
    pub fn take(&self, actor: &Actor, count: usize) -> Result<ClientPermit, ClientQuotaExceeded> {
        let [owner, address] = Owner::with_address(actor);
        let visitors = "the visitors of one address";
        let clients = if actor.user.is_some() { "one account" } else { visitors };
        Ok(ClientPermit {
            _owner: take(&self.owners, owner, count, clients)?,
            _address: take(&self.addresses, address, count, "all clients of one address")?,
        })
    }

    /// Acquires a permit even from an exhausted quota: a running subscription is kept.
    #[must_use]
    pub fn take_anyway(&self, actor: &Actor, count: usize) -> ClientPermit {
        let [owner, address] = Owner::with_address(actor);
        let owner = self.owners.take_anyway(owner, count);
        ClientPermit { _owner: owner, _address: self.addresses.take_anyway(address, count) }
    }
}

fn take(
    quota: &Arc<Quota>,
    owner: Owner,
    count: usize,
    clients: &'static str,
) -> Result<Permit, ClientQuotaExceeded> {
    let exceeded = ClientQuotaExceeded { clients, max: quota.max_of(owner) };
    quota.take(owner, count).map_err(|_| exceeded)
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

    fn exceeded(taken: Result<ClientPermit, ClientQuotaExceeded>) -> &'static str {
        taken.err().unwrap().clients
    }

    #[test]
    fn account_and_address_quotas_are_enforced_and_released() {
        let quota = ClientQuota::new(10);
        let take = |user, address, count| quota.take(&actor(user, address), count);

        let first = take(Some(1), "192.0.2.1", 10).ok().unwrap();
        assert_eq!(exceeded(take(Some(1), "192.0.2.2", 1)), "one account");
        let others: Vec<_> =
            (2..=4).map(|user| take(Some(user), "192.0.2.1", 10).ok().unwrap()).collect();
        assert_eq!(exceeded(take(Some(5), "192.0.2.1", 1)), "all clients of one address");
        assert_eq!(exceeded(take(None, "192.0.2.1", 1)), "all clients of one address");
        let elsewhere = take(Some(5), "192.0.2.2", 1).ok().unwrap();
        let kept = quota.take_anyway(&actor(Some(1), "192.0.2.1"), 5);
        drop(first);
        assert_eq!(exceeded(take(Some(1), "192.0.2.2", 6)), "one account");
        let again = take(Some(1), "192.0.2.2", 5).ok().unwrap();

        drop((others, elsewhere, kept, again));
        let (here, elsewhere) = (actor(Some(1), "192.0.2.1"), actor(Some(5), "192.0.2.2"));
        for actor in [&here, &elsewhere] {
            let [owner, address] = Owner::with_address(actor);
            assert_eq!(quota.owners.left_of(owner), 10);
            assert_eq!(quota.addresses.left_of(address), 40);
        }
    }
}
