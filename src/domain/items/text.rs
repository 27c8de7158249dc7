//! JSON written straight to text, value by value.

use std::fmt::Write as _;

use serde_json::value::RawValue;

use crate::model::Field;
use crate::model::Kind;
use crate::model::Value;
use crate::store::Figure;

/// What stands for a secret that is set.
const MASK: &str = "**********";

/// The greatest whole number that a number with a fraction holds exactly.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// JSON under construction.
#[derive(Default)]
pub(super) struct Text(String);

impl Text {
    /// Writes a list.
    pub(super) fn list<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        write: impl Fn(&mut Self, T),
    ) {
        self.0.push('[');
        for (place, item) in items.into_iter().enumerate() {
            if place > 0 {
                self.0.push(',');
            }
            write(self, item);
        }
        self.0.push(']');
    }

    /// Writes an object.
    pub(super) fn object<T>(
        &mut self,
        entries: &[T],
        name: impl Fn(&T) -> &str,
        write: impl Fn(&mut Self, &T),
    ) {
        self.0.push('{');
        for (place, entry) in entries.iter().enumerate() {
            if place > 0 {
                self.0.push(',');
            }
            self.string(name(entry));
            self.0.push(':');
            write(self, entry);
        }
        self.0.push('}');
    }

    /// Writes null.
    pub(super) fn null(&mut self) {
        self.0.push_str("null");
    }

    /// Writes one of some figures.
    pub(super) fn figure(&mut self, figures: &[Figure], place: usize) {
        match figures.get(place) {
            Some(Figure::Value(value)) => self.value(value),
            Some(Figure::Real(real)) => self.real(*real),
            None => self.null(),
        }
    }

    /// Writes a number as JavaScript does: whole ones without a fraction.
    pub(super) fn real(&mut self, real: f64) {
        if real.fract() == 0.0 && real.abs() <= WHOLE_MAX {
            write!(self.0, "{real:.0}").expect("a String takes any text");
        } else {
            self.0.push_str(&serde_json::Value::from(real).to_string());
        }
    }

    /// Writes the value of a field; of a secret, only that it is set.
    pub(super) fn field(&mut self, field: &Field, value: &Value) {
        if matches!(field.kind, Kind::Secret) && !value.is_null() {
            self.string(MASK);
        } else {
            self.value(value);
        }
    }

    /// Writes a value.
    pub(super) fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.null(),
            Value::Boolean(flag) => self.0.push_str(if *flag { "true" } else { "false" }),
            Value::Integer(number) => self.0.push_str(&number.to_string()),
            Value::Text(text) => self.string(text),
            Value::Uuid(id) => self.string(id.hyphenated().encode_lower(&mut [0; 36])),
            Value::Timestamp(at) => self.string(&at.to_string()),
            Value::Json(document) => self.0.push_str(&document.to_string()),
        }
    }

    /// Writes a text.
    pub(super) fn string(&mut self, text: &str) {
        self.0.push_str(&serde_json::to_string(text).expect("text is always JSON"));
    }

    /// Returns what was written.
    pub(super) fn finish(self) -> Box<RawValue> {
        RawValue::from_string(self.0).expect("what is written here is JSON")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_javascript_does() {
        for (real, expected) in [
            (3.0, "3"),
            (-2.0, "-2"),
            (0.25, "0.25"),
            (1e300, "1e+300"),
            (9_007_199_254_740_992.0, "9007199254740992"),
        ] {
            let mut text = Text::default();
            text.real(real);
            assert_eq!(text.0, expected);
        }
    }
}
