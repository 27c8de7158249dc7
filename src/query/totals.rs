//! `aggregate` and `groupBy`: numbers about items instead of the items.

use crate::query::Term;
use crate::query::term::Name;

/// What is worked out about the items that a query finds. Never empty.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Totals {
    /// What divides them into groups; none for one group of all.
    pub groups: Vec<(Name, Term)>,
    /// What is worked out about each group; none for the groups alone.
    pub totals: Vec<Total>,
    /// The order of the groups; what is left open goes by what divides them.
    pub sort: Vec<TotalsSort>,
}

/// One thing worked out about a group.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Total {
    /// How.
    pub operation: Operation,
    /// Of what; `None` for the items themselves, which can only be counted.
    pub of: Option<Term>,
}

/// One key of the order of groups.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TotalsSort {
    /// What they are ordered by.
    pub by: TotalsKey,
    /// Whether the greatest comes first.
    pub descending: bool,
}

/// What groups can be ordered by, by its place in [`Totals`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TotalsKey {
    /// One of the groups' terms.
    Group(usize),
    /// One of the totals.
    Total(usize),
}

/// How a total is worked out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// How many are not null.
    Count,
    /// How many different ones there are.
    CountDistinct,
    /// How many items there are.
    CountAll,
    /// Their sum.
    Sum,
    /// The sum of the different ones.
    SumDistinct,
    /// Their average.
    Avg,
    /// The average of the different ones.
    AvgDistinct,
    /// The least.
    Min,
    /// The greatest.
    Max,
}

impl Operation {
    /// All of them.
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

    /// Returns the operation of this name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.name() == name)
    }
}

impl Totals {
    /// Returns everything that is looked at.
    pub fn terms(&self) -> impl Iterator<Item = Term> {
        let groups = self.groups.iter().map(|(_, term)| *term);
        groups.chain(self.totals.iter().filter_map(|total| total.of))
    }
}
