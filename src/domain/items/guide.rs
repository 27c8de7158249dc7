//! Whether a query may look at what it looks at.
//!
//! A field that may not be read may not be filtered, sorted, grouped or aggregated by either, on
//! whatever way it is reached, since the order or the number of items would tell its value.

use crate::domain::Error;
use crate::domain::Forbidden;
use crate::domain::permissions::Permissions;
use crate::model::Action;
use crate::model::Actor;
use crate::model::Field;
use crate::query::Filter;
use crate::query::Scope;
use crate::query::Sort;
use crate::query::Test;

/// Checks the parts of a query that are about the items of one level, and notes what they look at.
pub(super) struct Guide<'a> {
    permissions: &'a Permissions,
    actor: &'a Actor,
    scope: &'a Scope,
    /// The relations that led to where the guide is.
    path: Vec<&'static str>,
    /// How many of them led to the level itself.
    level: usize,
    /// The fields of the level itself that the query looks at.
    used: Vec<&'static Field>,
}

impl<'a> Guide<'a> {
    /// Returns a guide for a level with this scope, to which these relations led.
    pub(super) fn new(
        permissions: &'a Permissions,
        actor: &'a Actor,
        scope: &'a Scope,
        path: &[&'static str],
    ) -> Self {
        let (level, path) = (path.len(), path.to_vec());
        Self { permissions, actor, scope, path, level, used: Vec::new() }
    }

    /// Returns the filter, kept to the items that the caller may see behind each relation.
    ///
    /// # Errors
    /// [`Error::Forbidden`], naming what may not be read.
    pub(super) fn filter(&mut self, filter: &Filter) -> Result<Filter, Error> {
        self.within(self.scope, filter)
    }

    /// Checks an order.
    ///
    /// # Errors
    /// [`Error::Forbidden`], naming what may not be read; behind a relation, if some items there may
    /// not be seen.
    pub(super) fn sort(&mut self, keys: &[Sort]) -> Result<(), Error> {
        for key in keys {
            self.key(key)?;
            self.path.truncate(self.level);
        }
        Ok(())
    }

    /// Checks that a field of the level itself may be looked at.
    ///
    /// # Errors
    /// [`Error::Forbidden`] if not.
    pub(super) fn look_at(&mut self, field: &'static Field) -> Result<(), Error> {
        self.use_field(self.scope, field)
    }

    /// Returns the filter, kept to the items that show what the query looks at: where the rest hide
    /// it, they are out of reach.
    pub(super) fn visible(&self, filter: Filter) -> Filter {
        if self.scope.varies() { visible(self.scope, &self.used).and(filter) } else { filter }
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
                    // A hidden item fits nothing, but a relation that leads nowhere hides nothing.
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

    /// Returns a condition on what is behind a relation, kept to what may be seen there.
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
        let mut looked_at = Vec::new();
        inner.visit(target, &mut |_, field, path| {
            if path.is_empty() {
                looked_at.push(field);
            }
        });
        if let Some((_, back)) = field.pointing() {
            // Which item it points at is what the relation tells.
            self.use_field(&nested, back)?;
            looked_at.push(back);
        }
        self.path.pop();
        Ok(Box::new(visible(&nested, &looked_at).and(inside)))
    }

    fn key(&mut self, key: &Sort) -> Result<(), Error> {
        let mut scope = self.scope.clone();
        for (place, step) in key.path.iter().enumerate() {
            self.use_field(&scope, step)?;
            let target = step.target().ok_or_else(|| self.forbidden(&scope, step))?;
            self.path.push(step.name);
            scope = self.permissions.scope(self.actor, target, Action::Read)?;
            let next = key.path.get(place + 1).copied().unwrap_or(key.field);
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
        Error::Forbidden(Forbidden::Fields {
            collection: scope.collection().name,
            fields: vec![field.name.to_owned()],
            path: self.path.join("."),
        })
    }
}

/// Returns the items that show all these fields.
fn visible(scope: &Scope, fields: &[&'static Field]) -> Filter {
    scope.filter_for(fields).unwrap_or_else(Filter::nothing)
}
