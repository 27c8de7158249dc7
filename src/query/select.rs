//! Selections of items: filter, search, order and range; counts; and the limits of a query.

use crate::model::Field;
use crate::query::{DatePart, Filter};

/// The limits of a query, from the settings.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Default number of items in a list (`QUERY_LIMIT_DEFAULT`).
    pub default: u64,
    /// Maximum number of items in a list (`QUERY_LIMIT_MAX`); `None` for no bound.
    pub max: Option<u64>,
    /// Maximum number of names in a path, three in `user_created.role.name`
    /// (`MAX_RELATIONAL_DEPTH`).
    pub depth: usize,
    /// Maximum number of fields, sort keys, filter tests and list values in one query.
    pub parts: usize,
    /// Maximum number of relations that the fields, order and filters of one query follow in total.
    /// Each costs a join or a separate query.
    pub relations: usize,
    /// Maximum number of characters of a search text, which is compared at every position of a
    /// text.
    pub term: usize,
}

impl Limits {
    /// Returns the length of a page, capped at the greatest one allowed; `None` for no limit.
    #[must_use]
    pub fn cap(&self, limit: Option<u64>) -> Option<u64> {
        match (limit, self.max) {
            (Some(limit), Some(max)) => Some(limit.min(max)),
            (limit, max) => limit.or(max),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { default: 100, max: None, depth: 10, parts: 2000, relations: 250, term: 1000 }
    }
}

/// A selection of items and their order. For the item of a to-one relation only the filter applies.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Select {
    /// The condition that the items must match.
    pub filter: Filter,
    /// The search text, trimmed, never empty; and the fields to search.
    pub search: Option<(String, Vec<&'static Field>)>,
    /// Their order; ties, and an empty list, by key.
    pub sort: Vec<Sort>,
    /// Maximum number of items, behind a relation for each item of the level above; `None` for no
    /// limit.
    pub limit: Option<u64>,
    /// Number of items to skip; at most `i64::MAX`, as in SQL.
    pub offset: u64,
}

impl Default for Select {
    fn default() -> Self {
        let filter = Filter::everything();
        Self { filter, search: None, sort: Vec::new(), limit: None, offset: 0 }
    }
}

impl Select {
    /// Returns the first page of all items.
    #[must_use]
    pub fn first_page(limits: &Limits) -> Self {
        Self { limit: limits.cap(Some(limits.default)), ..Self::default() }
    }
}

/// One sort key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sort {
    /// The to-one relations to follow, outermost first.
    pub path: Vec<&'static Field>,
    /// The field to sort by.
    pub field: &'static Field,
    /// The part of the date to sort by; `None` for the whole value.
    pub part: Option<DatePart>,
    /// Whether the order is descending.
    pub descending: bool,
}

/// The counts a query requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Meta {
    /// `total_count`: all items the caller may see.
    pub total: bool,
    /// `filter_count`: items that match filter and search, on all pages.
    pub filter: bool,
}

impl Meta {
    /// Returns whether any count is requested.
    #[must_use]
    pub const fn any(self) -> bool {
        self.total || self.filter
    }
}

/// The file format of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Export {
    /// Comma-separated values.
    Csv,
    /// The same with a byte order mark, by which spreadsheets recognize UTF-8.
    CsvUtf8,
    /// JSON without an envelope.
    Json,
}
