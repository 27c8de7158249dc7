//! The filter tree: what rows a query, a subscription or a permission is about.
//!
//! One tree with two readers that must agree: `matches` in memory and `store::compile` in SQL.
//! Null fits no test but `Null`, `Nnull: false` and `Empty`, negated tests included, as in SQL. An
//! item behind a relation that leads nowhere counts as in a left join: see [`Filter::fits_absence`].

use crate::model::Collection;
use crate::model::Field;
use crate::model::Value;
use crate::query::DatePart;
use crate::text;

/// A condition on a record.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Filter {
    /// All of these; an empty list restricts nothing.
    And(Vec<Filter>),
    /// At least one of these; an empty list fits nothing (what the parser makes of a test against
    /// a variable that stands for nothing).
    Or(Vec<Filter>),
    /// A test on one field of the row itself.
    Field(&'static Field, Test),
    /// A test on a part of the date in one field.
    Part(&'static Field, DatePart, Test),
    /// A condition on the item behind a to-one relation; of an absent item see
    /// [`Filter::fits_absence`].
    Related(&'static Field, Box<Filter>),
    /// `_some`: a condition that at least one item behind a to-many relation fits.
    Some(&'static Field, Box<Filter>),
    /// `_none`: a condition that no item behind a to-many relation fits.
    None(&'static Field, Box<Filter>),
}

/// A test on the value of one field. Values have the type of the field.
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
    /// `_contains`, `_starts_with`, `_ends_with` and their kin.
    Text {
        /// Where the text is looked for.
        place: Place,
        /// The text; never empty.
        text: String,
        /// Whether texts are compared by their folds, so that case and normal form do not count.
        ignore_case: bool,
        /// Whether it must not be there.
        negated: bool,
    },
}

/// Where a text test looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// At the start.
    Start,
    /// At the end.
    End,
    /// Anywhere.
    Anywhere,
}

impl Filter {
    /// Returns the filter that restricts nothing.
    #[must_use]
    pub const fn everything() -> Self {
        Self::And(Vec::new())
    }

    /// Returns the filter that nothing fits.
    #[must_use]
    pub const fn nothing() -> Self {
        Self::Or(Vec::new())
    }

    /// Returns whether this restricts nothing.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        match self {
            Self::And(parts) => parts.iter().all(Self::is_everything),
            _ => false,
        }
    }

    /// Returns the condition that both hold.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self.is_everything(), other.is_everything()) {
            (true, _) => other,
            (_, true) => self,
            _ => Self::And(vec![self, other]),
        }
    }

    /// Returns the condition that all hold, without the parts that restrict nothing.
    #[must_use]
    pub(super) fn all(parts: impl IntoIterator<Item = Self>) -> Self {
        Self::joined(parts, Self::And)
    }

    /// Returns the condition that one holds. Parts that restrict nothing are left out, as Directus
    /// does, instead of making the whole restrict nothing; it does so only if no part is left.
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

    /// Returns the condition with the texts in its tests folded, to be asked of folded texts.
    #[must_use]
    pub fn folded(self) -> Self {
        let all = |parts: Vec<Self>| parts.into_iter().map(Self::folded).collect();
        match self {
            Self::And(parts) => Self::And(all(parts)),
            Self::Or(parts) => Self::Or(all(parts)),
            Self::Field(field, test) => Self::Field(field, test.folded()),
            Self::Part(field, part, test) => Self::Part(field, part, test),
            Self::Related(field, behind) => Self::Related(field, Box::new(behind.folded())),
            Self::Some(field, behind) => Self::Some(field, Box::new(behind.folded())),
            Self::None(field, behind) => Self::None(field, Box::new(behind.folded())),
        }
    }

    /// Returns whether an absent item fits, the one behind a relation that leads nowhere: all its
    /// fields are null and all its lists are empty, as in a left join.
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

    /// Returns the condition on the items behind a to-many relation joined from the left: at least
    /// one item fits, or there is none and an absent item fits.
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

    /// Shows every field that the filter looks at, and every relation it follows, with the
    /// collection it is in and the relations that lead there, outermost first.
    pub fn visit(
        &self,
        collection: &'static Collection,
        see: &mut impl FnMut(&'static Collection, &'static Field, &[&'static Field]),
    ) {
        self.walk(collection, &mut Vec::new(), see);
    }

    fn walk(
        &self,
        collection: &'static Collection,
        path: &mut Vec<&'static Field>,
        see: &mut impl FnMut(&'static Collection, &'static Field, &[&'static Field]),
    ) {
        match self {
            Self::And(parts) | Self::Or(parts) => {
                for part in parts {
                    part.walk(collection, path, see);
                }
            }
            Self::Field(field, _) | Self::Part(field, ..) => see(collection, field, path),
            Self::Related(field, behind)
            | Self::Some(field, behind)
            | Self::None(field, behind) => {
                see(collection, field, path);
                if let Some(target) = field.leads_to() {
                    path.push(field);
                    behind.walk(target, path, see);
                    path.pop();
                }
            }
        }
    }
}

impl Test {
    fn folded(self) -> Self {
        let fold = |value: Value| match value {
            Value::Text(text) => Value::text(&text::fold(&text)),
            other => other,
        };
        let all = |values: Vec<Value>| values.into_iter().map(fold).collect();
        match self {
            Self::Eq(value) => Self::Eq(fold(value)),
            Self::Neq(value) => Self::Neq(fold(value)),
            Self::In(values) => Self::In(all(values)),
            Self::Nin(values) => Self::Nin(all(values)),
            Self::Text { place, text, negated, .. } => {
                Self::Text { place, text, ignore_case: true, negated }
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::schema::MESSAGES;
    use crate::model::schema::ROLES;
    use crate::model::schema::USERS;

    fn content() -> Filter {
        Filter::Field(MESSAGES.require("content"), Test::Nnull)
    }

    #[test]
    fn parts_that_restrict_nothing_are_left_out() {
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
    fn visit_shows_relations_and_what_is_behind_them() {
        let filter = Filter::And(vec![
            content(),
            Filter::Related(
                MESSAGES.require("user_created"),
                Box::new(Filter::Or(vec![
                    Filter::Field(USERS.require("email"), Test::Null),
                    Filter::Related(
                        USERS.require("role"),
                        Box::new(Filter::Field(ROLES.require("name"), Test::Null)),
                    ),
                ])),
            ),
            Filter::Field(MESSAGES.require("id"), Test::Nnull),
        ]);

        let mut seen = Vec::new();
        filter.visit(&MESSAGES, &mut |collection, field, path| {
            seen.push(format!("{path:?} {collection:?} {field:?}"));
        });

        assert_eq!(
            seen,
            [
                "[] messages content",
                "[] messages user_created",
                "[user_created] directus_users email",
                "[user_created] directus_users role",
                "[user_created, role] directus_roles name",
                "[] messages id",
            ],
        );
    }
}
