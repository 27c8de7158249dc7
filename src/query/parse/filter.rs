//! Parses the tree of a filter: fields, `_and`, `_or`. `relations` parses conditions behind a
//! relation, and `condition` those on a field.

use serde_json::{Map, Value as Json};

use crate::model::Collection;
use crate::query::parse::json;
use crate::query::parse::json::decode;
use crate::query::parse::parser::Parser;
use crate::query::{Environment, Filter, Limits, QueryError, Term};

/// Maximum nesting of lists and objects.
const NESTING_MAX: usize = 32;

impl Filter {
    /// Parses a filter from JSON, of a query or of a permission's rule.
    ///
    /// Variables are replaced with their values. A variable without a value (`$CURRENT_USER` of the
    /// public) matches nothing in a positive test, as does a list without values. In a negated test
    /// it excludes only null.
    ///
    /// # Errors
    /// [`QueryError`] for any invalid part, in Directus's words. Null is not a filter; a caller
    /// that accepts it for a missing filter has to handle it.
    pub fn parse(
        collection: &'static Collection,
        json: &Json,
        environment: &Environment<'_>,
        limits: &Limits,
    ) -> Result<Self, QueryError> {
        Parser::new(environment, limits).filter(collection, json)
    }
}

impl Parser<'_> {
    /// Parses a filter of the current level.
    pub fn filter(
        &mut self,
        collection: &'static Collection,
        json: &Json,
    ) -> Result<Filter, QueryError> {
        let json = decode(json)?;
        let json = &*json.ok_or_else(|| QueryError::invalid("Invalid JSON for filter object"))?;
        match json {
            Json::Object(_) => {}
            Json::Null | Json::Array(_) => {
                return Err(QueryError::invalid("\"filter\" must be of type object"));
            }
            // A bare value means `_eq`, and there is no field to compare it with.
            Json::Bool(_) | Json::Number(_) | Json::String(_) => {
                return Err(invalid_key(collection, "_eq"));
            }
        }
        if is_deeper_than(json, NESTING_MAX) {
            return Err(QueryError::invalid("The filter is nested too deeply"));
        }
        self.filter_level = self.path.len();
        self.fields_of(collection, json)
    }

    /// Parses an object with fields of the collection as keys.
    pub(super) fn fields_of(
        &mut self,
        collection: &'static Collection,
        json: &Json,
    ) -> Result<Filter, QueryError> {
        self.entries(collection, object(json)?.iter())
    }

    /// Parses entries of such an object.
    pub(super) fn entries<'j>(
        &mut self,
        collection: &'static Collection,
        entries: impl Iterator<Item = (&'j String, &'j Json)>,
    ) -> Result<Filter, QueryError> {
        let mut parts = Vec::new();
        for (key, json) in entries {
            parts.push(match key.as_str() {
                "_and" | "_or" => {
                    self.group(key, json, |parser, part| parser.fields_of(collection, part))?
                }
                _ if key.starts_with('_') => return Err(invalid_key(collection, key)),
                _ => self.conditions_on(self.term(collection, key)?, json)?,
            });
        }
        Ok(Filter::all(parts))
    }

    /// Parses the list of an `_and` or `_or`.
    pub(super) fn group(
        &mut self,
        key: &str,
        json: &Json,
        mut parse: impl FnMut(&mut Self, &Json) -> Result<Filter, QueryError>,
    ) -> Result<Filter, QueryError> {
        let parts = json.as_array().ok_or_else(invalid_object)?.iter();
        let parts = parts.map(|part| parse(self, part)).collect::<Result<Vec<_>, _>>()?;
        Ok(if key == "_or" { Filter::any(parts) } else { Filter::all(parts) })
    }

    /// Parses the conditions on one field, or on a part of its date.
    fn conditions_on(&mut self, term: Term, json: &Json) -> Result<Filter, QueryError> {
        match (json, term.field.pointing()) {
            (Json::Object(entries), Some((other, _))) => self.items(term.field, other, entries),
            (Json::Object(entries), None) => self.conditions(term, entries),
            (Json::Null, _) => Err(invalid_object()),
            (Json::Array(_), _) => Err(json::not_scalar("_eq")),
            (Json::Bool(_) | Json::Number(_) | Json::String(_), Some((other, _))) => {
                let key = Map::from_iter([("_eq".to_owned(), json.clone())]);
                self.items(term.field, other, &key)
            }
            (Json::Bool(_) | Json::Number(_) | Json::String(_), None) => {
                self.condition(term, "_eq", json)
            }
        }
    }

    /// Parses an object with operators on a field, or fields of the item behind it, as keys.
    fn conditions(
        &mut self,
        term: Term,
        entries: &Map<String, Json>,
    ) -> Result<Filter, QueryError> {
        let target = if term.part.is_none() { term.field.target() } else { None };
        let mut parts = Vec::new();
        for (key, json) in entries {
            match key.as_str() {
                "_and" | "_or" => parts.push(
                    self.group(key, json, |parser, part| parser.conditions(term, object(part)?))?,
                ),
                key if key.starts_with('_') || target.is_none() => {
                    parts.push(self.condition(term, key, json)?);
                }
                _ => {}
            }
        }
        if let Some(target) = target {
            parts.push(self.behind(term.field, target, entries)?);
        }
        Ok(Filter::all(parts))
    }
}

/// Returns the entries of a JSON object.
pub(super) fn object(json: &Json) -> Result<&Map<String, Json>, QueryError> {
    json.as_object().ok_or_else(invalid_object)
}

fn invalid_object() -> QueryError {
    QueryError::invalid("Invalid filter object")
}

fn invalid_key(collection: &'static Collection, key: &str) -> QueryError {
    QueryError::invalid(format!("Invalid filter key \"{key}\" on \"{}\"", collection.name))
}

/// Returns whether lists and objects are nested deeper than this number of levels.
fn is_deeper_than(json: &Json, levels: usize) -> bool {
    let is_deeper = |part: &Json| is_deeper_than(part, levels - 1);
    match json {
        Json::Array(_) | Json::Object(_) if levels == 0 => true,
        Json::Array(parts) => parts.iter().any(is_deeper),
        Json::Object(parts) => parts.values().any(is_deeper),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::clock::Timestamp;
    use crate::model::Actor;
    use crate::model::schema::{MESSAGES, USERS};

    fn read(collection: &'static Collection, json: &Json) -> Result<String, QueryError> {
        read_within(&Limits::default(), collection, json)
    }

    fn read_within(
        limits: &Limits,
        collection: &'static Collection,
        json: &Json,
    ) -> Result<String, QueryError> {
        let now = Timestamp::from_millis(0);
        let actor = Actor::denied();
        let environment = Environment::new(&actor, now);
        Filter::parse(collection, json, &environment, limits).map(|filter| format!("{filter:?}"))
    }

    fn refused(json: &Json) -> String {
        match read(&MESSAGES, json) {
            Err(QueryError::Invalid(reason)) => reason,
            other => panic!("{json}: {other:?}"),
        }
    }

    #[test]
    fn input_is_parsed_into_a_tree() {
        let a = "Field(content, Eq(Text(\"a\")))";
        let b = "Field(content, Eq(Text(\"b\")))";
        for (json, expected) in [
            (json!({"content": {"_eq": "a"}}), a.to_owned()),
            (json!("{\"content\":{\"_eq\":\"a\"}}"), a.to_owned()),
            (json!({"content": "a"}), a.to_owned()),
            (json!({"content": 5}), "Field(content, Eq(Text(\"5\")))".to_owned()),
            (json!({"content": true}), "Field(content, Eq(Text(\"true\")))".to_owned()),
            (json!({"content": "null"}), "Field(content, Null)".to_owned()),
            (
                json!({"content": {"_neq": "x", "_nnull": true}, "id": 5}),
                "And([And([Field(content, Neq(Text(\"x\"))), Field(content, Nnull)]), \
                 Field(id, Eq(Integer(5)))])"
                    .to_owned(),
            ),
            (json!({"_and": [{"content": "a"}, {"content": "b"}]}), format!("And([{a}, {b}])")),
            (json!({"_or": [{"content": "a"}, {"content": "b"}]}), format!("Or([{a}, {b}])")),
            (json!({"content": {"_or": [{"_eq": "a"}, {"_eq": "b"}]}}), format!("Or([{a}, {b}])")),
            (
                json!({"content": {"_and": [{"_eq": "a"}, {"_or": [{"_eq": "b"}, {"_null": true}]}]}}),
                format!("And([{a}, Or([{b}, Field(content, Null)])])"),
            ),
            (
                json!({"_or": [{"content": "a", "id": 1}, {"_and": [{"content": "b"}]}]}),
                format!("Or([And([{a}, Field(id, Eq(Integer(1)))]), {b}])"),
            ),
        ] {
            assert_eq!(read(&MESSAGES, &json), Ok(expected), "{json}");
        }
    }

    #[test]
    fn date_parts_can_be_filtered() {
        for (json, expected) in [
            (
                json!({"year(date_created)": {"_eq": 2026}}),
                "Part(date_created, Year, Eq(Integer(2026)))",
            ),
            (json!({"weekday(date_created)": "0"}), "Part(date_created, Weekday, Eq(Integer(0)))"),
            (
                json!({"user_created": {"hour(last_access)": {"_between": [8, 17]}}}),
                "Related(user_created, Part(last_access, Hour, Between(Integer(8), Integer(17))))",
            ),
        ] {
            assert_eq!(read(&MESSAGES, &json).as_deref(), Ok(expected), "{json}");
        }
    }

    #[test]
    fn empty_filters_restrict_nothing() {
        for json in [
            json!({}),
            json!("{}"),
            json!({"_and": []}),
            json!({"_or": []}),
            json!({"_or": [{}]}),
            json!({"_or": [{"_and": [{}]}, {"content": {}}]}),
            json!({"content": {}}),
            json!({"content": {"_or": []}}),
            json!({"user_created": {}}),
            json!({"user_created": {"first_name": {}}}),
        ] {
            assert_eq!(read(&MESSAGES, &json).as_deref(), Ok("And([])"), "{json}");
        }
        // As in SQL, where an empty alternative is omitted.
        let json = json!({"_or": [{}, {"content": {"_null": true}}]});
        assert_eq!(read(&MESSAGES, &json).as_deref(), Ok("Field(content, Null)"));
    }

    #[test]
    fn invalid_input_is_refused() {
        for (json, reason) in [
            (json!("{\"content\":"), "Invalid JSON for filter object"),
            (json!("x"), "Invalid JSON for filter object"),
            (json!("\"x\""), "Invalid filter key \"_eq\" on \"messages\""),
            (json!(5), "Invalid filter key \"_eq\" on \"messages\""),
            (json!("5"), "Invalid filter key \"_eq\" on \"messages\""),
            (json!(null), "\"filter\" must be of type object"),
            (json!("null"), "\"filter\" must be of type object"),
            (json!([{"content": "a"}]), "\"filter\" must be of type object"),
            (json!({"_or": "x"}), "Invalid filter object"),
            (json!({"_or": {"content": "a"}}), "Invalid filter object"),
            (json!({"_and": [5]}), "Invalid filter object"),
            (json!({"content": null}), "Invalid filter object"),
            (json!({"content": {"_or": 1}}), "Invalid filter object"),
            (json!({"content": {"_or": ["a"]}}), "Invalid filter object"),
            (json!({"_foo": 1}), "Invalid filter key \"_foo\" on \"messages\""),
            (
                json!({"content": {"_foo": 1}}),
                "\"text\" field type does not contain the \"_foo\" filter operator",
            ),
            (
                json!({"content": {"foo": 1}}),
                "\"text\" field type does not contain the \"foo\" filter operator",
            ),
            (
                json!({"content": ["a"]}),
                "The filter value for \"_eq\" has to be a string, number, or boolean",
            ),
            (
                json!({"year(content)": 2026}),
                "\"year\" is a function of dates, and \"content\" is none",
            ),
            (
                json!({"year(date_created)": {"_contains": "2"}}),
                "\"integer\" field type does not contain the \"_contains\" filter operator",
            ),
            (
                json!({"user_created": {"policies": {"_contains": "a"}}}),
                "\"uuid\" field type does not contain the \"_contains\" filter operator",
            ),
            (json!({"user_created": {"policies": {"_some": 1}}}), "Invalid filter object"),
        ] {
            assert_eq!(refused(&json), reason, "{json}");
        }
    }

    #[test]
    fn unknown_fields_are_refused() {
        for (json, collection, field, path) in [
            (json!({"nope": {"_eq": 1}}), "messages", "nope", ""),
            (json!({"1=1; --": "x"}), "messages", "1=1; --", ""),
            (json!({"user_created": {"nope": 1}}), "directus_users", "nope", "user_created"),
            (
                json!({"user_created": {"first_name": "Bob", "role": {"nope": 1}}}),
                "directus_roles",
                "nope",
                "user_created.role",
            ),
        ] {
            let Err(QueryError::UnknownFields { collection: found, fields, path: found_path }) =
                read(&MESSAGES, &json)
            else {
                panic!("{json}");
            };
            assert_eq!((found.name, found_path.as_str()), (collection, path), "{json}");
            assert_eq!(fields, [field], "{json}");
        }
    }

    #[test]
    fn filter_depth_is_limited() {
        let nested =
            |levels: usize| (0..levels).fold(json!({"id": 1}), |inner, _| json!({"_and": [inner]}));
        let parents = |levels: usize| {
            let behind =
                (0..levels).fold(json!({"name": "x"}), |inner, _| json!({"parent": inner}));
            json!({"role": behind})
        };

        assert!(read(&MESSAGES, &nested(15)).is_ok());
        assert_eq!(refused(&nested(16)), "The filter is nested too deeply");
        assert_eq!(refused(&json!(nested(16).to_string())), "The filter is nested too deeply");
        assert_eq!(refused(&json!("[".repeat(100_000))), "Invalid JSON for filter object");
        assert!(read(&USERS, &parents(8)).is_ok());
        assert_eq!(
            read(&USERS, &parents(9)),
            Err(QueryError::invalid("Max relational depth exceeded")),
        );
    }

    #[test]
    fn filter_size_is_limited() {
        let limits = Limits { parts: 4, ..Limits::default() };
        let too_many = Err(QueryError::invalid("A query may have at most 4 parts"));
        let read = |json: &Json| read_within(&limits, &MESSAGES, json);

        assert!(read(&json!({"_or": [{"id": 1}, {"id": 2}, {"id": 3}, {"id": 4}]})).is_ok());
        assert_eq!(
            read(&json!({"id": {"_lt": 1, "_gt": 2, "_lte": 3, "_gte": 4, "_eq": 5}})),
            too_many
        );
        assert!(read(&json!({"id": {"_in": [1, 2, 3]}})).is_ok());
        assert_eq!(read(&json!({"id": {"_in": [1, 2, 3, 4]}})), too_many);
        assert_eq!(read(&json!({"id": {"_nin": "1,2,3,4"}})), too_many);
    }
}
