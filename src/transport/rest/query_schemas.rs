//! Schemas of the query language for the API description: filters, queries, `deep`, `aggregate`.
//! They are generated from `model::schema` and the operators of `query`, so additions appear here.
//!
//! Behind a relation they only refer to the generic filter. Otherwise tools that resolve all
//! references would traverse every collection from each other one. They are JSON, which `merge`
//! adds to the document, because poem-openapi cannot forbid properties that a schema does not list.

use serde_json::Map;
use serde_json::Value as Json;
use serde_json::json;

use crate::model::Collection;
use crate::model::Field;
use crate::model::Kind;
use crate::model::collection::Exposure;
use crate::model::schema::COLLECTIONS;
use crate::query;
use crate::query::Operation;
use crate::transport::rest::schemas;

/// The filter of an unspecified collection.
pub const ANY_FILTER: &str = "Filter";
/// The selection of an unspecified collection.
pub const ANY_SELECTION: &str = "Selection";

/// Returns all schemas, by name.
#[must_use]
pub fn all() -> Map<String, Json> {
    let mut shapes = Map::new();
    for kind in [Kind::Integer, Kind::Text, Kind::Uuid, Kind::Timestamp, Kind::Boolean] {
        shapes.insert(operators_name(kind).to_owned(), operators(kind));
    }
    for kind in [Kind::Json, Kind::Secret] {
        shapes.insert(operators_name(kind).to_owned(), operators(kind));
    }
    for collection in COLLECTIONS.iter().filter(|known| known.exposure != Exposure::Internal) {
        shapes.insert(filter_name(Some(collection)), filter(collection));
        shapes.insert(selection_name(collection), selection(&filter_name(Some(collection))));
    }
    shapes.insert(ANY_FILTER.to_owned(), any_filter());
    shapes.insert(ANY_SELECTION.to_owned(), selection(ANY_FILTER));
    shapes
}

/// Returns the schema of `deep`.
#[must_use]
pub fn deep() -> Json {
    json!({
        "type": "object",
        "description": "Queries for related items, by the name of the relation.",
        "additionalProperties": nested(),
    })
}

/// Returns the schema of `alias`.
#[must_use]
pub fn alias() -> Json {
    json!({
        "type": "object",
        "description": "Aliases of fields: `{\"name\":\"field\"}`.",
        "additionalProperties": {"type": "string"},
    })
}

/// Returns the schema of the body of a `SEARCH`.
#[must_use]
pub fn search(collection: Option<&'static Collection>) -> Json {
    let keys = collection.map_or_else(
        || reference("Keys"),
        |collection| json!({"type": "array", "items": key(collection)}),
    );
    json!({
        "type": "object",
        "description": "The search: a query, or keys; without either, the query in the URL.",
        "properties": {"keys": keys, "query": query(&filter_name(collection))},
    })
}

fn key(collection: &'static Collection) -> Json {
    match collection.key().kind {
        Kind::Integer => json!({"type": "integer", "format": "int64"}),
        _ => json!({"type": "string", "format": "uuid"}),
    }
}

/// Returns the name of the filter of the collection, or of an unspecified one.
#[must_use]
pub fn filter_name(collection: Option<&Collection>) -> String {
    collection.map_or_else(
        || ANY_FILTER.to_owned(),
        |collection| format!("{}Filter", schemas::name_of(collection)),
    )
}

/// Returns the name of the schema that selects items of the collection.
#[must_use]
pub fn selection_name(collection: &Collection) -> String {
    format!("{}Selection", schemas::name_of(collection))
}

/// Returns a reference to the schema with this name.
#[must_use]
pub fn reference(name: &str) -> Json {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

const fn operators_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Integer => "IntegerOperators",
        Kind::Text => "TextOperators",
        Kind::Timestamp => "TimestampOperators",
        Kind::Boolean => "BooleanOperators",
        Kind::Json => "JsonOperators",
        Kind::Secret => "SecretOperators",
        Kind::Uuid | Kind::ToOne(_) | Kind::ToMany(..) => "UuidOperators",
    }
}

/// The operators on one value.
fn operators(kind: Kind) -> Json {
    let mut properties = Map::new();
    for name in query::operators(kind) {
        properties.insert(name.to_owned(), operand(kind, name));
    }
    let about = match kind {
        Kind::Integer => "The operators on a number. A number can also be a text.",
        Kind::Text => "The operators on a text.",
        Kind::Timestamp => {
            "The operators on a timestamp: a date in ISO 8601, or `$NOW`, also with an offset \
             (`$NOW(-1 day)`)."
        }
        Kind::Boolean => "The operators on a boolean.",
        Kind::Json => "The operators on a JSON document.",
        Kind::Secret => "The operators on a value that is never shown.",
        Kind::Uuid | Kind::ToOne(_) | Kind::ToMany(..) => {
            "The operators on a key: a UUID, or a variable (`$CURRENT_USER`, `$CURRENT_ROLE`, \
             `$CURRENT_ROLES`, `$CURRENT_POLICIES`)."
        }
    };
    json!({
        "type": "object",
        "description": about,
        "properties": properties,
        "additionalProperties": false,
    })
}

fn operand(kind: Kind, operator: &str) -> Json {
    match operator {
        "_null" | "_nnull" | "_empty" | "_nempty" => json!({"type": "boolean"}),
        "_in" | "_nin" => json!({"type": "array", "items": value(kind), "minItems": 1}),
        "_between" | "_nbetween" => {
            json!({"type": "array", "items": value(kind), "minItems": 2, "maxItems": 2})
        }
        _ => value(kind),
    }
}

fn value(kind: Kind) -> Json {
    match kind {
        Kind::Integer => json!({"type": "integer", "format": "int64"}),
        Kind::Boolean => json!({"type": "boolean"}),
        _ => json!({"type": "string"}),
    }
}

/// A filter: conditions on fields, on parts of dates, and on related items.
fn filter(collection: &'static Collection) -> Json {
    let own = reference(&filter_name(Some(collection)));
    let mut properties = combined(&own);
    for field in collection.fields {
        properties.insert(field.name.to_owned(), asked(field));
    }
    json!({
        "type": "object",
        "description": "A filter: all conditions have to match. A bare value means `_eq`. Parts of \
                        dates are numbers: `year(field)`, and so on. A relation contains \
                        conditions on the fields of the related item.",
        "properties": properties,
    })
}

/// The condition on one field.
fn asked(field: &'static Field) -> Json {
    match field.kind {
        Kind::ToOne(target) => either([
            reference(operators_name(target.key().kind)),
            reference(ANY_FILTER),
            value(target.key().kind),
        ]),
        Kind::ToMany(..) => json!({
            "type": "object",
            "description": "`_some`: at least one item matches. `_none`: no item matches. `_some` \
                            by default.",
            "properties": {"_some": reference(ANY_FILTER), "_none": reference(ANY_FILTER)},
        }),
        Kind::Json | Kind::Secret => reference(operators_name(field.kind)),
        kind => either([reference(operators_name(kind)), value(kind)]),
    }
}

fn any_filter() -> Json {
    let own = reference(ANY_FILTER);
    json!({
        "type": "object",
        "description": "A filter: `{\"field\":{\"_operator\":value}}`, with nested objects for \
                        relations, and `_some` and `_none` for lists. The filters of the \
                        collections (`MessageFilter`, …) list their fields and operators.",
        "properties": combined(&own),
        "additionalProperties": {},
    })
}

fn combined(own: &Json) -> Map<String, Json> {
    let list = json!({"type": "array", "items": own});
    ["_and", "_or"].into_iter().map(|name| (name.to_owned(), list.clone())).collect()
}

/// The query of items behind a relation, and behind those.
fn nested() -> Json {
    let mut properties = Map::new();
    properties.insert("_filter".to_owned(), reference(ANY_FILTER));
    for (name, shape) in page_parts().into_iter().chain([("alias", alias())]) {
        properties.insert(format!("_{name}"), shape);
    }
    json!({
        "type": "object",
        "description": "The query for the related items.",
        "properties": properties,
        "additionalProperties": {},
    })
}

/// A complete query, as in the body of `SEARCH` and in WebSocket frames.
fn query(filter: &str) -> Json {
    let mut properties = Map::new();
    properties.insert("fields".to_owned(), names("The fields; `*` for all readable ones."));
    properties.insert("filter".to_owned(), reference(filter));
    for (name, shape) in page_parts() {
        properties.insert(name.to_owned(), shape);
    }
    properties.insert("meta".to_owned(), names("`total_count`, `filter_count`; `*` for both."));
    properties.insert("aggregate".to_owned(), aggregate());
    properties.insert("groupBy".to_owned(), names("Fields and parts of dates."));
    properties.insert("alias".to_owned(), alias());
    properties.insert("deep".to_owned(), deep());
    let export = json!({
        "type": "string",
        "enum": ["csv", "csv_utf8", "json"],
        "description": "Returns a file.",
    });
    properties.insert("export".to_owned(), export);
    json!({
        "type": "object",
        "description": "A query, with the same parameters as the URL of a list.",
        "properties": properties,
    })
}

/// The items of a change.
fn selection(filter: &str) -> Json {
    let mut properties = Map::new();
    properties.insert("filter".to_owned(), reference(filter));
    for (name, shape) in page_parts() {
        properties.insert(name.to_owned(), shape);
    }
    json!({
        "type": "object",
        "description": "A selection: all matching items, or one page of them.",
        "properties": properties,
    })
}

/// The parameters that sort, search and paginate a list.
fn page_parts() -> [(&'static str, Json); 5] {
    let count = |least: i64| json!({"type": "integer", "format": "int64", "minimum": least});
    [
        ("sort", names("Fields, with `-` for descending.")),
        ("limit", count(-1)),
        ("offset", count(0)),
        ("page", count(1)),
        ("search", json!({"type": "string"})),
    ]
}

/// Names as a list, or as a comma-separated text.
fn names(about: &str) -> Json {
    let list = json!({"type": "array", "items": {"type": "string"}});
    json!({"description": about, "anyOf": [{"type": "string"}, list]})
}

/// Returns the schema of `aggregate`.
#[must_use]
pub fn aggregate() -> Json {
    let mut properties = Map::new();
    for operation in Operation::ALL {
        properties.insert(operation.name().to_owned(), names("The fields to aggregate."));
    }
    json!({
        "type": "object",
        "description": "Aggregates, each of one or more fields; `count` also of `*`.",
        "properties": properties,
        "additionalProperties": false,
    })
}

fn either(shapes: impl Into<Vec<Json>>) -> Json {
    json!({"anyOf": shapes.into()})
}
