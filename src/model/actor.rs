//! The principal of a request.
//!
//! There is no value for the service itself: a connection can hold a person, a bot or the public,
//! and it falls back to the public when a sign-in fails.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::model::row::Row;
use crate::model::schema::policies;

use uuid::Uuid;

/// The principal of a request, with the roles and policies in force when it was authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The account; `None` for the public.
    pub user: Option<Uuid>,
    /// The connection of a public client, if items it creates record which connection created them.
    pub guest: Option<Uuid>,
    /// The session the account was authenticated by, if any.
    pub session: Option<Uuid>,
    /// The account's own role.
    pub role: Option<Uuid>,
    /// The role and its ancestors, nearest first.
    pub roles: Arc<[Uuid]>,
    /// The policies in force, sorted and without duplicates. Two actors with equal lists have equal
    /// rights, except for rules that use `$CURRENT_USER` and `$CURRENT_ROLE`. Policies that do not
    /// apply to the client's address are not included.
    pub policies: Arc<[Uuid]>,
    /// Whether a policy grants admin access.
    pub admin: bool,
    /// Whether a policy grants access to an administration app (a claim that clients read).
    pub app: bool,
    /// The rows of account, roles and policies, for rules that use their fields
    /// (`$CURRENT_USER.email`).
    pub profile: Profile,
}

/// The rows of an actor's account, roles and policies, and the client's address.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Profile {
    /// The account.
    pub user: Option<Arc<Row>>,
    /// The role and its ancestors, nearest first.
    pub roles: Arc<[Arc<Row>]>,
    /// The policies, in the order of [`Actor::policies`].
    pub policies: Arc<[Arc<Row>]>,
    /// The client's address. Some policies apply only to certain addresses.
    pub address: Option<IpAddr>,
}

impl fmt::Debug for Profile {
    /// Prints no content: an account row holds secrets, and an address is personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Profile")
    }
}

impl Actor {
    /// Returns whether a policy requires a second factor. As in Directus, enforcement is up to the
    /// administration app: a request without one is not refused.
    #[must_use]
    pub fn enforce_tfa(&self) -> bool {
        self.profile.policies.iter().any(|policy| policy.get(&policies::enforce_tfa) == Some(true))
    }

    /// Returns an actor without any rights.
    #[must_use]
    pub fn denied() -> Self {
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
