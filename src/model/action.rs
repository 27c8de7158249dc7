//! What can be done with items.

/// A right that a permission gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Create them.
    Create,
    /// Read them.
    Read,
    /// Change them.
    Update,
    /// Delete them.
    Delete,
    /// Share them: a right that exists in Directus and means nothing here.
    Share,
}

impl Action {
    /// All actions, in the order in which they are listed.
    pub const ALL: [Self; 5] = [Self::Create, Self::Read, Self::Update, Self::Delete, Self::Share];

    /// Returns the name on the wire and in `directus_permissions`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Read => "read",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Share => "share",
        }
    }

    /// Returns the action of this name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }
}
