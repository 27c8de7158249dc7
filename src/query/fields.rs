//! Which fields a query asks for, as a tree that follows relations.

use crate::model::Field;

/// The fields asked for at one level, in the order in which they are to be answered.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Fields(pub Vec<Selection>);

/// One thing asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Selection {
    /// `*`: every readable field that is not `by_name`, relations as bare keys.
    All,
    /// A field: relations as bare keys.
    Field(&'static Field),
    /// A to-one relation, opened. Comes after the plain fields of its level.
    Related(&'static Field, Fields),
}

impl Fields {
    /// Returns what a query without `fields` asks for.
    #[must_use]
    pub fn all() -> Self {
        Self(vec![Selection::All])
    }
}
