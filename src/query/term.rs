//! Terms that can be selected, compared, sorted and grouped by: a field, or a part of its date.

use std::borrow::Cow;

use crate::model::{Field, Kind, Value};
use crate::query::DatePart;

/// The name in the response: the name of a field, or an alias.
pub type Name = Cow<'static, str>;

/// A field, or a part of its date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Term {
    /// The field.
    pub field: &'static Field,
    /// The part; `None` for the whole field. Only timestamp fields have parts.
    pub part: Option<DatePart>,
}

impl Term {
    /// Returns the type of the term's values; for a relation, that of the referenced keys.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match (self.part, self.field.kind) {
            (Some(_), _) => Kind::Integer,
            (None, Kind::ToOne(target)) => target.key().kind,
            (None, kind) => kind,
        }
    }

    /// Returns the name in the response: `content`, `date_created_year`.
    #[must_use]
    pub fn name(self) -> Name {
        match self.part {
            None => Cow::Borrowed(self.field.name),
            Some(part) => Cow::Owned(format!("{}_{}", self.field.name, part.name())),
        }
    }

    /// Returns the term's value for the given field value.
    #[must_use]
    pub fn of(self, value: &Value) -> Cow<'_, Value> {
        match self.part {
            None => Cow::Borrowed(value),
            Some(part) => {
                let number = value.as_timestamp().and_then(|at| part.of(at));
                Cow::Owned(number.map_or(Value::Null, Value::Integer))
            }
        }
    }
}

impl From<&'static Field> for Term {
    fn from(field: &'static Field) -> Self {
        Self { field, part: None }
    }
}
