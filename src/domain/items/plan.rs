//! A query and its caller's rights to what is asked of the store and shown of its answer.
//!
//! A field that may not be read may not be filtered or sorted by either, on whatever way it is
//! reached, since the order or the number of items would tell its value.

use crate::domain::Error;
use crate::domain::Forbidden;
use crate::domain::items::project::Projection;
use crate::domain::permissions::Permissions;
use crate::model::Action;
use crate::model::Actor;
use crate::model::Collection;
use crate::model::Field;
use crate::query::Filter;
use crate::query::Limit;
use crate::query::Query;
use crate::query::Scope;
use crate::store::Select;

/// A query that its caller may ask.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// What is asked of the store; it adds the rows of the scope itself.
    pub select: Select,
    /// What is shown of the answer, and to whom.
    pub projection: Projection,
}

impl Plan {
    /// Works out what a caller gets for a query.
    ///
    /// # Errors
    /// [`Error::Forbidden`], naming what may not be read.
    pub fn new(
        permissions: &Permissions,
        actor: &Actor,
        collection: &'static Collection,
        query: &Query,
    ) -> Result<Self, Error> {
        let scope = permissions.scope(actor, collection, Action::Read)?;
        let mut guide = Guide { permissions, actor, used: Vec::new() };
        let mut filter = guide.filter(&scope, &query.filter, &mut Vec::new())?;
        for sort in &query.sort {
            guide.sort(&scope, &sort.path, sort.field)?;
        }
        if scope.varies() {
            // Some items show these fields and some do not: those that do not are out of reach.
            let visible = scope.filter_for(&guide.used).unwrap_or(Filter::Or(Vec::new()));
            filter = visible.and(filter);
        }
        let search = query.search.clone().map(|text| (text, collection.columns().collect()));
        let projection =
            Projection::new(permissions, actor, scope, &query.fields, &mut Vec::new())?;
        let select = Select {
            filter,
            search,
            sort: query.sort.clone(),
            limit: match query.limit {
                Limit::Of(limit) => Some(limit),
                Limit::All => None,
            },
            offset: query.offset,
        };
        Ok(Self { select, projection })
    }
}

struct Guide<'a> {
    permissions: &'a Permissions,
    actor: &'a Actor,
    /// The fields of the collection itself that the query looks at.
    used: Vec<&'static Field>,
}

impl Guide<'_> {
    /// Returns the filter, kept to the items that the caller may see behind each relation.
    fn filter(
        &mut self,
        scope: &Scope,
        filter: &Filter,
        path: &mut Vec<&'static str>,
    ) -> Result<Filter, Error> {
        Ok(match filter {
            Filter::And(parts) => Filter::And(self.filters(scope, parts, path)?),
            Filter::Or(parts) => Filter::Or(self.filters(scope, parts, path)?),
            Filter::Field(field, test) => {
                self.use_field(scope, field, path)?;
                Filter::Field(field, test.clone())
            }
            Filter::Related(field, inner) => {
                self.use_field(scope, field, path)?;
                let Some(target) = field.target() else {
                    return Err(forbidden(scope, field, path));
                };
                let nested = self.permissions.scope(self.actor, target, Action::Read)?;
                path.push(field.name);
                let inside = self.filter(&nested, inner, path)?;
                path.pop();
                let mut looked_at = Vec::new();
                inner.visit(target, &mut |_, field, path| {
                    if path.is_empty() {
                        looked_at.push(field);
                    }
                });
                let visible = nested.filter_for(&looked_at).unwrap_or(Filter::Or(Vec::new()));
                Filter::Related(field, Box::new(visible.and(inside)))
            }
        })
    }

    fn filters(
        &mut self,
        scope: &Scope,
        parts: &[Filter],
        path: &mut Vec<&'static str>,
    ) -> Result<Vec<Filter>, Error> {
        parts.iter().map(|part| self.filter(scope, part, path)).collect()
    }

    /// Checks an order; behind a relation it needs items that are all visible.
    fn sort(
        &mut self,
        scope: &Scope,
        steps: &[&'static Field],
        field: &'static Field,
    ) -> Result<(), Error> {
        let mut scope = scope.clone();
        let mut path = Vec::new();
        for (place, step) in steps.iter().enumerate() {
            self.use_field(&scope, step, &path)?;
            let target = step.target().ok_or_else(|| forbidden(&scope, step, &path))?;
            path.push(step.name);
            scope = self.permissions.scope(self.actor, target, Action::Read)?;
            let next = steps.get(place + 1).copied().unwrap_or(field);
            if !scope.filter_for(&[next]).is_some_and(|filter| filter.is_everything()) {
                return Err(forbidden(&scope, next, &path));
            }
        }
        self.use_field(&scope, field, &path)
    }

    fn use_field(
        &mut self,
        scope: &Scope,
        field: &'static Field,
        path: &[&'static str],
    ) -> Result<(), Error> {
        if !scope.has(field) {
            return Err(forbidden(scope, field, path));
        }
        if path.is_empty() {
            self.used.push(field);
        }
        Ok(())
    }
}

fn forbidden(scope: &Scope, field: &'static Field, path: &[&'static str]) -> Error {
    Error::Forbidden(Forbidden::Fields {
        collection: scope.collection().name,
        fields: vec![field.name.to_owned()],
        path: path.join("."),
    })
}
