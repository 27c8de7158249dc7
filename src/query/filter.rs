//! The filter tree: the condition on rows in a query, a subscription or a permission.
//!
//! The tree has two evaluators that must agree: `matches` in memory and `store::compile` in SQL. As
//! in SQL, null matches only `Null`, `Nnull: false` and `Empty`, and no negated test. A relation
//! that is null or dangling is treated as in a left join: see [`Filter::fits_absence`].

use crate::model::{Column, Field, IntoValue, Row, Value};
use crate::query::DatePart;

/// A condition on a record.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Filter {
    /// All of these; an empty list matches everything.
    And(Vec<Filter>),
    /// At least one of these; an empty list matches nothing (the parser produces it for a test
    /// against a variable without a value).
    Or(Vec<Filter>),
    /// A test on one field of the row itself.
    Field(&'static Field, Test),
    /// A test on a part of a date field.
    Part(&'static Field, DatePart, Test),
    /// A condition on the item behind a to-one relation; for a missing item see
    /// [`Filter::fits_absence`].
    Related(&'static Field, Box<Filter>),
    /// `_some`: at least one item behind a to-many relation matches.
    Some(&'static Field, Box<Filter>),
    /// `_none`: no item behind a to-many relation matches.
    None(&'static Field, Box<Filter>),
}

/// A test on the value of one field. Operands have the type of the field.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Test {
    /// `_eq`
    Eq(Value),
    /// `_neq`
    Neq(Value),
    /// `_lt`
    Lt(Value),
    /// `_lte`
    Lte(Value),
    /// `_gt`
    Gt(Value),
    /// `_gte`
    Gte(Value),
    /// `_in`; never empty
    In(Vec<Value>),
    /// `_nin`; never empty
    Nin(Vec<Value>),
    /// `_between`, both ends included
    Between(Value, Value),
    /// `_nbetween`
    Nbetween(Value, Value),
    /// `_null`
    Null,
    /// `_nnull`
    Nnull,
    /// `_empty`: null or `''`
    Empty,
    /// `_nempty`
    Nempty,
    /// `_contains`, `_starts_with`, `_ends_with` and their variants.
    Text {
        /// The position of the text.
        position: TextPosition,
        /// The text; never empty.
        text: String,
        /// Whether texts are compared after folding, which ignores case and normal form.
        ignore_case: bool,
        /// Whether the test is negated.
        negated: bool,
    },
}

/// The position of the text in a text test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TextPosition {
    /// At the start.
    Start,
    /// At the end.
    End,
    /// Anywhere.
    Anywhere,
}

impl Test {
    /// Returns the test for a value, which may be null.
    #[must_use]
    pub fn is(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            value => Self::Eq(value),
        }
    }
}

impl Filter {
    /// Returns the filter that matches everything.
    #[must_use]
    pub const fn everything() -> Self {
        Self::And(Vec::new())
    }

    /// Returns the filter that matches nothing.
    #[must_use]
    pub const fn nothing() -> Self {
        Self::Or(Vec::new())
    }

    /// Returns the filter that matches a value of a column, which may be null.
    #[must_use]
    pub fn equals<T: ?Sized>(column: &Column<T>, value: impl IntoValue<T>) -> Self {
        Self::Field(column.field(), Test::is(value.into_value()))
    }

    /// Returns the filter that matches an item as long as these fields have the values of `row`.
    #[must_use]
    pub fn unchanged<const N: usize>(row: &Row, fields: [&'static Field; N]) -> Self {
        Self::And(fields.map(|field| Self::Field(field, Test::is(row[field].clone()))).into())
    }

    /// Returns whether this matches everything.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        match self {
            Self::And(parts) => parts.iter().all(Self::is_everything),
            _ => false,
        }
    }

    /// Returns the conjunction of both filters.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self.is_everything(), other.is_everything()) {
            (true, _) => other,
            (_, true) => self,
            _ => Self::And(vec![self, other]),
        }
    }

    /// Returns the conjunction, without the parts that match everything.
    #[must_use]
    pub(super) fn all(parts: impl IntoIterator<Item = Self>) -> Self {
        Self::joined(parts, Self::And)
    }

    /// Returns the disjunction. As in Directus, parts that match everything are left out instead of
    /// making the whole match everything; it does so only if no part is left.
    #[must_use]
    pub(super) fn any(parts: impl IntoIterator<Item = Self>) -> Self {
        Self::joined(parts, Self::Or)
    }

    fn joined(parts: impl IntoIterator<Item = Self>, join: fn(Vec<Self>) -> Self) -> Self {
        let mut parts: Vec<Self> = parts.into_iter().filter(|part| !part.is_everything()).collect();
        match parts.len() {
            0 => Self::everything(),
            1 => parts.remove(0),
            _ => join(parts),
        }
    }

    /// Returns whether a missing item behind a relation matches: all its fields are null and all
    /// its lists are empty, as in a left join.
    #[must_use]
    pub fn fits_absence(&self) -> bool {
        match self {
            Self::And(parts) => parts.iter().all(Self::fits_absence),
            Self::Or(parts) => parts.iter().any(Self::fits_absence),
            Self::Field(_, test) | Self::Part(_, _, test) => test.fits(&Value::Null),
            Self::Related(_, behind) => behind.fits_absence(),
            Self::Some(..) => false,
            Self::None(..) => true,
        }
    }

    /// Returns the condition on the items behind a left-joined to-many relation: at least one item
    /// matches, or there is none and a missing item matches.
    #[must_use]
    pub(super) fn joined_items(field: &'static Field, behind: Self) -> Self {
        let none = || Self::None(field, Box::new(Self::everything()));
        match &behind {
            Self::Field(key, Test::Null) if key.index == 0 => none(),
            _ if behind.fits_absence() => {
                Self::Or(vec![Self::Some(field, Box::new(behind)), none()])
            }
            _ => Self::Some(field, Box::new(behind)),
        }
    }

    /// Visits the fields of the items themselves that the filter tests or follows.
    pub fn visit_fields(&self, visit: &mut impl FnMut(&'static Field)) {
        match self {
            Self::And(parts) | Self::Or(parts) => {
                for part in parts {
                    part.visit_fields(visit);
                }
            }
            Self::Field(field, _)
            | Self::Part(field, ..)
            | Self::Related(field, _)
            | Self::Some(field, _)
            | Self::None(field, _) => visit(field),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::schema::MESSAGES;
    use crate::model::schema::messages;
    use crate::model::schema::users;

    fn content() -> Filter {
        Filter::Field(&messages::content, Test::Nnull)
    }

    #[test]
    fn unrestrictive_parts_are_omitted() {
        let nothing = Filter::nothing;
        let everything = Filter::everything;

        assert_eq!(Filter::all([everything(), content()]), content());
        assert_eq!(Filter::any([everything(), content()]), content());
        assert_eq!(Filter::any([]), everything());
        assert_eq!(Filter::any([everything()]), everything());
        assert_eq!(Filter::all([content(), nothing()]), Filter::And(vec![content(), nothing()]));
        assert_eq!(Filter::any([nothing()]), nothing());
    }

    #[test]
    fn fields_of_other_items_are_left_out() {
        let author = messages::user_created.field();
        let email = Filter::Field(&users::email, Test::Null);
        let filter = Filter::And(vec![
            Filter::Or(vec![content()]),
            Filter::Related(author, Box::new(email)),
            Filter::Field(MESSAGES.key(), Test::Nnull),
        ]);

        let mut fields = Vec::new();
        filter.visit_fields(&mut |field| fields.push(field));
        assert_eq!(fields, [messages::content.field(), author, MESSAGES.key()]);
    }
}
