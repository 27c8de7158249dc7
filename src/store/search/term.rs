//! The index query of a selection that searches the content of messages.

use std::borrow::Cow;

use uuid::Uuid;

use crate::model::schema::MESSAGES;
use crate::model::schema::messages;
use crate::model::{Collection, Field, Kind};
use crate::query::{Filter, Select, Test};
use crate::text::fold;
use crate::text::stands_alone;

/// Maximum number of trigrams queried per text: more would hardly reduce the candidates.
const TRIGRAMS_MAX: usize = 12;

/// An index query. All messages that can match a selection satisfy it, as do some others.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum SearchTerm {
    /// A full-text query: messages that have all these trigrams.
    Trigrams(String),
    /// Messages with a trigram from the first text on, and before the second.
    Range(String, Option<String>),
}

impl SearchTerm {
    /// Returns the index query of a selection, and a key that its search matches as well, if there
    /// is one. `None` if the index cannot help.
    pub(super) fn of(
        collection: &'static Collection,
        select: &Select,
    ) -> Option<(Self, Option<i64>)> {
        if *collection != MESSAGES {
            return None;
        }
        let (key, content) = (MESSAGES.key(), messages::content.field());
        if let Some((text, fields)) = &select.search
            && fields.contains(&content)
            && fields.iter().all(|field| [content, key].contains(field) || !can_fit(field, text))
        {
            let key = text.parse().ok().filter(|_| fields.contains(&key));
            return Some((Self::text(&fold(text))?, key));
        }
        Some((Self::text(&required(&select.filter)?)?, None))
    }

    /// Returns the index query for texts with a fold that contains `text`.
    fn text(text: &str) -> Option<Self> {
        let text: Vec<char> = text.chars().collect();
        if text.len() < 3 {
            return Self::range(&text);
        }
        let mut trigrams: Vec<&[char]> =
            // The index is not queried for trigrams with a NUL.
            text.windows(3).filter(|trigram| !trigram.contains(&'\0')).collect();
        let step = trigrams.len().div_ceil(TRIGRAMS_MAX).max(1);
        trigrams = trigrams.into_iter().step_by(step).collect();
        let quoted: Vec<String> = trigrams
            .iter()
            .map(|trigram| {
                let text: String = trigram.iter().collect();
                format!("\"{}\"", text.replace('"', "\"\""))
            })
            .collect();
        (!quoted.is_empty()).then(|| Self::Trigrams(quoted.join(" ")))
    }

    fn range(text: &[char]) -> Option<Self> {
        // The index replaces U+FFFE and U+FFFF, and ignores the text after a NUL.
        if text.iter().any(|letter| matches!(letter, '\0' | '\u{fffe}' | '\u{ffff}')) {
            return None;
        }
        let (last, before) = text.split_last()?;
        let behind = (u32::from(*last) + 1..=0x0010_FFFF).find_map(char::from_u32);
        let end = behind.map(|behind| before.iter().copied().chain([behind]).collect());
        Some(Self::Range(text.iter().collect(), end))
    }
}

/// Returns whether a search for the text can match the field.
fn can_fit(field: &Field, text: &str) -> bool {
    match field.kind {
        Kind::Text => true,
        Kind::Integer => text.parse::<i64>().is_ok(),
        Kind::Uuid | Kind::ToOne(_) => Uuid::parse_str(text).is_ok(),
        _ => false,
    }
}

/// Returns a text that the fold of the content must contain if the message matches the filter.
fn required(filter: &Filter) -> Option<Cow<'_, str>> {
    match filter {
        Filter::And(parts) => parts.iter().filter_map(required).max_by_key(|text| text.len()),
        Filter::Or(parts) if parts.len() == 1 => required(&parts[0]),
        Filter::Field(field, test) if **field == messages::content => match test {
            Test::Text { text, negated: false, ignore_case: true, .. } => Some(fold(text)),
            Test::Text { text, negated: false, ignore_case: false, .. } => core(text),
            Test::Eq(value) => value.as_text().filter(|text| !text.is_empty()).map(fold),
            _ => None,
        },
        _ => None,
    }
}

/// Returns a text that the fold of the content is certain to contain if the content contains
/// `part`. The first and the last letters of the part may combine with adjacent ones.
fn core(part: &str) -> Option<Cow<'_, str>> {
    let start = part.find(stands_alone)?;
    let end = part.rfind(stands_alone)?;
    (start < end).then(|| fold(&part[start..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trigrams(text: &str) -> Option<String> {
        match SearchTerm::text(text)? {
            SearchTerm::Trigrams(query) => Some(query),
            SearchTerm::Range(..) => None,
        }
    }

    fn range(text: &str) -> Option<(String, Option<String>)> {
        match SearchTerm::text(text)? {
            SearchTerm::Range(from, to) => Some((from, to)),
            SearchTerm::Trigrams(_) => None,
        }
    }

    #[test]
    fn a_word_is_split_into_trigrams() {
        assert_eq!(trigrams("abcd").as_deref(), Some(r#""abc" "bcd""#));
        assert_eq!(trigrams("ÄÖ你").as_deref(), Some(r#""ÄÖ你""#));
        assert_eq!(trigrams("\"*-^").as_deref(), Some(r#""""*-" "*-^""#));
        assert_eq!(trigrams("ab\0cde").as_deref(), Some(r#""cde""#));
        assert_eq!(trigrams("a\0b"), None);
        let long = trigrams(&"abcdefghijklmnopqrstuvwxyz".repeat(40)).unwrap();
        assert!(long.split(' ').count() <= TRIGRAMS_MAX, "{long}");
    }

    #[test]
    fn a_byte_compared_term_is_reduced_to_its_core() {
        for (part, expected) in [
            ("Banana", Some("banan")),
            ("Привет", Some("приве")),
            ("\u{301}e\u{301}Abe\u{301}", Some("éab")),
            ("天气不错", Some("天气不")),
            ("\u{301}a", None),
            ("a", None),
            ("", None),
        ] {
            assert_eq!(core(part).as_deref(), expected, "{part:?}");
        }
    }

    #[test]
    fn a_short_word_becomes_a_trigram_prefix_range() {
        let text = |text: &str| text.to_owned();

        assert_eq!(range("天气"), Some((text("天气"), Some(text("天氕")))));
        assert_eq!(range("a"), Some((text("a"), Some(text("b")))));
        assert_eq!(range("\u{d7ff}"), Some((text("\u{d7ff}"), Some(text("\u{e000}")))));
        assert_eq!(range("a\u{10ffff}"), Some((text("a\u{10ffff}"), None)));
        assert_eq!(SearchTerm::text("a\u{fffe}"), None);
        assert_eq!(SearchTerm::text("\0"), None);
        assert_eq!(SearchTerm::text(""), None);
    }
}
