//! The fields a query selects, as a tree that follows relations.

use crate::model::Field;
use crate::query::Filter;
use crate::query::Limit;
use crate::query::Sort;
use crate::query::Term;
use crate::query::term::Name;

/// The fields selected at one level, in response order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Fields(pub Vec<Selection>);

/// One selected field.
#[derive(Debug, Clone, PartialEq)]
pub enum Selection {
    /// `*`: every readable field that is not `by_name`, relations as bare keys; to-many relations
    /// are listed separately.
    All,
    /// A field, a to-one relation as its bare key, or a part of a date.
    Term(Name, Term),
    /// An expanded relation, or a to-many relation. Follows the plain fields of its level.
    Related(Opened),
}

/// An expanded relation, or a to-many relation.
#[derive(Debug, Clone, PartialEq)]
pub struct Opened {
    /// The name in the response.
    pub name: Name,
    /// The relation, to one item or to many.
    pub field: &'static Field,
    /// The fields selected of the related items; `None` for their keys only.
    pub fields: Option<Fields>,
    /// The related items to return.
    pub nested: Nested,
    /// Whether the path consists of stars only. Then it selects only readable fields.
    pub by_star: bool,
}

/// The related items to return (`deep`). A to-one relation that does not match the filter is null;
/// the other parameters apply to lists.
#[derive(Debug, Clone, PartialEq)]
pub struct Nested {
    /// The condition that they match.
    pub filter: Filter,
    /// The sort order; empty for ascending by key.
    pub sort: Vec<Sort>,
    /// Maximum number per item of the level above.
    pub limit: Limit,
    /// Number of items to skip.
    pub offset: u64,
    /// Text that a readable text field must contain.
    pub search: Option<String>,
}

impl Fields {
    /// Returns the selection of a star, without lists.
    #[must_use]
    pub fn all() -> Self {
        Self(vec![Selection::All])
    }
}

impl Nested {
    /// Returns the default selection.
    #[must_use]
    pub const fn everything(limit: Limit) -> Self {
        Self { filter: Filter::everything(), sort: Vec::new(), limit, offset: 0, search: None }
    }
}
