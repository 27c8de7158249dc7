//! Parses a query; sibling modules parse its parameters.

use serde_json::{Map, Value as Json};

use crate::model::Collection;
use crate::query::parse::parser::Parser;
use crate::query::parse::select;
use crate::query::{Aggregation, Environment, Export, Fields, Limits, Meta, QueryError, Select};

/// A valid query on one collection.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// The collection.
    pub collection: &'static Collection,
    /// The selected fields.
    pub fields: Fields,
    /// The selected items; unsorted if there is an aggregation, which has an order of its own.
    pub select: Select,
    /// The requested counts.
    pub meta: Meta,
    /// The aggregation to return instead of the items.
    pub totals: Option<Aggregation>,
    /// The file format of an export.
    pub export: Option<Export>,
}

impl Query {
    /// Returns the default query, without the to-many relations that `*` includes.
    #[must_use]
    pub fn everything(collection: &'static Collection, limits: &Limits) -> Self {
        Self {
            collection,
            fields: Fields::all(),
            select: Select::first_page(limits),
            meta: Meta::default(),
            totals: None,
            export: None,
        }
    }

    /// Parses a query from a JSON object; null means an empty one.
    ///
    /// # Errors
    /// [`QueryError`] for any invalid part, in Directus's words.
    pub fn parse(
        collection: &'static Collection,
        json: &Json,
        environment: &Environment<'_>,
        limits: &Limits,
    ) -> Result<Self, QueryError> {
        let none = Map::new();
        let parameters = match json {
            Json::Null => &none,
            Json::Object(parameters) => parameters,
            _ => return Err(QueryError::invalid("\"query\" must be of type object")),
        };
        let mut parser = Parser::new(environment, limits);
        let at = |name: &str| parameters.get(name).filter(|json| is_present(name, json));
        let object = |name| at(name).filter(|json| !is_empty_text(json));
        let deep = parser.deep(collection, object("alias"), object("deep"))?;
        let fields = parser.fields(collection, at("fields"), &deep)?;
        let (aggregate, group_by) = (object("aggregate"), object("groupBy"));
        let totals = parser.aggregation(collection, aggregate, group_by, at("sort"))?;
        let sorts_groups = totals.is_some();
        let select = parser
            .select(collection, |name| at(name).filter(|_| name != "sort" || !sorts_groups))?;
        let meta = at("meta").map(select::meta).transpose()?.unwrap_or_default();
        let export = at("export").map(select::export).transpose()?;
        Ok(Self { collection, fields, select, meta, totals, export })
    }
}

/// Returns whether a parameter counts: an empty value does not, except that a filter of null is an
/// error, and an empty limit is 0.
fn is_present(name: &str, json: &Json) -> bool {
    match json {
        Json::Null => name == "filter",
        Json::String(text) => !text.is_empty() || name == "limit",
        Json::Array(list) => !list.is_empty() || name == "limit",
        Json::Object(object) => !object.is_empty() || name == "limit",
        Json::Bool(_) | Json::Number(_) => true,
    }
}

/// Returns whether this is an empty value as the SDK writes it.
fn is_empty_text(json: &Json) -> bool {
    json.as_str().is_some_and(|text| matches!(text.trim(), "" | "{}" | "[]" | "null"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::clock::Timestamp;
    use crate::model::Actor;
    use crate::model::schema::MESSAGES;
    use crate::model::schema::messages;
    use crate::query::{Expansion, Filter, Selection, Term};

    fn read(json: &Json) -> Result<Query, QueryError> {
        read_within(&Limits::default(), json)
    }

    fn read_within(limits: &Limits, json: &Json) -> Result<Query, QueryError> {
        let now = Timestamp::from_millis(0);
        Query::parse(&MESSAGES, json, &Environment::new(&Actor::denied(), now), limits)
    }

    #[test]
    fn values_and_their_texts_are_parsed_alike() {
        let values = json!({
            "fields": ["*", "user_created.first_name"],
            "filter": {"content": {"_nnull": true}},
            "sort": ["-id"],
            "limit": 10,
            "page": 3,
            "search": "banana",
            "meta": ["total_count", "filter_count"],
        });
        let texts = json!({
            "fields": "*,user_created.first_name",
            "filter": "{\"content\":{\"_nnull\":\"true\"}}",
            "sort": "-id",
            "limit": "10",
            "offset": "5",
            "page": "3",
            "search": " banana ",
            "meta": "*",
        });

        let query = read(&values).expect("the query parses");

        assert_eq!(read(&texts).as_ref(), Ok(&query));
        assert_eq!(query.select.limit, Some(10));
        assert_eq!(query.select.offset, 20);
        assert_eq!(query.select.search.map(|(text, _)| text).as_deref(), Some("banana"));
        assert_eq!(query.meta, Meta { total: true, filter: true });
        assert_eq!(query.select.sort.len(), 1);
        assert_ne!(query.select.filter, Filter::everything());
        assert_ne!(query.fields, Fields::all());
    }

    #[test]
    fn empty_and_unknown_parameters_are_ignored() {
        let everything = Query::everything(&MESSAGES, &Limits::default());
        assert_eq!(everything.select.limit, Some(100));
        for json in [
            json!(null),
            json!({}),
            json!({"fields": "", "filter": "", "sort": "", "offset": "", "page": "", "meta": ""}),
            json!({"fields": [], "filter": {}, "sort": [], "meta": [], "search": " "}),
            json!({"fields": null, "filter": "", "sort": null, "limit": null, "search": null}),
            json!({"aggregate": "", "groupBy": [], "alias": {}, "deep": "{}", "export": null}),
            json!({"frobnicate": {"_eq": 1}, "access_token": "x", "version": "main"}),
        ] {
            assert_eq!(read(&json).as_ref(), Ok(&everything), "{json}");
        }
        let none = read(&json!({"limit": ""})).expect("the query parses");
        assert_eq!(none.select.limit, Some(0));
    }

    #[test]
    fn aliases_are_resolved() {
        let query = read(&json!({
            "fields": "id,words,author.first_name",
            "alias": {"words": "content", "author": "user_created", "unused": "id"},
        }));
        let Selection::Related(author) = &query.as_ref().expect("the query parses").fields.0[2]
        else {
            panic!("{query:?}");
        };
        assert_eq!((author.name.as_ref(), author.field.name), ("author", "user_created"));

        let star = read(&json!({"alias": "{\"words\":\"content\"}"})).expect("the query parses");
        let content = Term::from(messages::content.field());
        assert_eq!(star.fields.0, [Selection::All, Selection::Term("words".into(), content)]);
    }

    fn behind(expansion: &Expansion) -> &[Selection] {
        expansion.fields.as_ref().map_or(&[], |fields| &fields.0)
    }

    #[test]
    fn nested_queries_apply_to_their_relation() {
        let deep = json!({"user_created": {
            "_filter": {"first_name": {"_eq": "Bob"}},
            "_sort": "id",
            "_limit": "1",
            "role": {"users": {"_limit": 5, "_page": 2}},
        }});
        let fields = "user_created.first_name,user_created.role.users.id";
        for deep in [deep.clone(), json!(deep.to_string())] {
            let query = read(&json!({"fields": fields, "deep": deep})).expect("the query parses");
            let Selection::Related(author) = &query.fields.0[0] else { panic!("{query:?}") };
            assert_eq!(
                format!("{:?}", author.select.filter),
                "Field(first_name, Eq(Text(\"Bob\")))"
            );
            assert_eq!(author.select.limit, Some(1));
            let Some(Selection::Related(role)) = behind(author).get(1) else { panic!("{query:?}") };
            let Some(Selection::Related(users)) = behind(role).first() else { panic!("{query:?}") };
            assert_eq!((users.select.limit, users.select.offset), (Some(5), 5));
        }
    }

    #[test]
    fn a_null_filter_is_refused() {
        for json in [json!({"filter": null}), json!({"filter": "null"})] {
            let expected = QueryError::invalid("\"filter\" must be of type object");
            assert_eq!(read(&json), Err(expected), "{json}");
        }
        let everything = Query::everything(&MESSAGES, &Limits::default());
        for json in [json!({}), json!({"filter": ""}), json!({"filter": {}})] {
            assert_eq!(read(&json).as_ref(), Ok(&everything), "{json}");
        }
    }

    #[test]
    fn malformed_parameters_are_refused() {
        let period = "\"alias\" key/value can't contain a period character `.`";
        for (json, expected) in [
            (json!({"alias": "x"}), "\"alias\" has to be an object"),
            (json!({"alias": {"a": 1}}), "\"alias\" value has to be a string"),
            (json!({"alias": {"a.b": "id"}}), period),
            (json!({"alias": {"a": "user_created.id"}}), period),
            (json!({"deep": "x"}), "\"deep\" must be of type object"),
            (json!({"deep": {"user_created": 1}}), "\"user_created\" must be of type object"),
            (
                json!({"deep": {"content": {}}}),
                "\"deep\" is about relations, and \"content\" is none",
            ),
            (
                json!({"deep": {"user_created": {"_limit": -2}}}),
                "\"limit\" must be greater than or equal to -1",
            ),
            (json!({"export": "pdf"}), "\"export\" must be one of [csv, csv_utf8, json]"),
        ] {
            assert_eq!(read(&json), Err(QueryError::invalid(expected)), "{json}");
        }
        for json in [
            json!({"alias": {"a": "nope"}}),
            json!({"deep": {"nope": {}}}),
            json!({"deep": {"user_created": {"_filter": {"nope": 1}}}}),
            json!({"deep": {"user_created": {"_sort": "nope"}}}),
        ] {
            assert!(matches!(read(&json), Err(QueryError::UnknownFields { .. })), "{json}");
        }
        for name in ["xml", "yaml"] {
            let error = read(&json!({"export": name})).expect_err("invalid input");
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn a_query_must_be_an_object() {
        for json in [json!("x"), json!(5), json!([]), json!(true)] {
            let expected = QueryError::invalid("\"query\" must be of type object");
            assert_eq!(read(&json), Err(expected), "{json}");
        }
    }

    #[test]
    fn limits_are_capped() {
        let limits = |max| Limits { default: 100, max, ..Limits::default() };
        for (json, max, expected) in [
            (json!({}), None, Some(100)),
            (json!({}), Some(50), Some(50)),
            (json!({"limit": -1}), None, None),
            (json!({"limit": -1}), Some(500), Some(500)),
            (json!({"limit": 501}), Some(500), Some(500)),
            (json!({"limit": "7"}), Some(500), Some(7)),
            (json!({"limit": 100_000}), None, Some(100_000)),
        ] {
            let query = read_within(&limits(max), &json).expect("the query parses");
            assert_eq!(query.select.limit, expected, "{json} {max:?}");
        }
        let query = read_within(&limits(Some(10)), &json!({"limit": 50, "page": 2}));
        assert_eq!(query.map(|query| query.select.offset), Ok(10));
    }

    #[test]
    fn all_parts_share_one_limit() {
        let limits = Limits { parts: 3, ..Limits::default() };
        let json = json!({"fields": "id", "filter": {"id": 1}, "sort": "id"});
        assert!(read_within(&limits, &json).is_ok());

        let json = json!({"fields": "id", "filter": {"id": 1}, "sort": "id,content"});
        let expected = QueryError::invalid("A query may have at most 3 parts");
        assert_eq!(read_within(&limits, &json), Err(expected));
    }

    #[test]
    fn all_relations_share_one_limit() {
        let limits = Limits { relations: 3, ..Limits::default() };
        let name = json!({"user_created": {"first_name": "x"}});
        let expected = QueryError::invalid("A query may follow at most 3 relations");
        for (json, refused) in [
            (json!({"filter": {"_or": [name, name, name]}}), false),
            (json!({"filter": {"_or": [name, name, name, name]}}), true),
            (json!({"filter": name, "sort": "user_created.role.name"}), false),
            (json!({"filter": name, "sort": "user_created.role.parent.name"}), true),
            (json!({"filter": name, "fields": "user_created.role.name"}), false),
            (json!({"filter": name, "fields": "user_created.role.parent.name"}), true),
            (json!({"filter": {"user_created": {"policies": {"_some": {}}}}}), false),
            (
                json!({"filter": name, "fields": "user_created.role.name",
                    "deep": {"user_created": {"_filter": {"role": {"name": "x"}}}}}),
                true,
            ),
        ] {
            let result = read_within(&limits, &json);
            assert_eq!(result.err(), refused.then(|| expected.clone()), "{json}");
        }
    }

    #[test]
    fn search_text_length_is_limited() {
        let limits = Limits { term: 3, ..Limits::default() };
        let expected = QueryError::invalid("A text to look for may have at most 3 characters");
        for (json, refused) in [
            (json!({"search": "äöü"}), false),
            (json!({"search": "äöüß"}), true),
            (json!({"filter": {"content": {"_icontains": "äöü"}}}), false),
            (json!({"filter": {"content": {"_icontains": "äöüß"}}}), true),
            (json!({"filter": {"content": {"_nstarts_with": "abcd"}}}), true),
            (json!({"filter": {"content": {"_eq": "abcd"}}}), false),
            (json!({"deep": {"user_created": {"_search": "abcd"}}}), true),
        ] {
            let result = read_within(&limits, &json);
            assert_eq!(result.err(), refused.then(|| expected.clone()), "{json}");
        }
    }
}
