//! Which fields a query asks for, as a tree that follows relations.

use crate::model::Field;
use crate::query::Filter;
use crate::query::Limit;
use crate::query::Sort;
use crate::query::Term;
use crate::query::term::Name;

/// The fields asked for at one level, in the order in which they are to be answered.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Fields(pub Vec<Selection>);

/// One thing asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Selection {
    /// `*`: every readable field that is not `by_name`, relations as bare keys; lists come apart.
    All,
    /// A field, a to-one relation as its bare key, or a part of a date.
    Term(Name, Term),
    /// A relation that is opened, or a list. Comes after the plain fields of its level.
    Related(Opened),
}

/// A relation that is opened, or a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Opened {
    /// The name under which it is answered.
    pub name: Name,
    /// The relation, to one item or to many.
    pub field: &'static Field,
    /// What is asked of the items behind it; `None` for their keys alone.
    pub fields: Option<Fields>,
    /// Which of the items behind it are asked for.
    pub nested: Nested,
    /// Whether only stars led here and lead on: then it asks for no more than there is to see.
    pub by_star: bool,
}

/// Which of the items behind a relation are asked for (`deep`). One item that does not fit the
/// filter is null; the rest is for lists.
#[derive(Debug, Clone, PartialEq)]
pub struct Nested {
    /// What must hold of them.
    pub filter: Filter,
    /// Their order; empty for ascending by key.
    pub sort: Vec<Sort>,
    /// How many for each item of the level above.
    pub limit: Limit,
    /// How many of them to pass over.
    pub offset: u64,
    /// Text that some readable text field must contain.
    pub search: Option<String>,
}

impl Fields {
    /// Returns what a star asks for where there are no lists.
    #[must_use]
    pub fn all() -> Self {
        Self(vec![Selection::All])
    }
}

impl Nested {
    /// Returns what is asked for where the query does not say.
    #[must_use]
    pub const fn everything(limit: Limit) -> Self {
        Self { filter: Filter::everything(), sort: Vec::new(), limit, offset: 0, search: None }
    }
}
