//! Proof of permission: the rights to perform one action on the items of one collection.
//!
//! Reading and writing rows takes a `Scope`. Only `domain::permissions` grants them (enforced by a
//! test), so a missing check does not compile.

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use crate::model::{Collection, Field, Kind, Record};
use crate::query::{Filter, Relations};

/// The rights of an actor to perform one action on the items of one collection: the union of its
/// rules, shared by clones.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Scope {
    collection: &'static Collection,
    full: bool,
    rules: Arc<[Rule]>,
}

/// The rights granted by one permission.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Rule {
    /// The items it applies to.
    pub filter: Filter,
    /// The fields, or all.
    pub fields: RuleFields,
    /// The filter that a payload must match, as written.
    pub validation: Option<Json>,
    /// Default values of fields missing in a payload.
    pub presets: Option<Map<String, Json>>,
}

/// The fields of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RuleFields {
    /// `*`: every field, including those that later versions add.
    All,
    /// Only these.
    Some(Vec<&'static Field>),
}

impl Rule {
    /// Returns whether the rule includes the field.
    #[must_use]
    pub fn has(&self, field: &'static Field) -> bool {
        match &self.fields {
            RuleFields::All => true,
            RuleFields::Some(fields) => fields.contains(&field),
        }
    }
}

impl Scope {
    /// Grants a scope. `full` is for administrators: every item, every field, and the fields that
    /// otherwise only the service sets.
    ///
    /// Must only be called by `domain::permissions`.
    #[must_use]
    pub fn grant(collection: &'static Collection, full: bool, rules: Vec<Rule>) -> Self {
        Self { collection, full, rules: rules.into() }
    }

    /// Returns the collection.
    #[must_use]
    pub const fn collection(&self) -> &'static Collection {
        self.collection
    }

    /// Returns whether this is the scope of an administrator.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.full
    }

    /// Returns the rules; none if the scope is full.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Returns whether the scope includes the field for at least some items.
    #[must_use]
    pub fn has(&self, field: &'static Field) -> bool {
        self.full || self.rules.iter().any(|rule| rule.has(field))
    }

    /// Returns whether a search may use the field. It must be readable for every item, since a
    /// match would reveal the content of unreadable ones, and must not be a secret.
    #[must_use]
    pub fn searches(&self, field: &'static Field) -> bool {
        let readable = self.full || self.rules.iter().all(|rule| rule.has(field));
        readable && !matches!(field.kind, Kind::Secret)
    }

    /// Returns whether unknown fields of a payload are ignored instead of refused. They are if all
    /// fields may be written.
    #[must_use]
    pub fn has_all(&self) -> bool {
        self.full || self.rules.iter().any(|rule| rule.fields == RuleFields::All)
    }

    /// Returns the filter of the items within the scope.
    #[must_use]
    pub fn filter(&self) -> Filter {
        self.filter_where(|_| true)
    }

    /// Returns the relations that the rules follow.
    #[must_use]
    pub fn relations(&self) -> Relations {
        let mut relations = Relations::default();
        for rule in self.rules.iter() {
            relations.merge(rule.filter.relations());
        }
        relations
    }

    /// Returns the filter of the items for which the scope includes each of these fields, possibly
    /// by different rules; `None` if no rule includes one of them.
    #[must_use]
    pub fn filter_for(&self, fields: &[&'static Field]) -> Option<Filter> {
        let mut filter = Filter::everything();
        for field in fields {
            if !self.has(field) {
                return None;
            }
            let of_field = self.filter_where(|rule| rule.has(field));
            filter = filter.and(of_field);
        }
        Some(filter.and(self.filter()))
    }

    fn filter_where(&self, fits: impl Fn(&Rule) -> bool) -> Filter {
        if self.full {
            return Filter::everything();
        }
        let mut filters = Vec::new();
        for rule in self.rules.iter().filter(|rule| fits(rule)) {
            if rule.filter.is_everything() {
                return Filter::everything();
            }
            if !filters.contains(&rule.filter) {
                filters.push(rule.filter.clone());
            }
        }
        match filters.len() {
            1 => filters.remove(0),
            _ => Filter::Or(filters),
        }
    }

    /// Returns whether the readable fields differ from item to item.
    #[must_use]
    pub fn varies(&self) -> bool {
        let mut open = self.rules.iter().filter(|rule| rule.filter.is_everything());
        !self.full
            && self.rules.len() > 1
            && self.rules.iter().any(|rule| rule.fields != self.rules[0].fields)
            && !open.any(|rule| rule.fields == RuleFields::All)
    }

    /// Returns whether the scope includes this field of the record. Relations that rules follow
    /// must be attached to the record.
    #[must_use]
    pub fn shows(&self, record: &Record, field: &'static Field) -> bool {
        self.full || self.rules.iter().any(|rule| rule.has(field) && rule.filter.matches(record))
    }

    /// Returns whether the scope includes the record. Relations that rules follow must be attached.
    #[must_use]
    pub fn fits(&self, record: &Record) -> bool {
        self.full || self.rules.iter().any(|rule| rule.filter.matches(record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::schema::MESSAGES;
    use crate::model::schema::messages;
    use crate::model::{Row, Value};
    use crate::query::Test;

    fn rule(filter: Filter, fields: &[&str]) -> Rule {
        let fields = match fields {
            ["*"] => RuleFields::All,
            names => {
                RuleFields::Some(names.iter().map(|name| MESSAGES.field(name).unwrap()).collect())
            }
        };
        Rule { filter, fields, validation: None, presets: None }
    }

    fn first() -> Filter {
        Filter::Field(MESSAGES.key(), Test::Eq(Value::Integer(1)))
    }

    fn message(id: i64) -> Record {
        Record::from(Row::empty(&MESSAGES).with(&messages::id, id))
    }

    fn scope(rules: Vec<Rule>) -> Scope {
        Scope::grant(&MESSAGES, false, rules)
    }

    #[test]
    fn fields_may_come_from_different_rules() {
        let scope =
            scope(vec![rule(Filter::everything(), &["id"]), rule(first(), &["id", "content"])]);
        let content = messages::content.field();

        assert!(scope.filter_for(&[MESSAGES.key()]).unwrap().is_everything());
        let both = scope.filter_for(&[MESSAGES.key(), content]).unwrap();
        assert!(both.matches(&message(1)) && !both.matches(&message(2)));
        assert!(scope.filter_for(&[&messages::date_created]).is_none());
    }

    #[test]
    fn a_field_is_shown_only_on_items_its_rule_covers() {
        let scope =
            scope(vec![rule(Filter::everything(), &["id"]), rule(first(), &["id", "content"])]);
        let content = messages::content.field();

        assert!(scope.varies());
        assert!(scope.shows(&message(1), content));
        assert!(!scope.shows(&message(2), content));
    }

    #[test]
    fn an_unrestricted_rule_makes_the_scope_uniform() {
        let scope = scope(vec![rule(first(), &["content"]), rule(Filter::everything(), &["*"])]);

        assert!(!scope.varies());
        assert!(scope.filter().is_everything());
    }
}
