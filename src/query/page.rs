//! Order, pages and counts.

use crate::model::Collection;
use crate::model::Field;
use crate::query::DatePart;

/// The bounds of a query, from the settings.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How many items a list has when the query does not say (`QUERY_LIMIT_DEFAULT`).
    pub default: u64,
    /// The most items a list may have (`QUERY_LIMIT_MAX`); `None` for no bound.
    pub max: Option<u64>,
    /// How many names a path may have, as in `user_created.role.name`, which has three
    /// (`MAX_RELATIONAL_DEPTH`).
    pub depth: usize,
    /// How many fields, sort keys, filter tests and values in lists one query may name in all.
    pub parts: usize,
    /// How many relations one query may follow in all: in its fields, its order and its filters.
    /// Each costs a join, or a query of its own.
    pub relations: usize,
    /// How many characters a text may have that is looked for inside others: each place of each
    /// text is compared with it.
    pub needle: usize,
}

impl Limits {
    /// Returns the limit of a query that names none.
    #[must_use]
    pub fn unasked(&self) -> Limit {
        self.cap(Limit::Of(self.default))
    }

    /// Returns the limit, or the greatest one allowed if it is beyond that.
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
        Self { default: 100, max: None, depth: 10, parts: 2000, relations: 250, needle: 1000 }
    }
}

/// How many items a list may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// At most this many.
    Of(u64),
    /// All there are.
    All,
}

/// One key of an order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sort {
    /// The to-one relations to follow, outermost first.
    pub path: Vec<&'static Field>,
    /// The field to order by.
    pub field: &'static Field,
    /// The part of its date to order by; `None` for all of it.
    pub part: Option<DatePart>,
    /// Whether the greatest comes first.
    pub descending: bool,
}

impl Sort {
    /// Shows the field and every relation on the way to it, with the collection each is in and
    /// the relations that lead there, outermost first.
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

/// Which counts a query asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Meta {
    /// `total_count`: all items the caller may see.
    pub total: bool,
    /// `filter_count`: those that fit filter and search, whatever the page.
    pub filter: bool,
}

impl Meta {
    /// Returns whether any count is asked for.
    #[must_use]
    pub const fn any(self) -> bool {
        self.total || self.filter
    }
}

/// The form of a file that a list is exported to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Export {
    /// Text with commas.
    Csv,
    /// The same, begun with the mark by which spreadsheets recognise UTF-8.
    CsvUtf8,
    /// JSON, without envelope.
    Json,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::schema::MESSAGES;
    use crate::model::schema::USERS;

    #[test]
    fn visit_shows_the_way_and_the_field() {
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
