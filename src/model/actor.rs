//! Who is asking.
//!
//! There is no value for "the service itself": what a connection can hold is a person, a bot or
//! the public, and the public is what is left when a sign-in fails.

use std::sync::Arc;

use uuid::Uuid;

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
        }
    }
}
