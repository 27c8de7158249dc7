//! The parameters of a query, each read by a sibling.

use serde_json::Map;
use serde_json::Value as Json;

use crate::model::Collection;
use crate::query::Environment;
use crate::query::Fields;
use crate::query::Filter;
use crate::query::Limit;
use crate::query::Limits;
use crate::query::Meta;
use crate::query::QueryError;
use crate::query::Sort;
use crate::query::parse::budget::Budget;
use crate::query::parse::fields::fields;
use crate::query::parse::filter::filter;
use crate::query::parse::page;
use crate::query::parse::sort::sort;

/// A query on one collection whose every part is known to have a meaning.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// The fields asked for.
    pub fields: Fields,
    /// The rows asked for.
    pub filter: Filter,
    /// The order; empty for ascending by key.
    pub sort: Vec<Sort>,
    /// The length of the page.
    pub limit: Limit,
    /// How many rows lie before the page; at most `i64::MAX`, as SQL counts.
    pub offset: u64,
    /// Text that some readable text field must contain, trimmed, never empty.
    pub search: Option<String>,
    /// The counts asked for.
    pub meta: Meta,
}

/// Parameters that Directus has and we do not have yet: to ignore them would be to answer
/// something else than what was asked.
const UNSUPPORTED: [&str; 5] = ["aggregate", "groupBy", "alias", "deep", "export"];

impl Query {
    /// Returns the query that an absent one stands for.
    #[must_use]
    pub fn everything(limits: &Limits) -> Self {
        Self {
            fields: Fields::all(),
            filter: Filter::everything(),
            sort: Vec::new(),
            limit: limits.unasked(),
            offset: 0,
            search: None,
            meta: Meta::default(),
        }
    }

    /// Reads a query out of a JSON object (null stands for an empty one).
    ///
    /// # Errors
    /// [`QueryError`] for whatever has no meaning, in Directus's words.
    pub fn parse(
        collection: &'static Collection,
        json: &Json,
        environment: &Environment<'_>,
        limits: &Limits,
    ) -> Result<Self, QueryError> {
        let mut query = Self::everything(limits);
        let parameters = match json {
            Json::Null => return Ok(query),
            Json::Object(parameters) => parameters,
            _ => return Err(QueryError::invalid("\"query\" must be of type object")),
        };
        for name in UNSUPPORTED {
            if present(parameters, name).is_some_and(|json| !is_empty_text(json)) {
                return Err(QueryError::invalid(format!("\"{name}\" is not supported yet")));
            }
        }
        let mut budget = Budget::new(limits);
        if let Some(json) = present(parameters, "fields") {
            query.fields = fields(collection, json, &mut budget)?;
        }
        // The one parameter whose null is no absence.
        let null = parameters.get("filter").filter(|json| json.is_null());
        if let Some(json) = null.or_else(|| present(parameters, "filter")) {
            query.filter = filter(collection, json, environment, &mut budget)?;
        }
        if let Some(json) = present(parameters, "sort") {
            query.sort = sort(collection, json, &mut budget)?;
        }
        // The one parameter whose empty value counts.
        if let Some(json) = parameters.get("limit").filter(|json| !json.is_null()) {
            query.limit = limits.cap(page::limit(json)?);
        }
        query.offset =
            page::offset(present(parameters, "offset"), present(parameters, "page"), query.limit)?;
        if let Some(json) = present(parameters, "search") {
            query.search = page::search(json)?;
        }
        if let Some(json) = present(parameters, "meta") {
            query.meta = page::meta(json)?;
        }
        Ok(query)
    }
}

/// Returns the parameter, unless its value is empty.
fn present<'j>(parameters: &'j Map<String, Json>, name: &str) -> Option<&'j Json> {
    parameters.get(name).filter(|json| match json {
        Json::Null => false,
        Json::String(text) => !text.is_empty(),
        Json::Array(list) => !list.is_empty(),
        Json::Object(object) => !object.is_empty(),
        Json::Bool(_) | Json::Number(_) => true,
    })
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

    fn read(json: &Json) -> Result<Query, QueryError> {
        read_within(&Limits::default(), json)
    }

    fn read_within(limits: &Limits, json: &Json) -> Result<Query, QueryError> {
        let now = Timestamp::from_millis(0);
        Query::parse(&MESSAGES, json, &Environment { actor: &Actor::nobody(), now }, limits)
    }

    #[test]
    fn real_values_and_their_texts_are_the_same() {
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

        let query = read(&values).expect("it has a meaning");

        assert_eq!(read(&texts).as_ref(), Ok(&query));
        assert_eq!(query.limit, Limit::Of(10));
        assert_eq!(query.offset, 20);
        assert_eq!(query.search.as_deref(), Some("banana"));
        assert_eq!(query.meta, Meta { total: true, filter: true });
        assert_eq!(query.sort.len(), 1);
        assert_ne!(query.filter, Filter::everything());
        assert_ne!(query.fields, Fields::all());
    }

    #[test]
    fn what_is_empty_or_unknown_is_absent() {
        let everything = Query::everything(&Limits::default());
        assert_eq!(everything.limit, Limit::Of(100));
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
        let none = read(&json!({"limit": ""})).expect("it has a meaning");
        assert_eq!(none.limit, Limit::Of(0));
    }

    #[test]
    fn a_filter_of_null_is_none() {
        for json in [json!({"filter": null}), json!({"filter": "null"})] {
            let expected = QueryError::invalid("\"filter\" must be of type object");
            assert_eq!(read(&json), Err(expected), "{json}");
        }
        let everything = Query::everything(&Limits::default());
        for json in [json!({}), json!({"filter": ""}), json!({"filter": {}})] {
            assert_eq!(read(&json).as_ref(), Ok(&everything), "{json}");
        }
    }

    #[test]
    fn what_is_not_built_yet_is_refused() {
        for (json, name) in [
            (json!({"aggregate": {"count": "*"}}), "aggregate"),
            (json!({"aggregate": "{\"count\":\"*\"}"}), "aggregate"),
            (json!({"groupBy": ["content"]}), "groupBy"),
            (json!({"alias": {"words": "content"}}), "alias"),
            (json!({"deep": {"user_created": {"_limit": 1}}}), "deep"),
            (json!({"export": "csv"}), "export"),
        ] {
            let expected = QueryError::invalid(format!("\"{name}\" is not supported yet"));
            assert_eq!(read(&json), Err(expected), "{json}");
        }
    }

    #[test]
    fn a_query_is_an_object() {
        for json in [json!("x"), json!(5), json!([]), json!(true)] {
            let expected = QueryError::invalid("\"query\" must be of type object");
            assert_eq!(read(&json), Err(expected), "{json}");
        }
    }

    #[test]
    fn limits_are_capped() {
        let limits = |max| Limits { default: 100, max, ..Limits::default() };
        for (json, max, expected) in [
            (json!({}), None, Limit::Of(100)),
            (json!({}), Some(50), Limit::Of(50)),
            (json!({"limit": -1}), None, Limit::All),
            (json!({"limit": -1}), Some(500), Limit::Of(500)),
            (json!({"limit": 501}), Some(500), Limit::Of(500)),
            (json!({"limit": "7"}), Some(500), Limit::Of(7)),
            (json!({"limit": 100_000}), None, Limit::Of(100_000)),
        ] {
            let query = read_within(&limits(max), &json).expect("it has a meaning");
            assert_eq!(query.limit, expected, "{json} {max:?}");
        }
        let query = read_within(&limits(Some(10)), &json!({"limit": 50, "page": 2}));
        assert_eq!(query.map(|query| query.offset), Ok(10));
    }

    #[test]
    fn all_parts_share_one_bound() {
        let limits = Limits { parts: 3, ..Limits::default() };
        let json = json!({"fields": "id", "filter": {"id": 1}, "sort": "id"});
        assert!(read_within(&limits, &json).is_ok());

        let json = json!({"fields": "id", "filter": {"id": 1}, "sort": "id,content"});
        let expected = QueryError::invalid("A query may have at most 3 parts");
        assert_eq!(read_within(&limits, &json), Err(expected));
    }
}
