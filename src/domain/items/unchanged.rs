//! Detects unchanged values in a payload, so that a client can send an object back as it was read.
//!
//! The comparison discloses the current value, so it is made only for a caller that may read it.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use crate::domain::Error;
use crate::domain::items::Items;
use crate::domain::items::json_writer::MASK;
use crate::domain::items::payload::Values;
use crate::domain::items::payload::not_null;
use crate::model::account::DEFAULT_PROVIDER;
use crate::model::collection::Special;
use crate::model::schema::users;
use crate::model::{Action, Actor, Collection, Field, Key, Kind, Record, Row, Value};
use crate::query::Scope;

/// The current items, and the caller's read access to them.
pub(super) struct Current {
    collection: &'static Collection,
    rows: HashMap<Key, Arc<Row>>,
    /// Whether some of the items are missing.
    is_partial: bool,
    access: ReadAccess,
}

/// The caller's read scope on a collection; `None` for no access.
pub(super) struct ReadAccess(pub(super) Option<Scope>);

impl ReadAccess {
    pub(super) fn new(items: &Items, actor: &Actor, collection: &'static Collection) -> Self {
        Self(items.permissions.scope(actor, collection, Action::Read).ok())
    }

    /// Returns whether the caller may read the field of a row. A rule that follows a relation
    /// grants nothing here.
    pub(super) fn shows(&self, row: &Arc<Row>, field: &'static Field) -> bool {
        self.0.as_ref().is_some_and(|scope| scope.shows(&Record::new(Arc::clone(row)), field))
    }
}

impl Current {
    /// Wraps the items that were found for `count` keys.
    pub(super) fn new(
        items: &Items,
        actor: &Actor,
        collection: &'static Collection,
        count: usize,
        rows: HashMap<Key, Arc<Row>>,
    ) -> Self {
        let is_partial = rows.len() < count;
        Self { collection, rows, is_partial, access: ReadAccess::new(items, actor, collection) }
    }

    /// Returns whether all items have this value and the caller may read it on all of them.
    pub(super) fn has(&self, field: &'static Field, value: &Value) -> bool {
        self.all(field, |row| row[field] == *value)
    }

    /// Returns whether a payload leaves a server-managed field unchanged.
    pub(super) fn keeps(&self, name: &str, sent: &Json) -> bool {
        let field = self.collection.field(name).filter(|field| is_managed(field));
        field.is_some_and(|field| self.all(field, |row| shows_as(&row[field], field, sent)))
    }

    /// Refuses to remove the password of an account, its only means to sign in, and its address,
    /// which it needs to sign in and to receive links. Administrators may remove the password of an
    /// account of an identity provider, and the address of any account but their own.
    ///
    /// # Errors
    /// [`Error::FailedValidation`].
    pub(super) fn require_sign_in(&self, actor: &Actor, set: &Values) -> Result<(), Error> {
        self.require_address(actor, set)?;
        let emptied = |entry: &&(&'static Field, Value)| {
            entry.0.special == Special::Password && entry.1.is_null()
        };
        let Some((password, _)) = set.iter().find(emptied) else { return Ok(()) };
        let provider = set.iter().find(|(field, _)| **field == users::provider);
        let is_needed = |row: &Row| {
            let provider = provider.map_or(&row[users::provider.field()], |(_, value)| value);
            let signs_in = !actor.admin || provider.as_text() == Some(DEFAULT_PROVIDER);
            signs_in && !row[password].is_null()
        };
        if self.rows.values().any(|row| is_needed(row)) {
            return Err(Error::FailedValidation(vec![not_null(password)]));
        }
        Ok(())
    }

    fn require_address(&self, actor: &Actor, set: &Values) -> Result<(), Error> {
        let emptied =
            |entry: &&(&'static Field, Value)| *entry.0 == users::email && entry.1.is_null();
        let Some((email, _)) = set.iter().find(emptied) else { return Ok(()) };
        let is_needed = |row: &Row| {
            let is_own = row.key() == actor.user.map(Key::Uuid);
            (!actor.admin || is_own) && !row[email].is_null()
        };
        if self.rows.values().any(|row| is_needed(row)) {
            return Err(Error::FailedValidation(vec![not_null(email)]));
        }
        Ok(())
    }

    fn all(&self, field: &'static Field, fits: impl Fn(&Row) -> bool) -> bool {
        !self.is_partial && self.rows.values().all(|row| fits(row) && self.access.shows(row, field))
    }
}

/// Returns whether only the server sets the field.
pub(super) const fn is_managed(field: &Field) -> bool {
    match field.special {
        Special::Managed
        | Special::Guest
        | Special::UserCreated
        | Special::DateCreated
        | Special::UserUpdated
        | Special::DateUpdated => true,
        Special::None | Special::Password | Special::Token => false,
    }
}

/// Removes masked secrets from a payload: they are unchanged.
pub(super) fn leave_out_masks(collection: &'static Collection, values: &mut Map<String, Json>) {
    values.retain(|name, value| {
        let is_secret =
            || collection.field(name).is_some_and(|field| matches!(field.kind, Kind::Secret));
        !(value.as_str() == Some(MASK) && is_secret())
    });
}

fn shows_as(value: &Value, field: &Field, sent: &Json) -> bool {
    match field.kind {
        Kind::Secret if !value.is_null() => sent.as_str() == Some(MASK),
        _ => value.to_json() == *sent,
    }
}
