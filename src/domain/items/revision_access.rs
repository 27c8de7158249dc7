//! Redaction of earlier versions of items for readers without full access.
//!
//! A permission on revisions decides which revisions a reader may see, not which contents of their
//! messages. `data` and `delta` are therefore filtered by the reader's scope on messages. The scope
//! is applied to the message as it was after the change, field by field, and unreadable fields are
//! left out.

use std::sync::Arc;

use serde_json::Value as Json;

use crate::domain::Error;
use crate::domain::items::Items;
use crate::domain::items::typed;
use crate::domain::permissions::Permissions;
use crate::model::history::REVISIONS;
use crate::model::history::revisions;
use crate::model::schema::MESSAGES;
use crate::model::{Action, Actor, Key, Record, Row};
use crate::query::Scope;

/// A reader's access to earlier versions of items.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum RevisionAccess {
    /// Full access, or a collection without earlier versions.
    Whole,
    /// The content of messages within this scope.
    Within(Scope),
    /// No access.
    Hidden,
}

impl RevisionAccess {
    /// Returns the access of a reader with this scope.
    pub(super) fn of(permissions: &Permissions, actor: &Actor, scope: &Scope) -> Self {
        if *scope.collection() != REVISIONS || scope.is_full() {
            return Self::Whole;
        }
        permissions.scope(actor, &MESSAGES, Action::Read).map_or(Self::Hidden, Self::Within)
    }
}

impl Items {
    /// Removes from revisions the content that the reader may not see.
    pub(super) async fn redact(
        &self,
        past: &RevisionAccess,
        rows: Vec<Arc<Row>>,
    ) -> Result<Vec<Arc<Row>>, Error> {
        let scope = match past {
            RevisionAccess::Whole => return Ok(rows),
            RevisionAccess::Hidden => {
                return Ok(rows.iter().map(|row| veiled(row, |_| false)).collect());
            }
            RevisionAccess::Within(scope) => scope,
        };
        // An unidentifiable message becomes an empty row, which shows nothing.
        let messages =
            rows.iter().map(|row| Arc::new(message(row).unwrap_or(Row::empty(&MESSAGES))));
        let messages = self.attach(messages.collect(), &scope.relations()).await?;
        Ok(rows
            .iter()
            .zip(&messages)
            .map(|(row, message)| veiled(row, |name| shows(scope, message, name)))
            .collect())
    }
}

fn shows(scope: &Scope, message: &Record, name: &str) -> bool {
    message.row.key().is_some()
        && MESSAGES.field(name).is_some_and(|field| scope.shows(message, field))
}

/// Returns the message of a revision, as it was after the change.
fn message(revision: &Row) -> Option<Row> {
    let data = revision.get(&revisions::data)?;
    let mut message = Row::empty(&MESSAGES);
    for field in MESSAGES.columns() {
        let json = data.get(field.name).unwrap_or(&Json::Null);
        message.set(field, typed::value(&MESSAGES, field, json, usize::MAX).ok()?);
    }
    // The key in `data` must be that of the item that the revision names.
    let named = revision.get(&revisions::item)?;
    let is_named = match message.key()? {
        Key::Integer(number) => number.to_string() == named,
        Key::Uuid(_) => false,
    };
    (is_named && revision.get(&revisions::collection) == Some(MESSAGES.name)).then_some(message)
}

/// Returns a revision without the hidden fields of the message; null if all of them are hidden.
fn veiled(revision: &Row, shows: impl Fn(&str) -> bool) -> Arc<Row> {
    let mut veiled = revision.clone();
    let is_shown = MESSAGES.columns().any(|field| shows(field.name));
    for column in [&revisions::data, &revisions::delta] {
        let document = revision.get(column).filter(|_| is_shown).and_then(Json::as_object);
        let kept = document.map(|fields| {
            let fields = fields.iter().filter(|(name, _)| shows(name));
            Json::Object(fields.map(|(name, value)| (name.clone(), value.clone())).collect())
        });
        veiled = veiled.with(column, kept);
    }
    Arc::new(veiled)
}
