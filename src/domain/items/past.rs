//! Items as they were, shown to those who may not read all items as they are.
//!
//! A permission on revisions says which of them one may see, not what is in the messages they are
//! of. So `data` and `delta` are held against the reader's scope of messages: the message as it was
//! after the change decides, field by field. What one may not read of it is left out.

use std::sync::Arc;

use serde_json::Map;
use serde_json::Value as Json;

use crate::domain::Error;
use crate::domain::items::Items;
use crate::domain::items::typed;
use crate::domain::permissions::Permissions;
use crate::model::Action;
use crate::model::Actor;
use crate::model::Key;
use crate::model::Record;
use crate::model::Row;
use crate::model::Value;
use crate::model::history::REVISIONS;
use crate::model::schema::MESSAGES;
use crate::query::Relations;
use crate::query::Scope;

/// How much of items as they were a reader gets to see.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Past {
    /// All, or there is nothing of the kind in the collection.
    Whole,
    /// What they may read of messages.
    Within(Scope),
    /// Nothing.
    Hidden,
}

impl Past {
    /// Returns how much a reader with this scope sees.
    pub(super) fn of(permissions: &Permissions, actor: &Actor, scope: &Scope) -> Self {
        if *scope.collection() != REVISIONS || scope.is_full() {
            return Self::Whole;
        }
        permissions.scope(actor, &MESSAGES, Action::Read).map_or(Self::Hidden, Self::Within)
    }
}

impl Items {
    /// Takes out of revisions what their reader may not see.
    pub(super) async fn veil(
        &self,
        past: &Past,
        rows: Vec<Arc<Row>>,
    ) -> Result<Vec<Arc<Row>>, Error> {
        let scope = match past {
            Past::Whole => return Ok(rows),
            Past::Hidden => return Ok(rows.iter().map(|row| veiled(row, |_| false)).collect()),
            Past::Within(scope) => scope,
        };
        let mut relations = Relations::default();
        for rule in scope.rules() {
            relations.merge(rule.filter.relations());
        }
        // One that cannot be told from its revision is as empty as a row can be, which shows nothing.
        let messages =
            rows.iter().map(|row| Arc::new(message(row).unwrap_or(Row::empty(&MESSAGES))));
        let messages = self.attach(messages.collect(), &relations).await?;
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

/// Returns the message that a revision is of, as it was after the change.
fn message(revision: &Row) -> Option<Row> {
    let Value::Json(data) = revision.value("data") else { return None };
    let mut message = Row::empty(&MESSAGES);
    for field in MESSAGES.columns() {
        let json = data.get(field.name).unwrap_or(&Json::Null);
        message.set(field, typed::value(&MESSAGES, field, json, usize::MAX).ok()?);
    }
    // The line and what is in it are the same message.
    let named = revision.value("item").as_text()?;
    let is_named = match message.key()? {
        Key::Integer(number) => number.to_string() == named,
        Key::Uuid(_) => false,
    };
    (is_named && revision.value("collection").as_text() == Some(MESSAGES.name)).then_some(message)
}

/// Returns a revision without the fields of the message that are not to be shown; null where none is.
fn veiled(revision: &Row, shows: impl Fn(&str) -> bool) -> Arc<Row> {
    let mut veiled = revision.clone();
    let is_shown = MESSAGES.columns().any(|field| shows(field.name));
    for name in ["data", "delta"] {
        let kept = match revision.value(name) {
            Value::Json(document) if is_shown => document.as_object().map(|fields| {
                let fields = fields.iter().filter(|(name, _)| shows(name));
                fields.map(|(name, value)| (name.clone(), value.clone())).collect::<Map<_, _>>()
            }),
            _ => None,
        };
        let value = kept.map_or(Value::Null, |kept| Value::Json(Arc::new(Json::Object(kept))));
        veiled.set(REVISIONS.require(name), value);
    }
    Arc::new(veiled)
}
