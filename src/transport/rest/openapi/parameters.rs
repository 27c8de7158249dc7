//! Path, query and header parameters, as Parameter Objects.

use serde_json::Value as Json;

use crate::model::Collection;
use crate::transport::rest::openapi::collections;
use crate::transport::rest::openapi::fixed;
use crate::transport::rest::openapi::query;

/// The parameters of a list.
const LIST: [&str; 12] = [
    "fields",
    "filter",
    "sort",
    "limit",
    "offset",
    "page",
    "search",
    "meta",
    "aggregate",
    "groupBy",
    "alias",
    "deep",
];

/// Creates a parameter: a doc comment with its description, its place and name, its schema, and an
/// example.
macro_rules! parameter {
    ($(#[doc = $line:literal])+ $place:ident $name:literal: $schema:tt = $example:expr) => {{
        let mut schema = ::serde_json::json!($schema);
        schema["example"] = ::serde_json::json!($example);
        ::serde_json::json!({
            "name": $name,
            "in": stringify!($place),
            "description": $crate::transport::rest::openapi::docs::prose!($(#[doc = $line])+),
            "required": stringify!($place) == "path",
            "schema": schema,
        })
    }};
}
pub(in crate::transport::rest) use parameter;

/// Returns the parameters of a list of a collection, or of an unspecified one.
pub(in crate::transport::rest) fn of_list(collection: Option<&'static Collection>) -> Vec<Json> {
    LIST.iter().map(|name| of_query(name, collection)).collect()
}

/// Returns the parameters that shape one item.
pub(in crate::transport::rest) fn of_item() -> Vec<Json> {
    ["fields", "alias", "deep"].iter().map(|name| of_query(name, None)).collect()
}

/// Returns a parameter of queries, and adds the JSON schema if it is JSON text. Under `schema`,
/// clients would serialize the object in an OpenAPI style instead of JSON.
fn of_query(name: &str, collection: Option<&'static Collection>) -> Json {
    let mut parameter = named(name);
    parameter["x-json-schema"] = match name {
        "filter" => collections::reference_to(collection, "Filter"),
        "aggregate" => query::aggregate(),
        "alias" | "deep" => fixed("query", name),
        _ => return parameter,
    };
    parameter
}

/// Returns the parameter with this name in `fixed.json`: `collection`, `account` (the key of an
/// account in the path), `Idempotency-Key`, `export`.
pub(in crate::transport::rest) fn named(name: &str) -> Json {
    fixed("parameters", name)
}
