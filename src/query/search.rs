//! Translates a search to a filter, for evaluation in memory by realtime.
//!
//! It must agree with the SQL that `store::compile` generates for the same search.

use uuid::Uuid;

use crate::model::{Field, Kind, Value};
use crate::query::{Filter, Test, TextPosition};

/// Returns the filter that matches a row if one of these fields contains the word, ignoring case,
/// or equals the number or key that the word represents.
#[must_use]
pub fn filter(word: &str, fields: impl IntoIterator<Item = &'static Field>) -> Filter {
    let test = |field: &'static Field| match field.kind {
        Kind::Text => Some(Test::Text {
            position: TextPosition::Anywhere,
            text: word.to_owned(),
            ignore_case: true,
            negated: false,
        }),
        Kind::Integer => word.parse().ok().map(|number| Test::Eq(Value::Integer(number))),
        Kind::Uuid | Kind::ToOne(_) => {
            Uuid::try_parse(word).ok().map(|id| Test::Eq(Value::Uuid(id)))
        }
        _ => None,
    };
    let tests = fields.into_iter().filter_map(|field| Some(Filter::Field(field, test(field)?)));
    Filter::Or(tests.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::schema::MESSAGES;
    use crate::model::schema::messages;
    use crate::model::{Record, Row};

    #[test]
    fn a_search_matches_texts_numbers_and_keys() {
        let author = Uuid::from_u128(0xabc);
        let message = Row::empty(&MESSAGES)
            .with(&messages::id, 42)
            .with(&messages::content, "A Needle in hay 100%")
            .with(&messages::user_created, Some(author));
        let message = Record::from(message);
        for (text, is_found) in [
            ("needle", true),
            ("NEEDLE in", true),
            ("straw", false),
            ("42", true),
            ("4", false),
            ("100%", true),
            ("1%0", false),
            (&author.to_string(), true),
            (&author.to_string().to_uppercase(), true),
            (&Uuid::from_u128(0xabd).to_string(), false),
        ] {
            let filter = filter(text, MESSAGES.columns());
            assert_eq!(filter.matches(&message), is_found, "{text}");
        }
        assert!(!filter("needle", [messages::id.field()]).matches(&message));
        assert!(!filter("needle", []).matches(&message));
    }
}
