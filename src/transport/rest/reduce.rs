//! Reduces the OpenAPI document to the rights of a caller: removes operations that the caller may
//! not use and fields that the caller may not read, create or update.

use std::collections::HashSet;

use serde_json::Map;
use serde_json::Value as Json;
use serde_json::json;

use crate::domain::permissions::Rights;
use crate::model::Action;
use crate::model::Collection;
use crate::model::collection::Exposure;
use crate::model::schema::COLLECTIONS;
use crate::transport::rest;
use crate::transport::rest::operation::Access;
use crate::transport::rest::operation::Need;
use crate::transport::rest::operation::Operation;
use crate::transport::rest::schemas;

/// Kinds of components that are only kept if they are referenced.
const SHARED: [&str; 4] = ["schemas", "parameters", "responses", "examples"];

/// Reduces the complete document to the rights of a caller.
pub fn to(rights: &Rights, document: &mut Json) {
    reduce_paths(&mut document["paths"], rights);
    let schemas = &mut document["components"]["schemas"];
    for collection in COLLECTIONS.iter().filter(|known| known.exposure != Exposure::Internal) {
        reduce_schemas(schemas, collection, rights);
    }
    remove_unused_components(document);
    remove_unused_tags(document);
}

fn reduce_paths(paths: &mut Json, rights: &Rights) {
    let operations: Vec<Operation> = rest::operations().collect();
    let Some(paths) = paths.as_object_mut() else { return };
    paths.retain(|path, entries| {
        let Some(entries) = entries.as_object_mut() else { return false };
        entries.retain(|name, entry| {
            let mut operations = operations.iter();
            let found = operations.find(|known| known.path == *path && has_entry(known, name));
            let Some(operation) = found.filter(|known| is_for(known, rights)) else { return false };
            reduce_examples(entry, operation, rights);
            true
        });
        !entries.is_empty()
    });
}

/// Returns whether the entry of a path, a method or an extension, describes this operation.
fn has_entry(operation: &Operation, name: &str) -> bool {
    let method = operation.method.as_str();
    match name {
        "x-search" => method == "SEARCH",
        "x-export" => method == "GET",
        _ => method.eq_ignore_ascii_case(name),
    }
}

fn is_for(operation: &Operation, rights: &Rights) -> bool {
    let is_open = match operation.access {
        Access::Open | Access::Optional | Access::Anyone => true,
        Access::SignedIn => rights.is_signed_in(),
        Access::Administrators => rights.is_admin(),
    };
    is_open
        && match operation.need {
            Need::Nothing => true,
            Need::SignIn => rights.is_signed_in(),
            Need::Right(action, Some(collection)) => rights.allow(collection, action),
            Need::Right(action, None) => COLLECTIONS
                .iter()
                .any(|known| known.exposure == Exposure::Items && rights.allow(known, action)),
        }
}

/// Removes fields that the caller may not use from the examples of an operation.
fn reduce_examples(entry: &mut Json, operation: &Operation, rights: &Rights) {
    let Some(collection) = operation.collection else { return };
    if let Need::Right(action, _) = operation.need
        && let Some(contents) = entry.pointer_mut("/requestBody/content")
    {
        for example in examples(contents) {
            let items = if example.get("data").is_some() { &mut example["data"] } else { example };
            reduce_items(items, collection, action, rights);
        }
    }
    let Some(responses) = entry["responses"].as_object_mut() else { return };
    for contents in responses.values_mut().filter_map(|response| response.get_mut("content")) {
        for example in examples(contents) {
            let is_envelope = example.get("data").is_some() && collection.field("data").is_none();
            let items = if is_envelope { &mut example["data"] } else { example };
            reduce_items(items, collection, Action::Read, rights);
        }
    }
}

fn examples(contents: &mut Json) -> impl Iterator<Item = &mut Json> {
    let contents = contents.as_object_mut().into_iter().flat_map(Map::values_mut);
    contents.filter_map(|content| content.get_mut("example"))
}

fn reduce_items(
    items: &mut Json,
    collection: &'static Collection,
    action: Action,
    rights: &Rights,
) {
    match items {
        Json::Array(items) => {
            for item in items {
                reduce_items(item, collection, action, rights);
            }
        }
        Json::Object(item) => item.retain(|name, _| is_usable(name, collection, action, rights)),
        _ => {}
    }
}

/// Returns whether a caller may use a name: a field within the rights, or not a field at all.
fn is_usable(name: &str, collection: &'static Collection, action: Action, rights: &Rights) -> bool {
    collection.field(name).is_none_or(|field| {
        // Only administrators may choose keys.
        (action != Action::Create || field != collection.key() || rights.is_admin())
            && rights.allow_field(collection, action, field)
    })
}

fn reduce_schemas(schemas: &mut Json, collection: &'static Collection, rights: &Rights) {
    let name = schemas::name_of(collection);
    for (suffix, action) in [
        ("", Action::Read),
        ("Filter", Action::Read),
        ("Create", Action::Create),
        ("Update", Action::Update),
    ] {
        let Some(schema) = schemas.get_mut(format!("{name}{suffix}")) else { continue };
        let is_usable = |name: &str| is_usable(name, collection, action, rights);
        if let Some(properties) = schema.get_mut("properties").and_then(Json::as_object_mut) {
            properties.retain(|name, _| is_usable(name));
        }
        if let Some(required) = schema.get_mut("required").and_then(Json::as_array_mut) {
            required.retain(|name| name.as_str().is_some_and(is_usable));
            if required.is_empty()
                && let Some(schema) = schema.as_object_mut()
            {
                schema.remove("required");
            }
        }
    }
    if !rights.allow(collection, Action::Read) {
        remove_relations(schemas, &json!({"$ref": format!("#/components/schemas/{name}")}));
    }
}

/// Reduces relations to their keys if the caller may not read the related items.
fn remove_relations(schemas: &mut Json, target: &Json) {
    for schema in schemas.as_object_mut().into_iter().flat_map(Map::values_mut) {
        let properties = schema.get_mut("properties").and_then(Json::as_object_mut);
        for property in properties.into_iter().flat_map(Map::values_mut) {
            remove_alternative(property, target);
            if let Some(items) = property.get_mut("items") {
                remove_alternative(items, target);
            }
        }
    }
}

fn remove_alternative(schema: &mut Json, target: &Json) {
    let Some(schema) = schema.as_object_mut() else { return };
    for keyword in ["oneOf", "anyOf"] {
        let Some(alternatives) = schema.get_mut(keyword).and_then(Json::as_array_mut) else {
            continue;
        };
        alternatives.retain(|alternative| alternative != target);
        if let [Json::Object(only)] = alternatives.as_mut_slice() {
            let only = std::mem::take(only);
            schema.remove(keyword);
            schema.extend(only);
        }
    }
}

fn remove_unused_components(document: &mut Json) {
    let mut used = HashSet::new();
    let mut found = Vec::new();
    collect_references(&document["paths"], &mut found);
    while let Some(target) = found.pop() {
        if let Some(part) = document.pointer(target.trim_start_matches('#')) {
            let mut behind = Vec::new();
            collect_references(part, &mut behind);
            if used.insert(target) {
                found.append(&mut behind);
            }
        }
    }
    for kind in SHARED {
        if let Some(parts) = document["components"][kind].as_object_mut() {
            parts.retain(|name, _| used.contains(&format!("#/components/{kind}/{name}")));
        }
    }
}

fn collect_references(json: &Json, found: &mut Vec<String>) {
    match json {
        Json::Object(entries) => {
            if let Some(Json::String(target)) = entries.get("$ref") {
                found.push(target.clone());
            }
            entries.values().for_each(|json| collect_references(json, found));
        }
        Json::Array(list) => list.iter().for_each(|json| collect_references(json, found)),
        _ => {}
    }
}

fn remove_unused_tags(document: &mut Json) {
    let entries = document["paths"].as_object().into_iter().flat_map(Map::values);
    let entries = entries.filter_map(Json::as_object).flat_map(Map::values);
    let used = entries.filter_map(|entry| entry["tags"].as_array()).flatten();
    let used: HashSet<String> = used.filter_map(Json::as_str).map(str::to_owned).collect();
    if let Some(tags) = document["tags"].as_array_mut() {
        tags.retain(|tag| tag["name"].as_str().is_some_and(|name| used.contains(name)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relation_to_an_unreadable_collection_is_a_key() {
        let (key, target) =
            (json!({"type": "string"}), json!({"$ref": "#/components/schemas/User"}));
        let mut schemas = json!({"Message": {"properties": {
            "one": {"description": "Set by the server.", "oneOf": [key, target]},
            "many": {"type": "array", "items": {"oneOf": [key, target]}},
            "other": {"oneOf": [key, {"$ref": "#/components/schemas/Role"}]},
        }}});
        let other = schemas["Message"]["properties"]["other"].clone();

        remove_relations(&mut schemas, &target);

        assert_eq!(
            schemas["Message"]["properties"],
            json!({
                "one": {"description": "Set by the server.", "type": "string"},
                "many": {"type": "array", "items": {"type": "string"}},
                "other": other,
            })
        );
    }

    #[test]
    fn an_administrator_sees_the_complete_document() {
        let whole: Json = serde_json::from_str(&rest::document()).unwrap();
        let mut reduced = whole.clone();

        to(&Rights::all(), &mut reduced);

        assert_eq!(reduced, whole);
    }
}
