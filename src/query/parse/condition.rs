//! Parses one operator and its operand to a test.
//!
//! Null has two meanings. A literal null matches null values: `_eq` becomes `_null`, and `_neq`
//! becomes `_nnull`. A variable without a value, such as `$CURRENT_USER` of the public, matches
//! nothing with `_eq`. Otherwise a rule that grants users their own items would grant the public
//! all items that have lost their author.

use serde_json::Value as Json;

use crate::model::Value;
use crate::query::parse::operand::{Operand, OperandParser};
use crate::query::parse::operator;
use crate::query::parse::operator::Operator;
use crate::query::parse::parser::Parser;
use crate::query::{Filter, QueryError, Term, Test};

impl Parser<'_> {
    /// Parses `{"<term>": {"<operator>": <json>}}`.
    pub fn condition(
        &mut self,
        term: Term,
        operator: &str,
        json: &Json,
    ) -> Result<Filter, QueryError> {
        self.take()?;
        Ok(match (self.test(term, operator, json)?, term) {
            (None, _) => Filter::nothing(),
            (Some(test), Term { field, part: Some(part) }) => Filter::Part(field, part, test),
            (Some(test), Term { field, part: None }) => Filter::Field(field, test),
        })
    }

    /// Returns the test; `None` if nothing can match.
    fn test(&mut self, term: Term, name: &str, json: &Json) -> Result<Option<Test>, QueryError> {
        let kind = term.kind();
        let mut operands = OperandParser { parser: self, kind, operator: name };
        Ok(match operator::find(kind, name)? {
            Operator::Switch(on, off) => Some(if operands.flag(json)? { on() } else { off() }),
            Operator::In => operands.values(json)?.map(Test::In),
            Operator::Nin => Some(operands.values(json)?.map_or(Test::Nnull, Test::Nin)),
            Operator::Range(test) => operands.bounds(json)?.map(|(low, high)| test(low, high)),
            Operator::Eq => match operands.scalar(json)? {
                Operand::One(value) => Some(Test::Eq(value)),
                Operand::Null => Some(Test::Null),
                _ => None,
            },
            Operator::Neq => match operands.scalar(json)? {
                Operand::One(value) => Some(Test::Neq(value)),
                // Every value differs from a variable without a value.
                _ => Some(Test::Nnull),
            },
            Operator::Order(test) => match operands.scalar(json)? {
                Operand::One(value) => Some(test(value)),
                Operand::Null => return Err(operands.not_scalar()),
                _ => None,
            },
            Operator::Text { position, ignore_case, negated } => match operands.text(json)? {
                Operand::One(Value::Text(text)) => {
                    self.check_search_text(&text)?;
                    Some(Test::Text { position, text: text.to_string(), ignore_case, negated })
                }
                Operand::Unset => negated.then_some(Test::Nnull),
                _ => return Err(operands.not_scalar()),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::model::schema::{MESSAGES, USERS};
    use crate::model::{Actor, Collection};
    use crate::query::date;
    use crate::query::{Environment, Limits};

    fn alice() -> Actor {
        Actor {
            user: Some(Uuid::from_u128(1)),
            roles: [2, 3].map(Uuid::from_u128).into(),
            ..Actor::denied()
        }
    }

    fn read(actor: &Actor, collection: &'static Collection, json: &Json) -> Result<String, String> {
        let now = date::parse("2026-03-31T12:00:00.007Z").expect("a valid date");
        let environment = Environment::new(actor, now);
        let filter = Filter::parse(collection, json, &environment, &Limits::default());
        match filter.map_err(|error| error.to_string())? {
            Filter::Field(_, test) => Ok(format!("{test:?}")),
            other => Ok(format!("{other:?}")),
        }
    }

    fn test_of(actor: &Actor, field: &str, json: &Json) -> Result<String, String> {
        read(actor, &MESSAGES, &json!({ field: json }))
    }

    #[test]
    fn text_values_are_taken_literally() {
        for text in
            ["' OR 1=1 --", "%", "_", "\\", "\0", "héllo 你好 🎉", " a ", "$100", "TRUE", "5"]
        {
            for (operator, expected) in [
                ("_eq", format!("Eq(Text({text:?}))")),
                (
                    "_contains",
                    format!(
                        "Text {{ position: Anywhere, text: {text:?}, ignore_case: false, negated: false }}"
                    ),
                ),
                ("_in", format!("In([Text({text:?})])")),
            ] {
                let found = test_of(&alice(), "content", &json!({ operator: text }));
                assert_eq!(found, Ok(expected), "{operator} {text}");
            }
        }
    }

    #[test]
    fn text_operators_are_parsed() {
        for (operator, expected) in [
            ("_contains", "Anywhere false false"),
            ("_ncontains", "Anywhere false true"),
            ("_icontains", "Anywhere true false"),
            ("_starts_with", "Start false false"),
            ("_nstarts_with", "Start false true"),
            ("_istarts_with", "Start true false"),
            ("_nistarts_with", "Start true true"),
            ("_ends_with", "End false false"),
            ("_nends_with", "End false true"),
            ("_iends_with", "End true false"),
            ("_niends_with", "End true true"),
        ] {
            for (json, text) in [(json!("NULL"), "NULL"), (json!(5), "5"), (json!(true), "true")] {
                let (actor, now) = (alice(), date::parse("2026-03-31").expect("a valid date"));
                let environment = Environment::new(&actor, now);
                let filter = json!({"content": { operator: json }});
                let filter = Filter::parse(&MESSAGES, &filter, &environment, &Limits::default());
                let Ok(Filter::Field(
                    _,
                    Test::Text { position, text: found, ignore_case, negated },
                )) = filter
                else {
                    panic!("{operator}: {filter:?}");
                };
                assert_eq!(format!("{position:?} {ignore_case} {negated}"), expected, "{operator}");
                assert_eq!(found, text);
            }
        }
    }

    #[test]
    fn values_are_converted_to_the_type_of_the_field() {
        let uuid = "a7e169a7-0000-4000-8000-00000000000a";
        for (collection, field, json, expected) in [
            (&MESSAGES, "id", json!({"_eq": "5"}), "Eq(Integer(5))".to_owned()),
            (&MESSAGES, "id", json!({"_gt": 5}), "Gt(Integer(5))".to_owned()),
            (&MESSAGES, "id", json!({"_gte": -5.0}), "Gte(Integer(-5))".to_owned()),
            (&MESSAGES, "id", json!({"_lt": "5.0"}), "Lt(Integer(5))".to_owned()),
            (&MESSAGES, "id", json!({"_in": "3, 4"}), "In([Integer(3), Integer(4)])".to_owned()),
            (&MESSAGES, "id", json!({"_in": "3,4,"}), "In([Integer(3), Integer(4)])".to_owned()),
            (
                &MESSAGES,
                "id",
                json!({"_between": "1, 2, "}),
                "Between(Integer(1), Integer(2))".to_owned(),
            ),
            (&MESSAGES, "content", json!({"_nin": "a,"}), "Nin([Text(\"a\")])".to_owned()),
            (&MESSAGES, "id", json!({"_in": 3}), "In([Integer(3)])".to_owned()),
            (
                &MESSAGES,
                "id",
                json!({"_nin": ["3", 4]}),
                "Nin([Integer(3), Integer(4)])".to_owned(),
            ),
            (
                &MESSAGES,
                "id",
                json!({"_between": "1,2"}),
                "Between(Integer(1), Integer(2))".to_owned(),
            ),
            (
                &MESSAGES,
                "id",
                json!({"_nbetween": [1, 2]}),
                "Nbetween(Integer(1), Integer(2))".to_owned(),
            ),
            (&MESSAGES, "content", json!({"_eq": 1.5}), "Eq(Text(\"1.5\"))".to_owned()),
            (&MESSAGES, "content", json!({"_eq": "true"}), "Eq(Text(\"true\"))".to_owned()),
            (&MESSAGES, "content", json!({"_neq": false}), "Neq(Text(\"false\"))".to_owned()),
            (
                &MESSAGES,
                "content",
                json!({"_in": "a,b c"}),
                "In([Text(\"a\"), Text(\"b c\")])".to_owned(),
            ),
            (&MESSAGES, "content", json!({"_in": ["a,b"]}), "In([Text(\"a,b\")])".to_owned()),
            (
                &MESSAGES,
                "content",
                json!({"_nin": ["", 5]}),
                "Nin([Text(\"\"), Text(\"5\")])".to_owned(),
            ),
            (&MESSAGES, "user_created", json!({"_eq": uuid}), format!("Eq(Uuid({uuid}))")),
            (&MESSAGES, "user_created", json!(uuid.to_uppercase()), format!("Eq(Uuid({uuid}))")),
            (&USERS, "email_notifications", json!("true"), "Eq(Boolean(true))".to_owned()),
            (&USERS, "email_notifications", json!({"_eq": false}), "Eq(Boolean(false))".to_owned()),
            (&USERS, "email_notifications", json!({"_neq": 1}), "Neq(Boolean(true))".to_owned()),
            (&USERS, "token", json!({"_empty": true}), "Empty".to_owned()),
            (
                &MESSAGES,
                "date_created",
                json!({"_lte": "2026-01-31"}),
                format!("Lte(Timestamp({:?}))", date::parse("2026-01-31").expect("a valid date")),
            ),
        ] {
            let found = read(&alice(), collection, &json!({ field: json }));
            assert_eq!(found, Ok(expected), "{field} {json}");
        }
    }

    #[test]
    fn null_and_empty_tests_are_parsed() {
        for (json, expected) in [
            (json!({"_null": true}), "Null"),
            (json!({"_null": "true"}), "Null"),
            (json!({"_null": ""}), "Null"),
            (json!({"_null": false}), "Nnull"),
            (json!({"_null": "false"}), "Nnull"),
            (json!({"_nnull": true}), "Nnull"),
            (json!({"_nnull": false}), "Null"),
            (json!({"_empty": true}), "Empty"),
            (json!({"_empty": false}), "Nempty"),
            (json!({"_nempty": ""}), "Nempty"),
            (json!({"_nempty": "false"}), "Empty"),
            (json!({"_eq": null}), "Null"),
            (json!({"_eq": "null"}), "Null"),
            (json!({"_eq": "NULL"}), "Null"),
            (json!({"_neq": null}), "Nnull"),
            (json!({"_neq": "null"}), "Nnull"),
            (json!({"_in": ["a", null]}), "In([Text(\"a\")])"),
            (json!({"_in": [null]}), "Or([])"),
            (json!({"_nin": ["a", null]}), "Nin([Text(\"a\")])"),
            (json!({"_nin": "null"}), "Nnull"),
        ] {
            assert_eq!(test_of(&alice(), "content", &json).as_deref(), Ok(expected), "{json}");
        }
    }

    #[test]
    fn variables_resolve_for_a_signed_in_user() {
        let [one, two, three] = [1, 2, 3].map(Uuid::from_u128);
        for (json, expected) in [
            (json!({"_eq": "$CURRENT_USER"}), format!("Eq(Uuid({one}))")),
            (json!("$CURRENT_USER"), format!("Eq(Uuid({one}))")),
            (json!({"_neq": "$CURRENT_USER"}), format!("Neq(Uuid({one}))")),
            (json!({"_in": ["$CURRENT_USER"]}), format!("In([Uuid({one})])")),
            (json!({"_in": "$CURRENT_ROLES"}), format!("In([Uuid({two}), Uuid({three})])")),
            (
                json!({"_nin": ["$CURRENT_ROLES", "$CURRENT_USER", "$CURRENT_ROLE"]}),
                format!("Nin([Uuid({two}), Uuid({three}), Uuid({one})])"),
            ),
        ] {
            assert_eq!(test_of(&alice(), "user_created", &json), Ok(expected), "{json}");
        }
        let hour_ago = date::parse("2026-03-31T11:00:00.007Z").expect("a valid date");
        assert_eq!(
            test_of(&alice(), "date_created", &json!({"_gt": "$NOW(-1 hour)"})),
            Ok(format!("Gt(Timestamp({hour_ago:?}))")),
        );
    }

    #[test]
    fn unset_variables_match_nothing() {
        let visitor = Actor::denied();
        for (json, expected) in [
            (json!({"_eq": "$CURRENT_USER"}), "Or([])"),
            (json!("$CURRENT_USER"), "Or([])"),
            (json!({"_eq": "$CURRENT_ROLE"}), "Or([])"),
            (json!({"_in": ["$CURRENT_USER"]}), "Or([])"),
            (json!({"_in": "$CURRENT_ROLES"}), "Or([])"),
            (json!({"_in": "$CURRENT_POLICIES,$CURRENT_USER"}), "Or([])"),
            (json!({"_neq": "$CURRENT_USER"}), "Nnull"),
            (json!({"_nin": "$CURRENT_ROLES"}), "Nnull"),
        ] {
            let found = test_of(&visitor, "user_created", &json);
            assert_eq!(found.as_deref(), Ok(expected), "{json}");
        }
        for (field, json, expected) in [
            ("id", json!({"_lt": "$CURRENT_USER"}), "Or([])"),
            ("id", json!({"_between": [1, "$CURRENT_USER"]}), "Or([])"),
            ("id", json!({"_nbetween": ["$CURRENT_USER", 1]}), "Or([])"),
            ("content", json!({"_contains": "$CURRENT_USER"}), "Or([])"),
            ("content", json!({"_ncontains": "$CURRENT_USER"}), "Nnull"),
        ] {
            let found = test_of(&visitor, field, &json);
            assert_eq!(found.as_deref(), Ok(expected), "{json}");
        }
    }

    #[test]
    fn invalid_input_is_refused() {
        let empty = |operator: &str| {
            format!(
                "You can't filter for an empty string in \"{operator}\". Use \"_empty\" or \
                 \"_nempty\" instead"
            )
        };
        let scalar = |operator: &str| {
            format!("The filter value for \"{operator}\" has to be a string, number, or boolean")
        };
        let list = |operator: &str| format!("\"{operator}\" has to be an array of values");
        let two = |operator: &str| format!("\"{operator}\" has to be an array of two values");
        let lacks = |kind: &str, operator: &str| {
            format!("\"{kind}\" field type does not contain the \"{operator}\" filter operator")
        };
        for (field, json, reason) in [
            ("content", json!({"_eq": ""}), empty("_eq")),
            ("content", json!({"_neq": ""}), empty("_neq")),
            ("content", json!({"_contains": ""}), empty("_contains")),
            ("content", json!(""), empty("_eq")),
            ("content", json!({"_eq": {}}), scalar("_eq")),
            ("content", json!({"_eq": ["a"]}), scalar("_eq")),
            ("content", json!({"_contains": null}), scalar("_contains")),
            ("content", json!({"_contains": "$CURRENT_ROLES"}), scalar("_contains")),
            ("user_created", json!({"_eq": "$CURRENT_ROLES"}), scalar("_eq")),
            ("content", json!({"_in": [["a"]]}), scalar("_in")),
            ("id", json!({"_lt": null}), scalar("_lt")),
            ("content", json!({"_in": []}), list("_in")),
            ("content", json!({"_in": ""}), list("_in")),
            ("content", json!({"_in": null}), list("_in")),
            ("content", json!({"_nin": {"a": 1}}), list("_nin")),
            ("id", json!({"_between": []}), list("_between")),
            ("id", json!({"_between": [1]}), two("_between")),
            ("id", json!({"_between": "1,2,3"}), two("_between")),
            ("id", json!({"_nbetween": [1, null]}), two("_nbetween")),
            ("content", json!({"_null": "yes"}), "\"_null\" has to be a boolean".to_owned()),
            ("content", json!({"_nempty": 1}), "\"_nempty\" has to be a boolean".to_owned()),
            ("id", json!({"_eq": "abc"}), "Invalid numeric value".to_owned()),
            ("id", json!({"_eq": 1.5}), "Invalid numeric value".to_owned()),
            ("id", json!({"_eq": true}), "Invalid numeric value".to_owned()),
            ("id", json!({"_in": "1,,2"}), "Invalid numeric value".to_owned()),
            ("id", json!({"_eq": "1 OR 1=1"}), "Invalid numeric value".to_owned()),
            ("date_created", json!({"_gt": "yesterday"}), "Invalid date value".to_owned()),
            ("date_created", json!({"_gt": 5}), "Invalid date value".to_owned()),
            ("user_created", json!({"_eq": "abc"}), "Invalid UUID value".to_owned()),
            ("content", json!({"_lt": "a"}), lacks("text", "_lt")),
            ("content", json!({"_regex": "a"}), lacks("text", "_regex")),
            ("id", json!({"_contains": "1"}), lacks("integer", "_contains")),
            ("date_created", json!({"_empty": true}), lacks("timestamp", "_empty")),
            ("user_created", json!({"_lt": "a"}), lacks("uuid", "_lt")),
        ] {
            assert_eq!(test_of(&alice(), field, &json), Err(reason), "{json}");
        }
        for (field, json, reason) in [
            ("password", json!({"_eq": "x"}), lacks("hash", "_eq")),
            ("token", json!({"_starts_with": "x"}), lacks("hash", "_starts_with")),
            ("token", json!("x"), lacks("hash", "_eq")),
            ("tags", json!({"_eq": "x"}), lacks("json", "_eq")),
            ("email_notifications", json!({"_lt": true}), lacks("boolean", "_lt")),
            ("email_notifications", json!({"_eq": "x"}), "Invalid boolean value".to_owned()),
        ] {
            assert_eq!(read(&alice(), &USERS, &json!({ field: json })), Err(reason), "{json}");
        }
    }
}
