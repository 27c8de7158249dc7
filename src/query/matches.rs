//! Evaluates filters in memory, for realtime.
//!
//! The result must agree with the SQL that `store::compile` generates for the same filter. Texts
//! are compared by bytes, or by their [`fold`] when case is ignored.

use std::cmp::Ordering;

use crate::model::{Record, Related, Value};
use crate::query::{Filter, Term, Test, TextPosition};
use crate::text::fold;

impl Filter {
    /// Returns whether the record matches. Relations that the filter follows must be attached to
    /// the record (see [`Filter::relations`]); a condition behind a relation that is not attached
    /// never holds.
    #[must_use]
    pub fn matches(&self, record: &Record) -> bool {
        match self {
            Self::And(parts) => parts.iter().all(|part| part.matches(record)),
            Self::Or(parts) => parts.iter().any(|part| part.matches(record)),
            Self::Field(field, test) => test.fits(record.value(field)),
            Self::Part(field, part, test) => {
                let term = Term { field, part: Some(*part) };
                test.fits(&term.of(record.value(field)))
            }
            Self::Related(field, behind) => match record.related(field) {
                Some(Related::One(Some(related))) => behind.matches(related),
                Some(Related::One(None)) => behind.fits_absence(),
                Some(Related::Many(_)) | None => false,
            },
            // A list that is not attached is unknown, not empty.
            Self::Some(field, behind) => record
                .many(field)
                .is_some_and(|list| list.iter().any(|related| behind.matches(related))),
            Self::None(field, behind) => record
                .many(field)
                .is_some_and(|list| !list.iter().any(|related| behind.matches(related))),
        }
    }
}

impl Test {
    /// Returns whether the value matches. As in SQL, a comparison with null is never true.
    #[must_use]
    pub fn fits(&self, value: &Value) -> bool {
        if value.is_null() {
            return matches!(self, Self::Null | Self::Empty);
        }
        match self {
            Self::Eq(other) => value == other,
            Self::Neq(other) => !other.is_null() && value != other,
            Self::Lt(bound) => compare(value, bound).is_some_and(Ordering::is_lt),
            Self::Lte(bound) => compare(value, bound).is_some_and(Ordering::is_le),
            Self::Gt(bound) => compare(value, bound).is_some_and(Ordering::is_gt),
            Self::Gte(bound) => compare(value, bound).is_some_and(Ordering::is_ge),
            Self::In(values) => values.contains(value),
            Self::Nin(values) => values.iter().all(|other| !other.is_null() && value != other),
            Self::Between(low, high) => {
                compare(value, low).is_some_and(Ordering::is_ge)
                    && compare(value, high).is_some_and(Ordering::is_le)
            }
            Self::Nbetween(low, high) => {
                compare(value, low).is_some_and(Ordering::is_lt)
                    || compare(value, high).is_some_and(Ordering::is_gt)
            }
            Self::Null => false,
            Self::Nnull => true,
            Self::Empty => value.as_text() == Some(""),
            Self::Nempty => value.as_text() != Some(""),
            Self::Text { position, text, ignore_case, negated } => value
                .as_text()
                .is_some_and(|found| has(found, *position, text, *ignore_case) != *negated),
        }
    }
}

/// Compares two values of an ordered type.
fn compare(value: &Value, other: &Value) -> Option<Ordering> {
    match (value, other) {
        (Value::Integer(value), Value::Integer(other)) => Some(value.cmp(other)),
        (Value::Timestamp(value), Value::Timestamp(other)) => Some(value.cmp(other)),
        _ => None,
    }
}

fn has(found: &str, position: TextPosition, text: &str, ignore_case: bool) -> bool {
    if ignore_case {
        return has(&fold(found), position, &fold(text), false);
    }
    match position {
        TextPosition::Start => found.starts_with(text),
        TextPosition::End => found.ends_with(text),
        TextPosition::Anywhere => found.contains(text),
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::clock::Timestamp;
    use crate::model::Row;
    use crate::model::schema::access;
    use crate::model::schema::messages;
    use crate::model::schema::users;
    use crate::model::schema::{ACCESS, MESSAGES, USERS};
    use crate::query::DatePart;

    fn at(millis: i64) -> Value {
        Value::Timestamp(Timestamp::from_millis(millis))
    }

    fn text(position: TextPosition, text: &str, ignore_case: bool, negated: bool) -> Test {
        Test::Text { position, text: text.to_owned(), ignore_case, negated }
    }

    #[test]
    fn values_are_compared_by_each_operator() {
        let number = Value::Integer;
        for (test, fitting) in [
            (Test::Eq(number(2)), [false, true, false]),
            (Test::Neq(number(2)), [true, false, true]),
            (Test::Lt(number(2)), [true, false, false]),
            (Test::Lte(number(2)), [true, true, false]),
            (Test::Gt(number(2)), [false, false, true]),
            (Test::Gte(number(2)), [false, true, true]),
            (Test::In(vec![number(1), number(3)]), [true, false, true]),
            (Test::Nin(vec![number(1), number(3)]), [false, true, false]),
            (Test::Between(number(1), number(2)), [true, true, false]),
            (Test::Nbetween(number(1), number(2)), [false, false, true]),
            (Test::Between(number(2), number(1)), [false, false, false]),
            (Test::Nbetween(number(3), number(1)), [true, true, true]),
            (Test::Null, [false, false, false]),
            (Test::Nnull, [true, true, true]),
            (Test::Empty, [false, false, false]),
            (Test::Nempty, [true, true, true]),
        ] {
            assert_eq!([1, 2, 3].map(|value| test.fits(&number(value))), fitting, "{test:?}");
        }
    }

    #[test]
    fn instants_are_compared_to_the_millisecond() {
        assert!(Test::Eq(at(7)).fits(&at(7)));
        assert!(!Test::Eq(at(7)).fits(&at(8)));
        assert!(Test::Gt(at(7)).fits(&at(8)));
        assert!(!Test::Gt(at(7)).fits(&at(7)));
        assert!(Test::Lt(at(-7)).fits(&at(-8)));
    }

    #[test]
    fn null_matches_only_null_and_empty_tests() {
        let one = || Value::Integer(1);
        for test in [
            Test::Eq(one()),
            Test::Eq(Value::Null),
            Test::Neq(one()),
            Test::Lt(one()),
            Test::Lte(one()),
            Test::Gt(one()),
            Test::Gte(one()),
            Test::In(vec![one()]),
            Test::In(vec![Value::Null]),
            Test::Nin(vec![one()]),
            Test::Nin(Vec::new()),
            Test::Between(one(), one()),
            Test::Nbetween(one(), one()),
            Test::Nnull,
            Test::Nempty,
            text(TextPosition::Anywhere, "a", false, false),
            text(TextPosition::Anywhere, "a", false, true),
            text(TextPosition::Start, "a", true, true),
        ] {
            assert!(!test.fits(&Value::Null), "{test:?}");
        }
        assert!(Test::Null.fits(&Value::Null));
        assert!(Test::Empty.fits(&Value::Null));
    }

    #[test]
    fn comparisons_with_null_match_nothing() {
        let one = Value::Integer(1);
        for test in [
            Test::Eq(Value::Null),
            Test::Neq(Value::Null),
            Test::Lt(Value::Null),
            Test::Gte(Value::Null),
            Test::In(vec![Value::Null]),
            Test::In(Vec::new()),
            Test::Nin(vec![Value::Integer(2), Value::Null]),
            Test::Between(Value::Null, Value::Integer(2)),
        ] {
            assert!(!test.fits(&one), "{test:?}");
        }
    }

    #[test]
    fn an_empty_text_matches_empty_but_not_null() {
        let empty = Value::text("");
        assert!(Test::Empty.fits(&empty));
        assert!(!Test::Nempty.fits(&empty));
        assert!(!Test::Null.fits(&empty));
        assert!(Test::Nnull.fits(&empty));
        assert!(Test::Neq(Value::text("a")).fits(&empty));
        assert!(!Test::Empty.fits(&Value::text(" ")));
        assert!(Test::Nempty.fits(&Value::text(" ")));
    }

    #[test]
    fn texts_are_matched_by_place_and_case() {
        let cases = [
            (TextPosition::Anywhere, "Äpfel und Birnen", "und", true, true),
            (TextPosition::Anywhere, "Äpfel und Birnen", "UND", false, true),
            (TextPosition::Anywhere, "Äpfel und Birnen", "äpfel", false, true),
            (TextPosition::Anywhere, "Äpfel", "ÄPFEL", false, true),
            (TextPosition::Anywhere, "Привет, Мир", "МИР", false, true),
            (TextPosition::Anywhere, "caf\u{e9}s", "CAFE\u{301}", false, true),
            (TextPosition::Anywhere, "\u{212a}elvin", "kel", false, true),
            (TextPosition::Anywhere, "İstanbul", "istanbul", false, false),
            (TextPosition::Anywhere, "abc", "abcd", false, false),
            (TextPosition::Anywhere, "100%", "0%", true, true),
            (TextPosition::Anywhere, "abc", "%", false, false),
            (TextPosition::Anywhere, "abc", "a_c", false, false),
            (TextPosition::Anywhere, "it's", "'", true, true),
            (TextPosition::Start, "north", "no", true, true),
            (TextPosition::Start, "north", "NO", false, true),
            (TextPosition::Start, "north", "or", false, false),
            (TextPosition::Start, "no", "north", false, false),
            (TextPosition::Start, "é", "\u{65}", false, false),
            (TextPosition::Start, "🎉🎉", "🎉", true, true),
            (TextPosition::End, "north", "th", true, true),
            (TextPosition::End, "north", "TH", false, true),
            (TextPosition::End, "north", "no", false, false),
            (TextPosition::End, "th", "north", false, false),
            (TextPosition::End, "grüß", "ß", true, true),
            (TextPosition::End, "groß", "SS", false, true),
            (TextPosition::End, "ΑΘΗΝΑΣ", "νας", false, true),
            (TextPosition::End, "ä", "\u{308}", false, false),
            (TextPosition::End, "a\u{308}", "\u{308}", true, false),
        ];
        for (position, found, part, exactly, ignoring_case) in cases {
            let value = Value::text(found);
            for (ignore_case, expected) in [(false, exactly), (true, ignoring_case)] {
                let case = format!("{position:?} {found} {part} {ignore_case}");
                assert_eq!(
                    text(position, part, ignore_case, false).fits(&value),
                    expected,
                    "{case}"
                );
                assert_eq!(
                    text(position, part, ignore_case, true).fits(&value),
                    !expected,
                    "{case}"
                );
            }
        }
    }

    #[test]
    fn texts_are_equal_by_bytes() {
        assert!(!Test::Eq(Value::text("A")).fits(&Value::text("a")));
        assert!(!Test::Eq(Value::text("a")).fits(&Value::text("a ")));
        assert!(!Test::Eq(Value::text("\u{e9}")).fits(&Value::text("e\u{301}")));
        assert!(!Test::Eq(Value::text("1")).fits(&Value::Integer(1)));
    }

    #[test]
    fn and_and_or_groups_are_evaluated() {
        let record = Record::from(Row::empty(&MESSAGES).with(&messages::id, 5));
        let yes = || Filter::Field(&messages::id, Test::Nnull);
        let no = || Filter::Field(&messages::id, Test::Null);
        for (filter, expected) in [
            (Filter::everything(), true),
            (Filter::nothing(), false),
            (Filter::And(vec![yes(), yes()]), true),
            (Filter::And(vec![yes(), no()]), false),
            (Filter::Or(vec![no(), yes()]), true),
            (Filter::Or(vec![no(), no()]), false),
            (Filter::And(vec![yes(), Filter::Or(vec![])]), false),
            (Filter::Or(vec![no(), Filter::And(vec![])]), true),
        ] {
            assert_eq!(filter.matches(&record), expected, "{filter:?}");
        }
    }

    #[test]
    fn a_filter_matches_the_related_item() {
        let author = messages::user_created.field();
        let behind =
            |test| Filter::Related(author, Box::new(Filter::Field(&users::first_name, test)));
        let id = Uuid::from_u128(1);
        let mut bob = Row::empty(&USERS).with(&users::id, Some(id));
        bob.set(&users::first_name, Value::text("Bob"));
        let message =
            || Record::from(Row::empty(&MESSAGES).with(&messages::user_created, Some(id)));
        let mut attached = message();
        attached.attach(author, Related::One(Some(Box::new(Record::from(bob)))));
        let mut gone = message();
        gone.attach(author, Related::One(None));

        assert!(behind(Test::Eq(Value::text("Bob"))).matches(&attached));
        assert!(!behind(Test::Eq(Value::text("Alice"))).matches(&attached));
        assert!(Filter::Field(author, Test::Eq(Value::Uuid(id))).matches(&attached));
        for test in [Test::Null, Test::Empty] {
            assert!(behind(test.clone()).matches(&gone), "{test:?}");
            assert!(!behind(test).matches(&message()), "unattached relations are unknown");
        }
        for test in [Test::Neq(Value::text("Bob")), Test::Nnull, Test::Nempty] {
            assert!(!behind(test).matches(&gone));
        }
    }

    #[test]
    fn date_parts_can_be_filtered() {
        let created = messages::date_created.field();
        let record = |millis| {
            let mut row = Row::empty(&MESSAGES);
            row.set(created, at(millis));
            Record::from(row)
        };
        let year = |test| Filter::Part(created, DatePart::Year, test);

        assert!(year(Test::Eq(Value::Integer(1970))).matches(&record(0)));
        assert!(year(Test::Eq(Value::Integer(1969))).matches(&record(-1)));
        assert!(year(Test::Null).matches(&Record::from(Row::empty(&MESSAGES))));
        assert!(!year(Test::Neq(Value::Integer(1))).matches(&Record::from(Row::empty(&MESSAGES))));
    }

    #[test]
    fn some_and_none_match_list_items() {
        let policies = users::policies.field();
        let sorted = access::sort.field();
        let first = || Box::new(Filter::Field(sorted, Test::Eq(Value::Integer(1))));
        let user = |places: &[i64]| {
            let mut user = Record::from(Row::empty(&USERS));
            let access = |place: &i64| {
                let mut row = Row::empty(&ACCESS);
                row.set(sorted, Value::Integer(*place));
                Record::from(row)
            };
            user.attach(policies, Related::Many(places.iter().map(access).collect()));
            user
        };
        for (places, some) in [(&[][..], false), (&[2, 3], false), (&[2, 1], true)] {
            assert_eq!(Filter::Some(policies, first()).matches(&user(places)), some, "{places:?}");
            assert_eq!(Filter::None(policies, first()).matches(&user(places)), !some, "{places:?}");
        }
        let unknown = Record::from(Row::empty(&USERS));
        assert!(!Filter::Some(policies, first()).matches(&unknown));
        assert!(!Filter::None(policies, first()).matches(&unknown));
    }
}
