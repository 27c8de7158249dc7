//! Examples of items in the API description.

use serde_json::Value as Json;
use serde_json::json;

use crate::model::Collection;
use crate::model::Field;
use crate::model::Kind;

/// The UUID of all examples.
pub(super) const ID: &str = "a7e169a7-5c4e-4b8e-9d3b-2f8f6c1d0e77";

/// Returns an example item of the collection, as an administrator sees it.
#[must_use]
pub fn example(collection: &Collection) -> Json {
    let mut example = serde_json::Map::new();
    for field in collection.fields.iter().filter(|field| !field.by_name) {
        example.insert(field.name.to_owned(), example_value(collection, field));
    }
    Json::Object(example)
}

/// Returns an example body that creates an item.
#[must_use]
pub fn input_example(collection: &Collection) -> Json {
    match collection.name {
        "directus_users" => json!({
            "email": "carol@example.com", "password": "correct horse battery",
            "first_name": "Carol", "policies": [{"policy": ID}],
        }),
        "directus_roles" => json!({"name": "Moderators"}),
        "directus_policies" => json!({"name": "Own messages"}),
        "directus_permissions" => json!({
            "policy": ID, "collection": "messages", "action": "update", "fields": ["content"],
            "permissions": {"user_created": {"_eq": "$CURRENT_USER"}},
        }),
        "directus_access" => json!({"user": ID, "policy": ID}),
        "directus_settings" => json!({"project_name": "Our chat", "public_registration": true}),
        _ => json!({"content": "Hello, everybody!"}),
    }
}

/// Returns an example body that updates an item.
#[must_use]
pub fn update_example(collection: &Collection) -> Json {
    match collection.name {
        "directus_users" => json!({"status": "suspended"}),
        "directus_permissions" => json!({"fields": ["content"]}),
        "directus_access" => json!({"sort": 1}),
        _ => input_example(collection),
    }
}

/// Returns an example of a field.
pub(super) fn example_value(collection: &Collection, field: &Field) -> Json {
    match (collection.name, field.name) {
        ("messages", "id") => json!(213_149),
        ("messages", "content") => json!("Hello, everybody!"),
        (_, "first_name") => json!("Alice"),
        (_, "last_name") => json!("Liddell"),
        (_, "email") => json!("alice@example.com"),
        (_, "password") => json!("**********"),
        (_, "status") => json!("active"),
        (_, "provider") => json!("default"),
        (_, "name") => json!("Moderators"),
        (_, "collection") => json!("messages"),
        (_, "action") => json!("update"),
        (_, "item") => json!("213149"),
        (_, "data") => json!({"id": 213_149, "content": "Hello, everybody!"}),
        (_, "delta") => json!({"content": "Hello, everybody!"}),
        (_, "project_name") => json!("Our chat"),
        (_, "project_color") => json!("#6644FF"),
        (_, "default_language") => json!("en-US"),
        (_, "default_appearance") => json!("auto"),
        (_, "auth_login_attempts") => json!(25),
        ("directus_settings", "id") => json!(1),
        ("directus_permissions", "permissions") => {
            json!({"user_created": {"_eq": "$CURRENT_USER"}})
        }
        (_, "fields") => json!(["content"]),
        _ => match field.kind {
            Kind::Integer if field.index == 0 => json!(4),
            Kind::Uuid => json!(ID),
            Kind::Boolean => json!(false),
            Kind::Timestamp => json!("2026-01-31T12:00:00.000Z"),
            Kind::ToOne(_) if field.required || collection.name == "messages" => json!(ID),
            Kind::ToMany(..) => json!([]),
            _ => Json::Null,
        },
    }
}
