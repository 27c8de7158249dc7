//! Schemas of the query language: filters and queries. They are generated from `model::schema` and
//! the operators of `query`, so additions appear here.
//!
//! Behind a relation they only refer to the generic filter. Otherwise tools that resolve all
//! references would traverse every collection from each other one.

use std::mem::discriminant;

use serde_json::json;
use serde_json::{Map, Value as Json};

use crate::domain::permissions::Rights;
use crate::model::{Action, Collection, Field, Kind};
use crate::query;
use crate::query::Operation;
use crate::transport::rest::openapi::collections;
use crate::transport::rest::openapi::collections::reference_to;
use crate::transport::rest::openapi::fixed;
use crate::transport::rest::openapi::reference;

/// The types of values with operators of their own, and the names of these.
const OPERATORS: [(Kind, &str); 7] = [
    (Kind::Integer, "IntegerOperators"),
    (Kind::Text, "TextOperators"),
    (Kind::Timestamp, "TimestampOperators"),
    (Kind::Boolean, "BooleanOperators"),
    (Kind::Json, "JsonOperators"),
    (Kind::Secret, "SecretOperators"),
    (Kind::Uuid, "UuidOperators"),
];

/// Returns all schemas that depend on collections and types, by name.
pub(super) fn schemas(rights: &Rights) -> Map<String, Json> {
    let mut schemas = Map::new();
    for (kind, name) in OPERATORS {
        schemas.insert(name.to_owned(), operators(kind, name));
    }
    for collection in collections::all() {
        let name = |suffix| collections::name_of(Some(collection), suffix);
        let mut selection = fixed("schemas", "Selection");
        selection["properties"]["filter"] = reference_to(Some(collection), "Filter");
        schemas.insert(name("Selection"), selection);
        schemas.insert(name("Filter"), filter(collection, rights));
    }
    schemas
}

/// Returns the schema of `aggregate`.
pub(super) fn aggregate() -> Json {
    let mut aggregate = fixed("query", "aggregate");
    for operation in Operation::ALL {
        aggregate["properties"][operation.name()] = fixed("query", "names");
    }
    aggregate
}

/// Returns the schema of the body of a `SEARCH`.
pub(in crate::transport::rest) fn search(collection: Option<&'static Collection>) -> Json {
    let mut search = fixed("query", "search");
    search["properties"]["keys"] = collections::keys(collection);
    let query = &mut search["properties"]["query"]["properties"];
    query["filter"] = reference_to(collection, "Filter");
    query["aggregate"] = aggregate();
    query["alias"] = fixed("query", "alias");
    query["deep"] = fixed("query", "deep");
    search
}

/// The operators on one value.
fn operators(kind: Kind, name: &str) -> Json {
    let operand = |name| match name {
        "_null" | "_nnull" | "_empty" | "_nempty" => json!({"type": "boolean"}),
        "_in" | "_nin" => json!({"type": "array", "items": value(kind), "minItems": 1}),
        "_between" | "_nbetween" => {
            json!({"type": "array", "items": value(kind), "minItems": 2, "maxItems": 2})
        }
        _ => value(kind),
    };
    let properties: Map<String, Json> =
        query::operators(kind).map(|name| (name.to_owned(), operand(name))).collect();
    json!({
        "type": "object",
        "description": fixed("operators", name),
        "properties": properties,
        "additionalProperties": false,
    })
}

fn operators_on(kind: Kind) -> Json {
    let known = OPERATORS.iter().find(|(known, _)| discriminant(known) == discriminant(&kind));
    reference("schemas", known.map_or("UuidOperators", |(_, name)| name))
}

fn value(kind: Kind) -> Json {
    match kind {
        Kind::Integer => json!({"type": "integer", "format": "int64"}),
        Kind::Boolean => json!({"type": "boolean"}),
        _ => json!({"type": "string"}),
    }
}

/// A filter: conditions on fields, on parts of dates, and on related items.
fn filter(collection: &'static Collection, rights: &Rights) -> Json {
    let list = json!({"type": "array", "items": reference_to(Some(collection), "Filter")});
    let mut properties = json!({"_and": list, "_or": list});
    for field in collections::usable(collection, Action::Read, rights) {
        properties[field.name] = condition(field);
    }
    json!({
        "type": "object",
        "description": fixed("query", "filter"),
        "properties": properties,
    })
}

/// The condition on one field.
fn condition(field: &'static Field) -> Json {
    match field.kind {
        Kind::ToOne(target) => {
            let key = target.key().kind;
            json!({"anyOf": [operators_on(key), reference_to(None, "Filter"), value(key)]})
        }
        Kind::ToMany(..) => fixed("query", "items"),
        Kind::Json | Kind::Secret => operators_on(field.kind),
        kind => json!({"anyOf": [operators_on(kind), value(kind)]}),
    }
}
