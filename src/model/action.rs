//! Actions on items.

/// An action that a permission grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Create items.
    Create,
    /// Read items.
    Read,
    /// Update items.
    Update,
    /// Delete items.
    Delete,
    /// Share items. It exists in Directus and has no effect here.
    Share,
}

impl Action {
    /// All actions, in display order.
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

    /// Returns the action with this name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }
}
