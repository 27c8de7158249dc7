//! The shapes of bodies and answers, as the documentation shows them. Those of collections are
//! made from `model::schema`, so that a field that is added there shows here.

use poem_openapi::registry::MetaSchema;
use poem_openapi::registry::MetaSchemaRef;
use poem_openapi::registry::Registry;
use serde_json::Value as Json;
use serde_json::json;

use crate::model::Collection;
use crate::model::Field;
use crate::model::Kind;
use crate::model::schema::COLLECTIONS;
use crate::model::schema::Reach;
use crate::model::schema::Special;
use crate::transport::rest::shapes;

/// Adds all shapes. Those that no operation uses are left out of the document.
pub fn register(registry: &mut Registry) {
    for collection in COLLECTIONS {
        if collection.reach != Reach::Internal {
            registry.schemas.insert(name_of(collection), item(collection));
            registry.schemas.insert(input_name_of(collection), input(collection));
        }
    }
    for (name, schema) in shapes::fixed() {
        registry.schemas.insert(name.to_owned(), schema);
    }
}

/// Returns a reference to the shape of this name.
#[must_use]
pub fn reference(name: &str) -> MetaSchemaRef {
    MetaSchemaRef::Reference(name.to_owned())
}

/// Returns a reference to the shape of an item of the collection.
#[must_use]
pub fn of(collection: &Collection) -> MetaSchemaRef {
    MetaSchemaRef::Reference(name_of(collection))
}

/// Returns a reference to the shape of what is sent to create or change an item.
#[must_use]
pub fn input_of(collection: &Collection) -> MetaSchemaRef {
    MetaSchemaRef::Reference(input_name_of(collection))
}

/// Returns the shape of an item of some collection or other.
#[must_use]
pub fn any_item() -> MetaSchemaRef {
    reference("Item")
}

/// Returns the shape of a list.
#[must_use]
pub fn list(items: MetaSchemaRef) -> MetaSchemaRef {
    inline(MetaSchema { items: Some(Box::new(items)), ..MetaSchema::new("array") })
}

/// Returns the shape of either of two.
#[must_use]
pub fn either(first: MetaSchemaRef, second: MetaSchemaRef) -> MetaSchemaRef {
    inline(MetaSchema { one_of: vec![first, second], ..MetaSchema::ANY })
}

/// Returns the shape of an answer with these data.
#[must_use]
pub fn data(data: MetaSchemaRef) -> MetaSchemaRef {
    inline(object(&["data"], vec![("data", data)]))
}

/// Returns the shape of an answer with these data and, where asked for, counts.
#[must_use]
pub fn data_with_meta(data: MetaSchemaRef) -> MetaSchemaRef {
    inline(object(&["data"], vec![("data", data), ("meta", reference("Counts"))]))
}

/// Returns an item of the collection as an administrator might see it.
#[must_use]
pub fn example(collection: &Collection) -> Json {
    let mut example = serde_json::Map::new();
    for field in collection.fields.iter().filter(|field| !field.by_name) {
        example.insert(field.name.to_owned(), example_value(collection, field));
    }
    Json::Object(example)
}

/// Returns what might be sent to create an item.
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

const ID: &str = "a7e169a7-5c4e-4b8e-9d3b-2f8f6c1d0e77";

fn name_of(collection: &Collection) -> String {
    match collection.name {
        "messages" => "Message",
        "directus_users" => "User",
        "directus_roles" => "Role",
        "directus_policies" => "Policy",
        "directus_permissions" => "Permission",
        "directus_access" => "Access",
        "directus_settings" => "Settings",
        "directus_activity" => "Activity",
        "directus_revisions" => "Revision",
        other => other,
    }
    .to_owned()
}

fn input_name_of(collection: &Collection) -> String {
    format!("{}Input", name_of(collection))
}

pub(super) fn inline(schema: MetaSchema) -> MetaSchemaRef {
    MetaSchemaRef::Inline(Box::new(schema))
}

pub(super) fn object(
    required: &[&'static str],
    properties: Vec<(&'static str, MetaSchemaRef)>,
) -> MetaSchema {
    MetaSchema { required: required.to_vec(), properties, ..MetaSchema::new("object") }
}

/// The shape of an item. No field is sure to be there: which are is up to `fields` and to rights.
fn item(collection: &'static Collection) -> MetaSchema {
    let properties = collection
        .fields
        .iter()
        .map(|field| (field.name, inline(value(collection, field))))
        .collect();
    MetaSchema { description: about(collection), ..object(&[], properties) }
}

/// The shape of what is sent: the fields that clients may set.
fn input(collection: &'static Collection) -> MetaSchema {
    let properties = collection
        .fields
        .iter()
        .filter(|field| is_settable(collection, field))
        .map(|field| (field.name, inline(input_value(collection, field))))
        .collect();
    object(&[], properties)
}

fn is_settable(collection: &'static Collection, field: &'static Field) -> bool {
    let by_server = matches!(
        field.special,
        Special::UserCreated
            | Special::DateCreated
            | Special::UserUpdated
            | Special::DateUpdated
            | Special::Kept
    );
    !by_server && field != collection.key()
}

fn value(collection: &'static Collection, field: &'static Field) -> MetaSchema {
    let schema = match field.kind {
        Kind::Integer => MetaSchema::new_with_format("integer", "int64"),
        Kind::Text | Kind::Secret => MetaSchema::new("string"),
        Kind::Uuid => MetaSchema::new_with_format("string", "uuid"),
        Kind::Timestamp => MetaSchema::new_with_format("string", "date-time"),
        Kind::Boolean => MetaSchema::new("boolean"),
        Kind::Json => json_value(field),
        Kind::ToOne(target) => {
            MetaSchema { one_of: vec![key_of(target), of(target)], ..MetaSchema::ANY }
        }
        Kind::ToMany(target, _) => {
            let items = Box::new(either(key_of(target), of(target)));
            MetaSchema { items: Some(items), ..MetaSchema::new("array") }
        }
    };
    MetaSchema {
        nullable: field != collection.key() && !matches!(field.kind, Kind::ToMany(..)),
        description: hint(field),
        ..schema
    }
}

fn input_value(collection: &'static Collection, field: &'static Field) -> MetaSchema {
    match field.kind {
        Kind::ToOne(target) => MetaSchema { nullable: !field.required, ..key_schema(target) },
        Kind::ToMany(..) => MetaSchema {
            items: Some(Box::new(inline(MetaSchema {
                additional_properties: Some(Box::new(inline(MetaSchema::ANY))),
                ..MetaSchema::new("object")
            }))),
            description: Some("Items to create along with this one."),
            ..MetaSchema::new("array")
        },
        _ => MetaSchema {
            nullable: !field.required,
            description: input_hint(field),
            ..value(collection, field)
        },
    }
}

/// Documents are lists of texts or objects of whatever the client keeps there.
fn json_value(field: &Field) -> MetaSchema {
    match field.name {
        "fields" | "tags" | "ip_access" => MetaSchema {
            items: Some(Box::new(inline(MetaSchema::new("string")))),
            ..MetaSchema::new("array")
        },
        _ => MetaSchema {
            additional_properties: Some(Box::new(inline(MetaSchema::ANY))),
            ..MetaSchema::new("object")
        },
    }
}

fn key_of(collection: &'static Collection) -> MetaSchemaRef {
    inline(key_schema(collection))
}

fn key_schema(collection: &'static Collection) -> MetaSchema {
    match collection.key().kind {
        Kind::Integer => MetaSchema::new_with_format("integer", "int64"),
        _ => MetaSchema::new_with_format("string", "uuid"),
    }
}

fn about(collection: &Collection) -> Option<&'static str> {
    match collection.name {
        "messages" => Some("What somebody said."),
        "directus_users" => Some("An account."),
        "directus_roles" => Some("A named group of accounts, nested by `parent`."),
        "directus_policies" => Some("A set of permissions."),
        "directus_permissions" => Some("What a policy allows."),
        "directus_access" => {
            Some("Which policy holds for whom: a user, a role or, with neither, the public.")
        }
        "directus_settings" => Some("What an operator sets while the service runs."),
        "directus_activity" => Some("Who did what to which item; `login` is a sign-in."),
        "directus_revisions" => Some(
            "What a message was after a change (`data`), and what the change set (`delta`). Whoever \
             may not read all messages sees of both what they may read of messages.",
        ),
        _ => None,
    }
}

fn hint(field: &Field) -> Option<&'static str> {
    match (field.special, field.kind) {
        (Special::UserCreated, _) => Some("Who created it; set by the server."),
        (Special::DateCreated, _) => Some("When it was created; set by the server."),
        (Special::UserUpdated, _) => Some("Who changed it last; set by the server."),
        (Special::DateUpdated, _) => Some("When it was changed last; set by the server."),
        (_, Kind::Secret) => Some("Never shown: `**********`, or null."),
        (_, Kind::ToOne(_)) => Some("A key, or the item as far as `fields` opens it."),
        (_, Kind::ToMany(..)) => Some("Keys, or the items as far as `fields` opens them."),
        _ => None,
    }
}

fn input_hint(field: &Field) -> Option<&'static str> {
    match field.special {
        Special::Password => Some("In clear; only a hash of it is kept."),
        Special::Token => Some("A static token; only a digest of it is kept."),
        _ => None,
    }
}

fn example_value(collection: &Collection, field: &Field) -> Json {
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
