//! Examples of items. The values that depend on the collection are in `fixed.json`.

use serde_json::Value as Json;
use serde_json::json;

use crate::model::{Collection, Field, Kind};
use crate::transport::rest::openapi::fixed;

/// Returns an example item of the collection, as an administrator sees it.
#[must_use]
pub fn example(collection: &Collection) -> Json {
    let values = &fixed("collections", collection.name)["values"];
    let fields = collection.fields.iter().filter(|field| !field.by_name);
    let value = |field: &Field| values.get(field.name).cloned().unwrap_or_else(|| any_value(field));
    Json::Object(fields.map(|field| (field.name.to_owned(), value(field))).collect())
}

/// Returns an example body that creates an item.
#[must_use]
pub fn input_example(collection: &Collection) -> Json {
    fixed("collections", collection.name)["create"].take()
}

/// Returns an example body that updates an item.
#[must_use]
pub fn update_example(collection: &Collection) -> Json {
    match fixed("collections", collection.name)["update"].take() {
        Json::Null => input_example(collection),
        example => example,
    }
}

fn any_value(field: &Field) -> Json {
    const ID: &str = "a7e169a7-5c4e-4b8e-9d3b-2f8f6c1d0e77";
    match field.kind {
        Kind::Integer if field.index == 0 => json!(4),
        Kind::Uuid => json!(ID),
        Kind::Boolean => json!(false),
        Kind::Timestamp => json!("2026-01-31T12:00:00.000Z"),
        Kind::ToOne(_) if field.required => json!(ID),
        Kind::ToMany(..) => json!([]),
        _ => Json::Null,
    }
}
