//! The key under which the position of a client with `recover` is stored.

use std::sync::Arc;

use uuid::Uuid;

use crate::domain::quota::Owner;
use crate::store::Position;

/// The minimum length of a page's name that is valid without an account: long enough that no two
/// pages choose the same.
const OWN_BYTES_MIN: usize = 16;

/// The key under which a position is stored.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RecoveryKey {
    pub owner: Option<Uuid>,
    pub recover: Arc<str>,
    pub uid: Arc<str>,
}

impl From<Position> for RecoveryKey {
    fn from(position: Position) -> Self {
        let Position { owner, recover, uid, .. } = position;
        Self { owner, recover: recover.into(), uid: uid.into() }
    }
}

impl RecoveryKey {
    /// Creates the key of a subscription of an account, or of a page without a sign-in. The latter
    /// needs a long name, and `None` is returned for a short one: a position grants no access and
    /// so discloses nothing, but two pages may choose the same short name.
    pub fn of(user: Option<Uuid>, recover: &Arc<str>, uid: Option<&str>) -> Option<Self> {
        let key =
            Self { owner: user, recover: Arc::clone(recover), uid: uid.unwrap_or_default().into() };
        (user.is_some() || key.is_long()).then_some(key)
    }

    /// Returns the account that owns the position, if there is one.
    pub fn owner(&self) -> Option<Owner> {
        self.owner.map(Owner::Account)
    }

    /// Returns whether the name is long enough to be valid without an account.
    pub fn is_long(&self) -> bool {
        self.recover.len() >= OWN_BYTES_MIN
    }

    /// Returns the key without its account.
    pub fn page(&self) -> Self {
        Self { owner: None, ..self.clone() }
    }
}
