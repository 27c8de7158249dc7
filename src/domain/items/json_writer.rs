//! A JSON writer that appends values directly to text.

use std::io::Write as _;

use serde::Serialize;
use serde_json::Value as Json;

use crate::domain::Error;
use crate::model::{Field, Kind, Value};
use crate::store::AggregateValue;

/// The mask of a secret that is set.
pub(super) const MASK: &str = "**********";

/// The greatest integer up to which an `f64` represents all integers exactly.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// The reason why writing cannot fail.
const GROWS: &str = "values can be serialized, and writes to memory do not fail";

/// A complete JSON text, sent to the client without further processing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonText(String);

impl JsonText {
    /// Returns the text.
    #[must_use]
    pub fn get(&self) -> &str {
        &self.0
    }

    /// Converts the text into a `String`.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }

    /// Returns the allocated memory of the text in bytes.
    pub(super) const fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

impl From<&Json> for JsonText {
    fn from(value: &Json) -> Self {
        Self(value.to_string())
    }
}

/// JSON under construction.
pub(super) struct JsonWriter {
    bytes: Vec<u8>,
    most: usize,
}

impl Default for JsonWriter {
    fn default() -> Self {
        Self::within(usize::MAX)
    }
}

impl JsonWriter {
    /// Creates a text of at most `most` bytes. Once the text is longer, lists are cut short, since
    /// the text is going to be discarded.
    pub(super) const fn within(most: usize) -> Self {
        Self { bytes: Vec::new(), most }
    }

    /// Returns the text that `write` writes.
    pub(super) fn written(write: impl FnOnce(&mut Self)) -> JsonText {
        let mut json = Self::default();
        write(&mut json);
        json.finish()
    }

    /// Writes a list.
    pub(super) fn list<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        write: impl Fn(&mut Self, T),
    ) {
        self.elements(*b"[]", items, |json, item, _| {
            write(json, item);
            json.bytes.len() <= json.most
        });
    }

    /// Writes a list of the first items that fit. An item that alone does not fit is written by
    /// `instead`. Returns whether the list is incomplete.
    pub(super) fn list_that_fits<T: Copy>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        write: impl Fn(&mut Self, T),
        instead: impl Fn(&mut Self, T),
    ) -> bool {
        let mut truncated = false;
        self.elements(*b"[]", items, |json, item, end| {
            let begin = json.bytes.len();
            write(json, item);
            if json.bytes.len() - begin + "[]".len() > json.most {
                json.bytes.truncate(begin);
                instead(json, item);
                truncated = true;
            }
            let fits = json.bytes.len() + "]".len() <= json.most;
            if !fits {
                json.bytes.truncate(end);
                truncated = true;
            }
            fits
        });
        truncated
    }

    /// Writes a list of all items. An item that does not fit is written by `instead`, even beyond
    /// the limit.
    pub(super) fn list_of_all<T: Copy>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        write: impl Fn(&mut Self, T),
        instead: impl Fn(&mut Self, T),
    ) {
        self.elements(*b"[]", items, |json, item, _| {
            let begin = json.bytes.len();
            write(json, item);
            if json.bytes.len() + "]".len() > json.most {
                json.bytes.truncate(begin);
                instead(json, item);
            }
            true
        });
    }

    /// Writes the elements of a list or object until `write` returns `false`. It also gets the length of the
    /// text before the comma.
    fn elements<T>(
        &mut self,
        [open, close]: [u8; 2],
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T, usize) -> bool,
    ) {
        self.bytes.push(open);
        for (index, item) in items.into_iter().enumerate() {
            let end = self.bytes.len();
            if index > 0 {
                self.bytes.push(b',');
            }
            if !write(self, item, end) {
                break;
            }
        }
        self.bytes.push(close);
    }

    /// Writes an object.
    pub(super) fn object<T>(
        &mut self,
        entries: &[T],
        name: impl Fn(&T) -> &str,
        write: impl Fn(&mut Self, &T),
    ) {
        self.elements(*b"{}", entries, |json, entry, _| {
            json.string(name(entry));
            json.bytes.push(b':');
            write(json, entry);
            true
        });
    }

    /// Writes null.
    pub(super) fn null(&mut self) {
        self.bytes.extend_from_slice(b"null");
    }

    /// Writes the aggregate value at `index`.
    pub(super) fn aggregate_value(&mut self, values: &[AggregateValue], index: usize) {
        match values.get(index) {
            Some(AggregateValue::Value(value)) => self.value(value),
            Some(AggregateValue::Real(real)) => self.real(*real),
            None => self.null(),
        }
    }

    /// Writes a number as JavaScript does: integers without a fraction.
    pub(super) fn real(&mut self, real: f64) {
        if real.fract() == 0.0 && real.abs() <= WHOLE_MAX {
            write!(self.bytes, "{real:.0}").expect(GROWS);
        } else {
            self.json(&real);
        }
    }

    /// Writes the value of a field; a secret is masked.
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
            Value::Boolean(flag) => self.json(flag),
            Value::Integer(number) => self.json(number),
            Value::Text(text) => self.string(text),
            Value::Uuid(id) => self.string(id.hyphenated().encode_lower(&mut [0; 36])),
            // A timestamp contains no characters to escape.
            Value::Timestamp(at) => write!(self.bytes, "\"{at}\"").expect(GROWS),
            Value::Json(document) => self.json(&**document),
        }
    }

    /// Writes a text.
    pub(super) fn string(&mut self, text: &str) {
        self.json(text);
    }

    /// Returns the text, unless it is too long.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`].
    pub(super) fn finish_within(self) -> Result<JsonText, Error> {
        if self.bytes.len() > self.most { Err(too_long(self.most)) } else { Ok(self.finish()) }
    }

    /// Returns the text.
    pub(super) fn finish(self) -> JsonText {
        JsonText(String::from_utf8(self.bytes).expect("JSON is written as UTF-8"))
    }

    fn json<T: Serialize + ?Sized>(&mut self, value: &T) {
        serde_json::to_writer(&mut self.bytes, value).expect(GROWS);
    }
}

/// Returns the error for an answer of more than `most` bytes.
pub(super) fn too_long(most: usize) -> Error {
    Error::LimitExceeded(format!(
        "the response would have more than {most} bytes: request fewer items or fields at a time"
    ))
}

/// Returns the error for a list that is too long; only its first `count` items fit.
pub(super) fn list_too_long(most: usize, count: usize) -> Error {
    match too_long(most) {
        Error::LimitExceeded(reason) if count > 0 => {
            Error::LimitExceeded(format!("{reason}. With limit={count} these items fit"))
        }
        refusal => refusal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_formatted_as_in_javascript() {
        for (real, expected) in [
            (3.0, "3"),
            (-2.0, "-2"),
            (0.25, "0.25"),
            (1e300, "1e+300"),
            (9_007_199_254_740_992.0, "9007199254740992"),
        ] {
            let mut text = JsonWriter::default();
            text.real(real);
            assert_eq!(text.finish().get(), expected);
        }
    }

    #[test]
    fn a_list_is_truncated_to_the_byte_limit() {
        let written = |items: &[&str], most| {
            let mut text = JsonWriter::within(most);
            let key = |text: &mut JsonWriter, _| text.value(&Value::Integer(7));
            let truncated = text.list_that_fits(items, |text, item| text.string(item), key);
            let json = text.finish();
            assert!(json.get().len() <= most.max(2), "{json:?}");
            (json.get().to_owned(), truncated)
        };
        let long = "x".repeat(20);

        assert_eq!(written(&[], 2), ("[]".to_owned(), false));
        assert_eq!(written(&["a", "b"], 9), (r#"["a","b"]"#.to_owned(), false));
        assert_eq!(written(&["a", "b"], 8), (r#"["a"]"#.to_owned(), true));
        assert_eq!(written(&["a", "b"], 4), ("[7]".to_owned(), true));
        assert_eq!(written(&["a", &long, "b"], 12), (r#"["a",7,"b"]"#.to_owned(), true));
        assert_eq!(written(&["a", &long, "b"], 10), (r#"["a",7]"#.to_owned(), true));
        assert_eq!(written(&["a"], 2), ("[]".to_owned(), true));
    }

    #[test]
    fn an_oversized_list_stops_rendering_early() {
        let written = |most| {
            let mut text = JsonWriter::within(most);
            let mut count = 0;
            let items = (0..1000).inspect(|_| count += 1);
            text.list(items, |text, item| text.value(&Value::Integer(item)));
            (text.finish_within().map(|text| text.get().len()), count)
        };

        assert!(matches!(written(3891), (Ok(3891), 1000)));
        assert!(matches!(written(3890), (Err(Error::LimitExceeded(_)), 1000)));
        assert!(matches!(written(20), (Err(Error::LimitExceeded(_)), 11)));
    }
}
