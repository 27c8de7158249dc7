//! One collection under one path: list, search, read, create, update and delete, the same for all.
//!
//! This module maps collections to paths and operations. `operations` has the operations, and
//! `shown` the documentation of their items.

mod operations;
mod shown;

pub(super) use shown::too_long;
pub(super) use shown::write_failures;

use crate::model::Collection;
use crate::model::collection::CollectionKind;
use crate::model::history::ACTIVITY;
use crate::model::history::REVISIONS;
use crate::model::schema;
use crate::transport::rest::operation::Operation;

/// A collection and its path.
struct Resource {
    path: &'static str,
    /// `None` if the path names it.
    collection: Option<&'static Collection>,
    tag: &'static str,
    names: Names,
}

/// The names of the operations on a resource.
struct Names {
    list: Named,
    search: Named,
    create: Named,
    update_many: Named,
    delete_many: Named,
    read: Named,
    update: Named,
    delete: Named,
}

/// An operation's id and summary.
struct Named(&'static str, &'static str);

/// Derives the names from the singular and the plural of the items.
macro_rules! names {
    ($one:literal, $many:literal, $id:literal, $ids:literal) => {
        Names {
            list: Named(concat!("read", $ids), concat!("List ", $many)),
            search: Named(concat!("search", $ids), concat!("Search ", $many)),
            create: Named(concat!("create", $ids), concat!("Create ", $many)),
            update_many: Named(concat!("update", $ids), concat!("Update several ", $many)),
            delete_many: Named(concat!("delete", $ids), concat!("Delete several ", $many)),
            read: Named(concat!("read", $id), concat!("Read ", $one)),
            update: Named(concat!("update", $id), concat!("Update ", $one)),
            delete: Named(concat!("delete", $id), concat!("Delete ", $one)),
        }
    };
}

/// Returns the operations on all collections.
pub fn operations() -> impl Iterator<Item = Operation> {
    let resources = [
        Resource {
            path: "/items/messages",
            collection: Some(&schema::MESSAGES),
            tag: "Messages",
            names: names!("a message", "messages", "Message", "Messages"),
        },
        Resource {
            path: "/items/{collection}",
            collection: None,
            tag: "Items",
            names: names!("an item", "items", "Item", "Items"),
        },
        Resource {
            path: "/users",
            collection: Some(&schema::USERS),
            tag: "Users",
            names: names!("an account", "accounts", "User", "Users"),
        },
        Resource {
            path: "/roles",
            collection: Some(&schema::ROLES),
            tag: "Roles",
            names: names!("a role", "roles", "Role", "Roles"),
        },
        Resource {
            path: "/policies",
            collection: Some(&schema::POLICIES),
            tag: "Policies",
            names: names!("a policy", "policies", "Policy", "Policies"),
        },
        Resource {
            path: "/permissions",
            collection: Some(&schema::PERMISSIONS),
            tag: "Permissions",
            names: names!("a permission", "permissions", "Permission", "Permissions"),
        },
        Resource {
            path: "/access",
            collection: Some(&schema::ACCESS),
            tag: "Access",
            names: names!("an access row", "access rows", "AccessRow", "AccessRows"),
        },
        Resource {
            path: "/settings",
            collection: Some(&schema::SETTINGS),
            tag: "Settings",
            names: names!("the settings", "the settings", "Settings", "AllSettings"),
        },
        Resource {
            path: "/activity",
            collection: Some(&ACTIVITY),
            tag: "Activity",
            names: names!("an activity entry", "activity entries", "Activity", "Activities"),
        },
        Resource {
            path: "/revisions",
            collection: Some(&REVISIONS),
            tag: "Revisions",
            names: names!("a revision", "revisions", "Revision", "Revisions"),
        },
    ];
    resources.into_iter().flat_map(|resource| resource.operations())
}

impl Resource {
    fn operations(&self) -> Vec<Operation> {
        match self.collection.map_or(CollectionKind::Items, |collection| collection.kind) {
            CollectionKind::Single => {
                return vec![self.read_single(), self.search_single(), self.update_single()];
            }
            CollectionKind::History => return vec![self.list(), self.search(), self.read()],
            CollectionKind::Items => {}
        }
        vec![
            self.list(),
            self.search(),
            self.create(),
            self.update_many(),
            self.delete_many(),
            self.read(),
            self.update(),
            self.delete(),
        ]
    }
}
