//! Who is asking.
//!
//! There is no value for "the service itself": what a connection can hold is a person, a bot or
//! the public, and the public is what is left when a sign-in fails.

use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

use crate::model::row::Row;

/// Who is asking, with the roles and policies that were in force when they were recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The account; `None` for the public.
    pub user: Option<Uuid>,
    /// The session the account was recognised by, if it was by one.
    pub session: Option<Uuid>,
    /// The account's own role.
    pub role: Option<Uuid>,
    /// The role and its ancestors, nearest first.
    pub roles: Arc<[Uuid]>,
    /// The policies in force, sorted, each once: two actors with equal lists have equal rights,
    /// apart from what rules say about `$CURRENT_USER` and `$CURRENT_ROLE`.
    pub policies: Arc<[Uuid]>,
    /// Whether some policy gives everything.
    pub admin: bool,
    /// Whether some policy gives access to an administration app (a claim that clients read).
    pub app: bool,
    /// The rows behind all that, for rules that look at them (`$CURRENT_USER.email`).
    pub profile: Profile,
}

/// The rows of an actor's account, roles and policies.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Profile {
    /// The account.
    pub user: Option<Arc<Row>>,
    /// The role and its ancestors, nearest first.
    pub roles: Arc<[Arc<Row>]>,
    /// The policies, in the order of [`Actor::policies`].
    pub policies: Arc<[Arc<Row>]>,
}

impl fmt::Debug for Profile {
    /// Says nothing: a row of an account holds secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Profile")
    }
}

impl Actor {
    /// Returns an actor whom nothing is allowed.
    #[must_use]
    pub fn nobody() -> Self {
        Self {
            user: None,
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
