//! One collection under one path: list, search, read, create, update and delete, the same for all.
//!
//! This module maps collections to paths and operations. `operations` has the operations.

mod operations;

pub(super) use operations::too_long;
pub(super) use operations::write_failures;

use crate::model::Collection;
use crate::model::collection::CollectionKind;
use crate::model::history::{ACTIVITY, REVISIONS};
use crate::model::schema;
use crate::transport::rest::operation::Operation;

/// A collection and its path.
struct Resource {
    path: &'static str,
    /// `None` if the path names it.
    collection: Option<&'static Collection>,
    tag: &'static str,
    /// An item and several, in prose.
    nouns: [&'static str; 2],
    /// An item and several, in the ids of the operations.
    ids: [&'static str; 2],
}

/// Declares resources: path, collection, tag, an item and several in prose, and both in ids.
macro_rules! resources {
    ($($path:literal $collection:expr, $tag:literal, $nouns:expr, $ids:expr;)*) => {
        [$(Resource {
            path: $path,
            collection: $collection,
            tag: $tag,
            nouns: $nouns,
            ids: $ids,
        }),*]
    };
}

/// Returns the operations on all collections.
pub fn operations() -> impl Iterator<Item = Operation> {
    let resources = resources! {
        "/items/messages" Some(&schema::MESSAGES), "Messages",
            ["a message", "messages"], ["Message", "Messages"];
        "/items/{collection}" None, "Items", ["an item", "items"], ["Item", "Items"];
        "/users" Some(&schema::USERS), "Users", ["an account", "accounts"], ["User", "Users"];
        "/roles" Some(&schema::ROLES), "Roles", ["a role", "roles"], ["Role", "Roles"];
        "/policies" Some(&schema::POLICIES), "Policies",
            ["a policy", "policies"], ["Policy", "Policies"];
        "/permissions" Some(&schema::PERMISSIONS), "Permissions",
            ["a permission", "permissions"], ["Permission", "Permissions"];
        "/access" Some(&schema::ACCESS), "Access",
            ["an access row", "access rows"], ["AccessRow", "AccessRows"];
        "/settings" Some(&schema::SETTINGS), "Settings",
            ["the settings", "the settings"], ["Settings", "AllSettings"];
        "/activity" Some(&ACTIVITY), "Activity",
            ["an activity entry", "activity entries"], ["Activity", "Activities"];
        "/revisions" Some(&REVISIONS), "Revisions",
            ["a revision", "revisions"], ["Revision", "Revisions"];
    };
    resources.into_iter().flat_map(|resource| resource.operations())
}

impl Resource {
    fn operations(&self) -> Vec<Operation> {
        match self.collection.map_or(CollectionKind::Items, |collection| collection.kind) {
            CollectionKind::Single => {
                vec![self.read_single(), self.search_single(), self.update_single()]
            }
            CollectionKind::History => vec![self.list(), self.search(), self.read()],
            CollectionKind::Items => vec![
                self.list(),
                self.search(),
                self.create(),
                self.update_many(),
                self.delete_many(),
                self.read(),
                self.update(),
                self.delete(),
            ],
        }
    }
}
