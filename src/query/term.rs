//! What can be shown, compared, sorted and grouped by: a field, or a part of the date in it.

use std::borrow::Cow;

use crate::model::Field;
use crate::model::Kind;
use crate::model::Value;
use crate::query::DatePart;

/// The name under which something is answered: that of a field, or one that the query chose.
pub type Name = Cow<'static, str>;

/// A field, or a part of the date in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Term {
    /// The field.
    pub field: &'static Field,
    /// The part; `None` for the field as it is. Only fields that hold instants have any.
    pub part: Option<DatePart>,
}

impl Term {
    /// Returns the kind of value that this has: for a relation, that of the keys it leads to.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match (self.part, self.field.kind) {
            (Some(_), _) => Kind::Integer,
            (None, Kind::ToOne(target)) => target.key().kind,
            (None, kind) => kind,
        }
    }

    /// Returns the name under which it is answered: `content`, `date_created_year`.
    #[must_use]
    pub fn name(self) -> Name {
        match self.part {
            None => Cow::Borrowed(self.field.name),
            Some(part) => Cow::Owned(format!("{}_{}", self.field.name, part.name())),
        }
    }

    /// Returns what this is where the field holds `value`.
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
