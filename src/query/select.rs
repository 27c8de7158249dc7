//! Order, pages and counts.

use crate::model::Collection;
use crate::model::Field;
use crate::query::DatePart;

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
    /// Returns the default limit.
    #[must_use]
    pub fn unasked(&self) -> Limit {
        self.cap(Limit::Of(self.default))
    }

    /// Returns the limit, capped at the greatest one allowed.
    #[must_use]
    pub fn cap(&self, limit: Limit) -> Limit {
        match (limit, self.max) {
            (limit, None) => limit,
            (Limit::Of(count), Some(max)) => Limit::Of(count.min(max)),
            (Limit::All, Some(max)) => Limit::Of(max),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { default: 100, max: None, depth: 10, parts: 2000, relations: 250, term: 1000 }
    }
}

/// The maximum number of items in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// At most this number.
    Of(u64),
    /// No limit.
    All,
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

impl Sort {
    /// Visits the field and every relation on the path to it, with its collection and the relations
    /// that lead there, outermost first.
    pub fn visit(
        &self,
        collection: &'static Collection,
        see: &mut impl FnMut(&'static Collection, &'static Field, &[&'static Field]),
    ) {
        let mut collection = collection;
        for (depth, field) in self.path.iter().enumerate() {
            see(collection, field, &self.path[..depth]);
            let Some(target) = field.target() else { return };
            collection = target;
        }
        see(collection, self.field, &self.path);
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::schema::MESSAGES;
    use crate::model::schema::USERS;

    #[test]
    fn visit_yields_the_path_and_the_field() {
        let sort = Sort {
            path: vec![MESSAGES.require("user_created")],
            field: USERS.require("email"),
            part: None,
            descending: true,
        };

        let mut seen = Vec::new();
        sort.visit(&MESSAGES, &mut |collection, field, path| {
            seen.push(format!("{path:?} {collection:?} {field:?}"));
        });

        assert_eq!(seen, ["[] messages user_created", "[user_created] directus_users email"]);
    }
}
