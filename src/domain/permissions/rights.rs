//! The permissions of a caller regardless of items: actions, collections and fields.

use crate::domain::permissions::Permissions;
use crate::model::collection::Exposure;
use crate::model::schema::COLLECTIONS;
use crate::model::{Action, Actor, Collection, Field};

/// The actions, collections and fields that a caller has access to. Callers with equal rights get
/// the same description of the interface.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Rights {
    is_signed_in: bool,
    is_admin: bool,
    grants: Vec<Grant>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Grant {
    collection: &'static Collection,
    action: Action,
    fields: Vec<&'static Field>,
}

impl Rights {
    /// Returns the rights of an administrator.
    #[must_use]
    pub const fn all() -> Self {
        Self { is_signed_in: true, is_admin: true, grants: Vec::new() }
    }

    pub(super) fn of(permissions: &Permissions, actor: &Actor) -> Self {
        if actor.admin {
            return Self::all();
        }
        let mut grants = Vec::new();
        for collection in COLLECTIONS.iter().filter(|one| one.exposure != Exposure::Internal) {
            for action in Action::ALL {
                let Ok(scope) = permissions.scope(actor, collection, action) else { continue };
                let fields = collection.fields.iter().filter(|field| scope.has(field)).collect();
                grants.push(Grant { collection, action, fields });
            }
        }
        Self { is_signed_in: actor.user.is_some(), is_admin: false, grants }
    }

    /// Returns whether the caller is signed in.
    #[must_use]
    pub const fn is_signed_in(&self) -> bool {
        self.is_signed_in
    }

    /// Returns whether the caller is an administrator.
    #[must_use]
    pub const fn is_admin(&self) -> bool {
        self.is_admin
    }

    /// Returns whether the caller may perform the action on some item of the collection.
    #[must_use]
    pub fn allow(&self, collection: &Collection, action: Action) -> bool {
        self.is_admin || self.grant(collection, action).is_some()
    }

    /// Returns whether the caller may perform the action on this field of some item.
    #[must_use]
    pub fn allow_field(&self, collection: &Collection, action: Action, field: &Field) -> bool {
        let grant = self.grant(collection, action);
        self.is_admin || grant.is_some_and(|grant| grant.fields.contains(&field))
    }

    fn grant(&self, collection: &Collection, action: Action) -> Option<&Grant> {
        let mut grants = self.grants.iter();
        grants.find(|grant| grant.collection == collection && grant.action == action)
    }
}
