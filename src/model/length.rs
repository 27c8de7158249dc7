//! Length limits of field values, and normalization of text. The limits are set in `schema`.

use std::borrow::Cow;

use crate::model::collection::{Collection, Field};
use crate::model::value::Value;
use crate::text::one_line;

/// The length limit of a field's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// No limit of its own: the type bounds the length, or only the service writes the field.
    Given,
    /// Maximum number of characters of a text, or of a document as JSON.
    Most(usize),
    /// The number of characters in the setting `CONTENT_LENGTH_MAX`.
    Setting,
}

/// A value exceeds the length limit of its field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong {
    /// The collection.
    pub collection: &'static str,
    /// The field.
    pub field: &'static str,
    /// The maximum number of characters.
    pub most: usize,
}

impl Field {
    /// Returns the maximum number of characters; `setting` is `CONTENT_LENGTH_MAX`.
    #[must_use]
    pub const fn length_max(&self, setting: usize) -> usize {
        match self.length {
            Length::Most(most) => most,
            Length::Setting => setting,
            Length::Given => usize::MAX,
        }
    }

    /// Returns a text as it is stored: a name becomes one line.
    #[must_use]
    pub fn kept<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.line { one_line(text) } else { Cow::Borrowed(text) }
    }
}

impl Collection {
    /// Returns a text as a value of a field, in stored form. A name without visible characters
    /// becomes null.
    ///
    /// # Errors
    /// [`TooLong`]; `setting` is `CONTENT_LENGTH_MAX`.
    pub fn text(
        &'static self,
        field: &'static Field,
        text: &str,
        setting: usize,
    ) -> Result<Value, TooLong> {
        let kept = field.kept(text);
        self.check_length(field, &kept, setting)?;
        Ok(if kept.is_empty() && !text.is_empty() { Value::Null } else { Value::text(&kept) })
    }

    /// Checks the length of a text, or of a document as JSON.
    ///
    /// # Errors
    /// [`TooLong`]; `setting` is `CONTENT_LENGTH_MAX`.
    pub fn check_length(
        &'static self,
        field: &'static Field,
        text: &str,
        setting: usize,
    ) -> Result<(), TooLong> {
        let most = field.length_max(setting);
        // Counting is only needed if there are more bytes than allowed characters.
        if text.len() > most && text.chars().count() > most {
            return Err(TooLong { collection: self.name, field: field.name, most });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::collection::{CollectionKind, Exposure, Kind, Special};
    use crate::model::schema::messages;
    use crate::model::schema::users;
    use crate::model::schema::{COLLECTIONS, MESSAGES, USERS};

    #[test]
    fn every_client_writable_field_has_a_length_limit() {
        for collection in COLLECTIONS {
            let is_written = collection.exposure != Exposure::Internal
                && collection.kind != CollectionKind::History;
            for field in collection.fields {
                let varies = matches!(field.kind, Kind::Text | Kind::Json | Kind::Secret);
                let expected = match field.length {
                    Length::Most(most) => (1..=65_536).contains(&most),
                    Length::Setting => *field == messages::content,
                    Length::Given => !varies || !is_written || field.special == Special::Managed,
                };
                assert!(expected, "{collection:?}.{field:?} {:?}", field.length);
            }
        }
    }

    #[test]
    fn text_length_is_checked_after_normalization() {
        let (name, content) = (users::first_name.field(), messages::content.field());
        let most = name.length_max(9);
        let padded = format!(" {} ", "é".repeat(most));

        assert_eq!(USERS.text(name, &padded, 9), Ok(Value::text(padded.trim())));
        let refused = TooLong { collection: "directus_users", field: "first_name", most };
        assert_eq!(USERS.text(name, &"x".repeat(most + 1), 9), Err(refused));
        assert_eq!(USERS.text(name, " \u{200b}\n", 9), Ok(Value::Null));
        assert_eq!(USERS.text(name, "", 9), Ok(Value::text("")));
        assert_eq!(MESSAGES.text(content, " \n äöüäöü", 9), Ok(Value::text(" \n äöüäöü")));
        assert!(MESSAGES.text(content, "0123456789", 9).is_err());
    }
}
