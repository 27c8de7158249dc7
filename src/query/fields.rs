//! The fields a query selects, as a tree that follows relations.

use crate::model::Field;
use crate::query::term::Name;
use crate::query::{Select, Term};

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
    Related(Expansion),
}

/// An expanded relation, or a to-many relation.
#[derive(Debug, Clone, PartialEq)]
pub struct Expansion {
    /// The name in the response.
    pub name: Name,
    /// The relation, to one item or to many.
    pub field: &'static Field,
    /// The fields selected of the related items; `None` for their keys only.
    pub fields: Option<Fields>,
    /// The related items to return (`deep`).
    pub select: Select,
    /// Whether the path consists of stars only. Then it selects only readable fields.
    pub by_star: bool,
}

impl Fields {
    /// Returns the selection of a star, without lists.
    #[must_use]
    pub fn all() -> Self {
        Self(vec![Selection::All])
    }
}
