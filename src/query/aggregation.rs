//! `aggregate` and `groupBy`: aggregated values instead of the items.

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

/// Aggregate functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Number of values that are not null.
    Count,
    /// Number of distinct values.
    CountDistinct,
    /// Number of items.
    CountAll,
    /// Sum of the values.
    Sum,
    /// Sum of the distinct values.
    SumDistinct,
    /// Average of the values.
    Avg,
    /// Average of the distinct values.
    AvgDistinct,
    /// The minimum.
    Min,
    /// The maximum.
    Max,
}

impl Operation {
    /// All functions.
    pub const ALL: [Self; 9] = [
        Self::Count,
        Self::CountDistinct,
        Self::CountAll,
        Self::Sum,
        Self::SumDistinct,
        Self::Avg,
        Self::AvgDistinct,
        Self::Min,
        Self::Max,
    ];

    /// Returns the name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::CountDistinct => "countDistinct",
            Self::CountAll => "countAll",
            Self::Sum => "sum",
            Self::SumDistinct => "sumDistinct",
            Self::Avg => "avg",
            Self::AvgDistinct => "avgDistinct",
            Self::Min => "min",
            Self::Max => "max",
        }
    }

    /// Returns the function with this name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.name() == name)
    }
}

impl Aggregation {
    /// Returns all grouping and aggregated terms.
    pub fn terms(&self) -> impl Iterator<Item = Term> {
        let groups = self.groups.iter().map(|(_, term)| *term);
        groups.chain(self.totals.iter().filter_map(|total| total.of))
    }
}
