//! `aggregate` and `groupBy`: aggregated values instead of the items.

use crate::model::named::named;
use crate::query::Term;
use crate::query::term::Name;

/// The aggregation of a query. Never empty.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Aggregation {
    /// The terms to group by; none for a single group of all items.
    pub groups: Vec<(Name, Term)>,
    /// The aggregates of each group; none for the groups alone.
    pub totals: Vec<Total>,
    /// The order of the groups; ties are broken by the grouping terms.
    pub sort: Vec<TotalsSort>,
}

/// One aggregate of a group.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Total {
    /// The function.
    pub operation: Operation,
    /// Its argument; `None` for the items themselves, which can only be counted.
    pub of: Option<Term>,
}

/// One sort key of the groups.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TotalsSort {
    /// The sort term.
    pub by: TotalsKey,
    /// Whether the order is descending.
    pub descending: bool,
}

/// A sort term of groups, as an index into [`Aggregation`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TotalsKey {
    /// A grouping term.
    Group(usize),
    /// An aggregate.
    Total(usize),
}

named! {
    /// Aggregate functions.
    pub enum Operation {
        /// Number of values that are not null.
        Count = "count",
        /// Number of distinct values.
        CountDistinct = "countDistinct",
        /// Number of items.
        CountAll = "countAll",
        /// Sum of the values.
        Sum = "sum",
        /// Sum of the distinct values.
        SumDistinct = "sumDistinct",
        /// Average of the values.
        Avg = "avg",
        /// Average of the distinct values.
        AvgDistinct = "avgDistinct",
        /// The minimum.
        Min = "min",
        /// The maximum.
        Max = "max",
    }
}

impl Aggregation {
    /// Returns all grouping and aggregated terms.
    pub fn terms(&self) -> impl Iterator<Item = Term> {
        let groups = self.groups.iter().map(|(_, term)| *term);
        groups.chain(self.totals.iter().filter_map(|total| total.of))
    }
}
