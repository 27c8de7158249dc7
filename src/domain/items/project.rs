//! Projections: the fields that a reader sees of a level's items and of those behind its relations.
//!
//! `records` reads the data and [`render`](super::render) writes it.

use crate::domain::Error;
use crate::domain::items::query_authorizer::QueryAuthorizer;
use crate::domain::items::revision_access::RevisionAccess;
use crate::domain::permissions::Permissions;
use crate::model::{Action, Actor, Collection, Field, Record};
use crate::query::{Expansion, Fields, Filter, Name, Relations, Scope, Select, Selection, Term};

/// The requested fields that a reader may see, and the scope that decides on which items.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Projection {
    pub(super) scope: Scope,
    pub(super) columns: Vec<Column>,
    /// The reader's access to earlier versions of items.
    pub(super) past: RevisionAccess,
}

/// A named value of the output.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Column {
    /// A field, or a part of the date in it.
    Term(Name, Term),
    /// The item behind a to-one relation; null if it does not match the filter.
    One(Name, &'static Field, Projection, Filter),
    /// Items behind a to-many relation.
    Many(Name, Box<List>),
}

/// Items behind a to-many relation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct List {
    /// The relation.
    pub(super) field: &'static Field,
    /// Their field that points back.
    pub(super) back: &'static Field,
    /// The number under which the items are attached to a record.
    pub(super) number: usize,
    /// The selection of the items, applied for each item of the level above.
    pub(super) select: Select,
    /// The projection of the items.
    pub(super) projection: Projection,
    /// Whether only their keys are shown.
    pub(super) bare: bool,
}

impl Projection {
    /// Builds the projection of the requested fields for a reader with this scope.
    ///
    /// # Errors
    /// [`Error::Forbidden`], naming the unreadable fields of one level.
    pub fn new(
        permissions: &Permissions,
        actor: &Actor,
        scope: Scope,
        fields: &Fields,
    ) -> Result<Self, Error> {
        Projector { permissions, actor, path: Vec::new(), lists: 0 }.level(scope, fields)
    }

    /// Returns the scope of the reader.
    #[must_use]
    pub const fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Returns the relations to attach to a record before it can be written: the to-one relations
    /// that are shown, and all relations that rules and filters follow.
    #[must_use]
    pub fn relations(&self) -> Relations {
        let mut relations = self.scope.relations();
        for column in &self.columns {
            if let Column::One(_, field, nested, filter) = column {
                let behind = relations.open(field);
                behind.merge(nested.relations());
                behind.merge(filter.relations());
            }
        }
        relations
    }

    /// Returns whether items behind to-many relations are shown. Each item then takes a query.
    #[must_use]
    pub fn has_lists(&self) -> bool {
        self.columns.iter().any(|column| match column {
            Column::Term(..) => false,
            Column::One(_, _, nested, _) => nested.has_lists(),
            Column::Many(..) => true,
        })
    }

    /// Estimates the cost of writing an item in simple steps, without its lists.
    #[must_use]
    pub fn cost(&self) -> usize {
        let of = |column: &Column| match column {
            Column::Term(..) | Column::Many(..) => 1,
            Column::One(_, _, nested, filter) => 1 + nested.cost() + filter.cost(),
        };
        self.columns.iter().map(of).sum()
    }

    /// Returns whether the reader may see the record at all.
    #[must_use]
    pub fn fits(&self, record: &Record) -> bool {
        self.scope.fits(record)
    }

    /// Returns whether the reader may see the record's key, and so receive events about it.
    #[must_use]
    pub fn shows_key(&self, record: &Record) -> bool {
        self.scope.shows(record, self.scope.collection().key())
    }
}

/// The state of a projection under construction.
struct Projector<'a> {
    permissions: &'a Permissions,
    actor: &'a Actor,
    /// The relations that lead to the level.
    path: Vec<&'static str>,
    /// The number of lists so far.
    lists: usize,
}

impl Projector<'_> {
    fn level(&mut self, scope: Scope, fields: &Fields) -> Result<Projection, Error> {
        let collection = scope.collection();
        let mut columns = Vec::new();
        let mut hidden = Vec::new();
        for selection in &fields.0 {
            match selection {
                Selection::All => {
                    let stars = collection.columns().filter(|field| {
                        !field.by_name
                            && !is_named(fields, field)
                            && !is_shown(&columns, field.name)
                    });
                    let shown: Vec<_> = stars.filter(|field| scope.has(field)).collect();
                    let bare =
                        |field: &'static Field| Column::Term(field.name.into(), field.into());
                    columns.extend(shown.into_iter().map(bare));
                }
                Selection::Term(name, _) if is_shown(&columns, name) => {}
                Selection::Term(name, term) if scope.has(term.field) => {
                    columns.push(Column::Term(name.clone(), *term));
                }
                Selection::Related(expansion) if scope.has(expansion.field) => {
                    match self.expand(expansion) {
                        Ok(column) => columns.push(column),
                        // A wildcard shows only readable fields.
                        Err(Error::Forbidden(_)) if expansion.by_star => {
                            if expansion.field.is_stored() {
                                let bare = Term::from(expansion.field);
                                columns.push(Column::Term(expansion.name.clone(), bare));
                            }
                        }
                        Err(Error::Forbidden(_)) if expansion.fields.is_none() => {
                            hidden.push(expansion.field.name.to_owned());
                        }
                        Err(error) => return Err(error),
                    }
                }
                Selection::Related(expansion) if expansion.by_star => {}
                Selection::Term(_, Term { field, .. })
                | Selection::Related(Expansion { field, .. }) => hidden.push(field.name.to_owned()),
            }
        }
        if hidden.is_empty() {
            let past = RevisionAccess::of(self.permissions, self.actor, &scope);
            return Ok(Projection { scope, columns, past });
        }
        Err(Error::fields(collection, hidden, &self.path))
    }

    fn expand(&mut self, expansion: &Expansion) -> Result<Column, Error> {
        let depth = self.path.len();
        self.path.push(expansion.field.name);
        let column = match expansion.field.pointing() {
            Some((other, back)) => self.many(expansion, other, back),
            None => self.one(expansion),
        };
        self.path.truncate(depth);
        column
    }

    fn one(&mut self, expansion: &Expansion) -> Result<Column, Error> {
        let Expansion { name, field, fields, select, .. } = expansion;
        let (Some(target), Some(fields)) = (field.target(), fields) else {
            return Ok(Column::Term(name.clone(), (*field).into()));
        };
        let scope = self.permissions.scope(self.actor, target, Action::Read)?;
        let mut authorizer = QueryAuthorizer::new(self.permissions, self.actor, &scope, &self.path);
        let Select { filter, .. } = authorizer.select(select)?;
        let projection = self.level(scope, fields)?;
        Ok(Column::One(name.clone(), field, projection, filter))
    }

    fn many(
        &mut self,
        expansion: &Expansion,
        other: &'static Collection,
        back: &'static Field,
    ) -> Result<Column, Error> {
        let Expansion { name, field, fields, select, .. } = expansion;
        let scope = self.permissions.scope(self.actor, other, Action::Read)?;
        let mut authorizer = QueryAuthorizer::new(self.permissions, self.actor, &scope, &self.path);
        // A list discloses the parent of its items and, without selected fields, their keys.
        authorizer.require_readable(back)?;
        if fields.is_none() {
            authorizer.require_readable(other.key())?;
        }
        let select = authorizer.select(select)?;
        let number = self.lists;
        self.lists += 1;
        let bare = fields.is_none();
        let projection = self.level(scope, fields.as_ref().unwrap_or(&Fields::default()))?;
        let list = List { field, back, number, select, projection, bare };
        Ok(Column::Many(name.clone(), Box::new(list)))
    }
}

impl Column {
    /// Returns the name of the value in the output.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Term(name, _) | Self::One(name, ..) | Self::Many(name, _) => name,
        }
    }

    /// Returns the field of the value.
    pub(super) const fn field(&self) -> &'static Field {
        match self {
            Self::Term(_, Term { field, .. }) | Self::One(_, field, ..) => field,
            Self::Many(_, list) => list.field,
        }
    }
}

/// Returns whether the name of a field is taken, by its expanded relation or by another field.
fn is_named(fields: &Fields, field: &'static Field) -> bool {
    fields.0.iter().any(|one| match one {
        Selection::All => false,
        Selection::Term(name, term) => *name == field.name && *term != Term::from(field),
        Selection::Related(expansion) => expansion.name == field.name,
    })
}

fn is_shown(columns: &[Column], name: &str) -> bool {
    columns.iter().any(|column| column.name() == name)
}
