//! Authorizes the fields that a query filters, sorts, groups and aggregates by.
//!
//! A field that the caller may not read must not be used in any of these ways, nor through any
//! relation, since the order or the number of items would disclose its value.

use crate::domain::Error;
use crate::domain::permissions::Permissions;
use crate::model::{Action, Actor, Field};
use crate::query::{Filter, Scope, Select, Sort, Test};

/// Checks the parts of a query about the items of one level, and records the fields that they use.
pub(super) struct QueryAuthorizer<'a> {
    permissions: &'a Permissions,
    actor: &'a Actor,
    scope: &'a Scope,
    /// The relations that lead to the current position.
    path: Vec<&'static str>,
    /// The number of relations that lead to the level itself.
    level: usize,
    /// The fields of the level itself that the query uses.
    used: Vec<&'static Field>,
}

impl<'a> QueryAuthorizer<'a> {
    /// Creates a checker for a level with this scope, at the end of these relations.
    pub(super) fn new(
        permissions: &'a Permissions,
        actor: &'a Actor,
        scope: &'a Scope,
        path: &[&'static str],
    ) -> Self {
        let (level, path) = (path.len(), path.to_vec());
        Self { permissions, actor, scope, path, level, used: Vec::new() }
    }

    /// Returns the selection, restricted to the items with readable values in all used fields, also
    /// behind each relation of its filter.
    ///
    /// # Errors
    /// [`Error::Forbidden`], naming the unreadable fields; behind a relation of the sort order, also
    /// if some of the items there are hidden.
    pub(super) fn select(&mut self, select: &Select) -> Result<Select, Error> {
        let filter = self.within(self.scope, &select.filter)?;
        for key in &select.sort {
            self.key(key)?;
            self.path.truncate(self.level);
        }
        let varies = self.scope.varies();
        let filter = if varies { visible(self.scope, &self.used).and(filter) } else { filter };
        let (search, sort) = (select.search.clone(), select.sort.clone());
        Ok(Select { filter, search, sort, limit: select.limit, offset: select.offset })
    }

    /// Checks that the query may use a field of the level itself.
    ///
    /// # Errors
    /// [`Error::Forbidden`] if not.
    pub(super) fn require_readable(&mut self, field: &'static Field) -> Result<(), Error> {
        self.use_field(self.scope, field)
    }

    fn within(&mut self, scope: &Scope, filter: &Filter) -> Result<Filter, Error> {
        Ok(match filter {
            Filter::And(parts) => Filter::And(self.all_within(scope, parts)?),
            Filter::Or(parts) => Filter::Or(self.all_within(scope, parts)?),
            Filter::Field(field, _) | Filter::Part(field, ..) => {
                self.use_field(scope, field)?;
                filter.clone()
            }
            Filter::Related(field, inner) => {
                let behind = self.behind(scope, field, inner)?;
                let is_lost = inner.fits_absence() && !behind.fits_absence();
                let behind = Filter::Related(field, behind);
                match field.target() {
                    // A hidden item matches nothing, but a null relation hides nothing.
                    Some(target) if is_lost => {
                        let absent = Filter::Field(target.key(), Test::Null);
                        Filter::Or(vec![behind, Filter::Related(field, Box::new(absent))])
                    }
                    _ => behind,
                }
            }
            Filter::Some(field, inner) => Filter::Some(field, self.behind(scope, field, inner)?),
            Filter::None(field, inner) => Filter::None(field, self.behind(scope, field, inner)?),
        })
    }

    fn all_within(&mut self, scope: &Scope, parts: &[Filter]) -> Result<Vec<Filter>, Error> {
        parts.iter().map(|part| self.within(scope, part)).collect()
    }

    /// Returns a condition on the items behind a relation, restricted to the visible ones.
    fn behind(
        &mut self,
        scope: &Scope,
        field: &'static Field,
        inner: &Filter,
    ) -> Result<Box<Filter>, Error> {
        self.use_field(scope, field)?;
        let target = field.leads_to().ok_or_else(|| self.forbidden(scope, field))?;
        let nested = self.permissions.scope(self.actor, target, Action::Read)?;
        self.path.push(field.name);
        let inside = self.within(&nested, inner)?;
        let mut used = Vec::new();
        inner.visit_fields(&mut |field| used.push(field));
        if let Some((_, back)) = field.pointing() {
            // The relation discloses the item that `back` points at.
            self.use_field(&nested, back)?;
            used.push(back);
        }
        self.path.pop();
        Ok(Box::new(visible(&nested, &used).and(inside)))
    }

    fn key(&mut self, key: &Sort) -> Result<(), Error> {
        let mut scope = self.scope.clone();
        for (index, step) in key.path.iter().enumerate() {
            self.use_field(&scope, step)?;
            let target = step.target().ok_or_else(|| self.forbidden(&scope, step))?;
            self.path.push(step.name);
            scope = self.permissions.scope(self.actor, target, Action::Read)?;
            let next = key.path.get(index + 1).copied().unwrap_or(key.field);
            if !scope.filter_for(&[next]).is_some_and(|filter| filter.is_everything()) {
                return Err(self.forbidden(&scope, next));
            }
        }
        self.use_field(&scope, key.field)
    }

    fn use_field(&mut self, scope: &Scope, field: &'static Field) -> Result<(), Error> {
        if !scope.has(field) {
            return Err(self.forbidden(scope, field));
        }
        if self.path.len() == self.level {
            self.used.push(field);
        }
        Ok(())
    }

    fn forbidden(&self, scope: &Scope, field: &'static Field) -> Error {
        Error::fields(scope.collection(), vec![field.name.to_owned()], &self.path)
    }
}

/// Returns the filter for the items on which all these fields are readable.
fn visible(scope: &Scope, fields: &[&'static Field]) -> Filter {
    scope.filter_for(fields).unwrap_or_else(Filter::nothing)
}
