//! Query plans: a query and its caller's permissions give the selection from the store and the
//! projection of its result.

use crate::domain::Error;
use crate::domain::items::project::Projection;
use crate::domain::items::query_authorizer::QueryAuthorizer;
use crate::domain::permissions::Permissions;
use crate::model::{Action, Actor};
use crate::query::{Aggregation, Filter, Query, Rule, Scope, Select};

/// An authorized query for items.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Plan {
    /// The selection from the store, which adds the filter of the scope itself.
    pub select: Select,
    /// The projection of the result for its reader.
    pub projection: Projection,
}

impl Plan {
    /// Returns whether this plan shows every item that another plan for the same query shows, with
    /// as many fields. Returns `false` if the rules alone do not prove it.
    pub(in crate::domain) fn shows_all_of(&self, other: &Self) -> bool {
        let (own, others) = (self.projection.scope(), other.projection.scope());
        let searched = self.select.search.iter().flat_map(|(_, fields)| fields);
        self.select == other.select
            && searched.into_iter().all(|field| own.searches(field) || !others.searches(field))
            && self.projection.columns.len() == other.projection.columns.len()
            && (own.filter().is_everything() || own.filter() == others.filter())
    }

    /// Returns whether no other reader's plan for the same query could show more of the collection.
    pub(in crate::domain) fn shows_all(&self) -> bool {
        let scope = self.projection.scope();
        let has_all = |rule: &Rule| {
            rule.filter == Filter::everything()
                && scope.collection().columns().all(|field| rule.has(field))
        };
        let looks_elsewhere = !self.select.filter.relations().is_empty();
        !looks_elsewhere && (scope.is_full() || scope.rules().iter().any(has_all))
    }

    /// Authorizes a query of a caller.
    ///
    /// # Errors
    /// [`Error::Forbidden`], naming the unreadable fields. [`Error::InvalidQuery`] if the query
    /// asks for totals instead of items.
    pub fn new(permissions: &Permissions, actor: &Actor, query: &Query) -> Result<Self, Error> {
        if query.totals.is_some() {
            return Err(Error::InvalidQuery(
                "\"aggregate\" and \"groupBy\" work only when reading lists".to_owned(),
            ));
        }
        let (select, scope) = authorize(permissions, actor, query)?;
        let projection = Projection::new(permissions, actor, scope, &query.fields)?;
        Ok(Self { select, projection })
    }
}

/// Authorizes the selection of a query, and the fields that it aggregates: items with unreadable
/// values in these do not count. Also returns the scope of the reader.
///
/// # Errors
/// [`Error::Forbidden`], naming the unreadable fields.
pub(super) fn authorize(
    permissions: &Permissions,
    actor: &Actor,
    query: &Query,
) -> Result<(Select, Scope), Error> {
    let scope = permissions.scope(actor, query.collection, Action::Read)?;
    let mut authorizer = QueryAuthorizer::new(permissions, actor, &scope, &[]);
    for term in query.totals.iter().flat_map(Aggregation::terms) {
        authorizer.require_readable(term.field)?;
    }
    let select = authorizer.select(&query.select)?;
    Ok((select, scope))
}
