//! Actions on items.

use crate::model::named::named;

named! {
    /// An action that a permission grants.
    pub enum Action {
        /// Create items.
        Create = "create",
        /// Read items.
        Read = "read",
        /// Update items.
        Update = "update",
        /// Delete items.
        Delete = "delete",
        /// Share items. It exists in Directus and has no effect here.
        Share = "share",
    }
}
