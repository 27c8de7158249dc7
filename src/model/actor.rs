//! Who is asking.
//!
//! There is no value for "the service itself": what a connection can hold is a person, a bot or
//! the public, and the public is what is left when a sign-in fails.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use uuid::Uuid;

use crate::model::row::Row;

/// Who is asking, with the roles and policies that were in force when they were recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The account; `None` for the public.
    pub user: Option<Uuid>,
    /// The connection of one of the public, where what it creates is to tell it from others.
    pub guest: Option<Uuid>,
    /// The session the account was recognised by, if it was by one.
    pub session: Option<Uuid>,
    /// The account's own role.
    pub role: Option<Uuid>,
    /// The role and its ancestors, nearest first.
    pub roles: Arc<[Uuid]>,
    /// The policies in force, sorted, each once: two actors with equal lists have equal rights,
    /// apart from what rules say about `$CURRENT_USER` and `$CURRENT_ROLE`. Those that do not count at
    /// the address of whoever asks are not among them.
    pub policies: Arc<[Uuid]>,
    /// Whether some policy gives everything.
    pub admin: bool,
    /// Whether some policy gives access to an administration app (a claim that clients read).
    pub app: bool,
    /// The rows behind all that, for rules that look at them (`$CURRENT_USER.email`).
    pub profile: Profile,
}

/// The rows of an actor's account, roles and policies, and where they ask from.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Profile {
    /// The account.
    pub user: Option<Arc<Row>>,
    /// The role and its ancestors, nearest first.
    pub roles: Arc<[Arc<Row>]>,
    /// The policies, in the order of [`Actor::policies`].
    pub policies: Arc<[Arc<Row>]>,
    /// The address they ask from: which policies are in force depends on it.
    pub address: Option<IpAddr>,
}

impl fmt::Debug for Profile {
    /// Says nothing: a row of an account holds secrets, and an address is somebody's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Profile")
    }
}

impl Actor {
    /// Returns whether some policy demands a second factor. It is for administration apps to ask for
    /// it, as in Directus: a request is not refused for want of one.
    #[must_use]
    pub fn enforce_tfa(&self) -> bool {
        self.profile.policies.iter().any(|policy| policy.value("enforce_tfa").is_true())
    }

    /// Returns an actor whom nothing is allowed.
    #[must_use]
    pub fn nobody() -> Self {
        Self {
            user: None,
            guest: None,
            session: None,
            role: None,
            roles: Arc::from([]),
            policies: Arc::from([]),
            admin: false,
            app: false,
            profile: Profile::default(),
        }
    }
}
