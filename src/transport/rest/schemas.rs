//! Schemas of request and response bodies. Those of collections are generated from `model::schema`,
//! so fields added there appear here.

use poem_openapi::registry::MetaSchema;
use poem_openapi::registry::MetaSchemaRef;
use poem_openapi::registry::Registry;
use serde_json::Value as Json;

use crate::domain::items::STATES;
use crate::model::Action;
use crate::model::Collection;
use crate::model::Field;
use crate::model::Kind;
use crate::model::Length;
use crate::model::collection::Document;
use crate::model::collection::Exposure;
use crate::model::collection::Special;
use crate::model::schema::COLLECTIONS;
use crate::transport::rest::query_schemas;
use crate::transport::rest::shapes;

/// Adds all schemas. Unused ones are left out of the document.
pub fn register(registry: &mut Registry) {
    for collection in COLLECTIONS {
        if collection.exposure != Exposure::Internal {
            let name = name_of(collection);
            registry.schemas.insert(format!("{name}Create"), create(collection));
            registry.schemas.insert(format!("{name}Update"), update(collection));
            registry.schemas.insert(format!("{name}Changes"), changes(collection));
            registry.schemas.insert(format!("{name}Named"), named(collection));
            registry.schemas.insert(name, item(collection));
        }
    }
    for (name, schema) in shapes::fixed() {
        registry.schemas.insert(name.to_owned(), schema);
    }
    // poem-openapi requires every name to be registered; the schemas are merged later.
    for (name, _) in query_schemas::all() {
        registry.schemas.insert(name, MetaSchema::new("object"));
    }
}

/// Returns a reference to the schema with this name.
#[must_use]
pub fn reference(name: &str) -> MetaSchemaRef {
    MetaSchemaRef::Reference(name.to_owned())
}

/// Returns a reference to the schema of an item of the collection.
#[must_use]
pub fn of(collection: &Collection) -> MetaSchemaRef {
    MetaSchemaRef::Reference(name_of(collection))
}

/// Returns a reference to the schema of the body that creates an item.
#[must_use]
pub fn create_of(collection: &Collection) -> MetaSchemaRef {
    reference(&format!("{}Create", name_of(collection)))
}

/// Returns a reference to the schema of the body that updates an item.
#[must_use]
pub fn update_of(collection: &Collection) -> MetaSchemaRef {
    reference(&format!("{}Update", name_of(collection)))
}

/// Returns a reference to the schema of one change of several items.
#[must_use]
pub fn changes_of(collection: &Collection) -> MetaSchemaRef {
    reference(&format!("{}Changes", name_of(collection)))
}

/// Returns the schema of one update in a list, which includes the key.
#[must_use]
pub fn keyed_update_of(collection: &'static Collection) -> MetaSchemaRef {
    let key = collection.key().name;
    let keyed = object(&[key], vec![(key, key_of(collection))]);
    let all_of = vec![inline(keyed), update_of(collection)];
    inline(MetaSchema { all_of, ..MetaSchema::ANY })
}

/// Returns a reference to the schema that selects the items to delete.
#[must_use]
pub fn named_of(collection: &Collection) -> MetaSchemaRef {
    reference(&format!("{}Named", name_of(collection)))
}

/// Returns the schema of a list of keys of the collection.
#[must_use]
pub fn keys_of(collection: &'static Collection) -> MetaSchemaRef {
    list(key_of(collection))
}

/// Returns the schema of an item of an unspecified collection.
#[must_use]
pub fn any_item() -> MetaSchemaRef {
    reference("Item")
}

/// Returns the schema of a list.
#[must_use]
pub fn list(items: MetaSchemaRef) -> MetaSchemaRef {
    inline(MetaSchema { items: Some(Box::new(items)), ..MetaSchema::new("array") })
}

/// Returns a schema that exactly one of two schemas has to match.
#[must_use]
pub fn either(first: MetaSchemaRef, second: MetaSchemaRef) -> MetaSchemaRef {
    inline(MetaSchema { one_of: vec![first, second], ..MetaSchema::ANY })
}

/// Returns the schema of a response with this data.
#[must_use]
pub fn data(data: MetaSchemaRef) -> MetaSchemaRef {
    inline(object(&["data"], vec![("data", data)]))
}

/// Returns the schema of a response with this data and optional counts.
#[must_use]
pub fn data_with_meta(data: MetaSchemaRef) -> MetaSchemaRef {
    inline(object(&["data"], vec![("data", data), ("meta", reference("Counts"))]))
}

/// Returns the schema name of an item, which is singular where the collection name is plural.
pub(super) fn name_of(collection: &Collection) -> String {
    match collection.name {
        "messages" => "Message".to_owned(),
        "directus_users" => "User".to_owned(),
        "directus_roles" => "Role".to_owned(),
        "directus_policies" => "Policy".to_owned(),
        "directus_permissions" => "Permission".to_owned(),
        "directus_revisions" => "Revision".to_owned(),
        other => {
            let plain = other.trim_start_matches("directus_");
            let (first, rest) = plain.split_at(plain.len().min(1));
            first.to_ascii_uppercase() + rest
        }
    }
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

/// The schema of an item. No field is required: `fields` and rights determine which are present.
fn item(collection: &'static Collection) -> MetaSchema {
    let properties = collection
        .fields
        .iter()
        .map(|field| (field.name, inline(value(collection, field))))
        .collect();
    MetaSchema { description: about(collection), ..object(&[], properties) }
}

/// The schema of the body that creates an item: the fields that clients may set, and the key.
fn create(collection: &'static Collection) -> MetaSchema {
    let required = collection.fields.iter().filter(|field| field.required).map(|field| field.name);
    let key = MetaSchema {
        description: Some("Chosen by the server; only administrators may choose one."),
        ..key_schema(collection)
    };
    let properties = [(collection.key().name, inline(key))].into_iter().chain(settable(collection));
    object(&required.collect::<Vec<_>>(), properties.collect())
}

/// The schema of the body that updates an item: the fields that clients may set.
fn update(collection: &'static Collection) -> MetaSchema {
    object(&[], settable(collection).collect())
}

fn settable(
    collection: &'static Collection,
) -> impl Iterator<Item = (&'static str, MetaSchemaRef)> {
    let fields = collection.fields.iter().filter(move |field| is_settable(collection, field));
    fields.map(move |field| (field.name, inline(input_value(collection, field))))
}

/// The schema of one change of several items.
fn changes(collection: &'static Collection) -> MetaSchema {
    let [keys, query] = which(collection);
    shapes::changes(keys, query, update_of(collection))
}

/// The schema of a selection of items.
fn named(collection: &'static Collection) -> MetaSchema {
    let [keys, query] = which(collection);
    shapes::named(keys, query)
}

fn which(collection: &'static Collection) -> [MetaSchemaRef; 2] {
    [keys_of(collection), reference(&query_schemas::selection_name(collection))]
}

fn is_settable(collection: &'static Collection, field: &'static Field) -> bool {
    let by_server = matches!(
        field.special,
        Special::UserCreated
            | Special::DateCreated
            | Special::UserUpdated
            | Special::DateUpdated
            | Special::Kept
            | Special::Guest
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
            // OpenAPI 3.0 allows `nullable` only beside a type.
            let key = MetaSchema { nullable: true, ..key_schema(target) };
            let one_of = vec![inline(key), of(target)];
            return MetaSchema { one_of, description: hint(field), ..MetaSchema::ANY };
        }
        Kind::ToMany(target, _) => {
            let items = Box::new(either(key_of(target), of(target)));
            MetaSchema { items: Some(items), ..MetaSchema::new("array") }
        }
    };
    let can_be_null = field != collection.key() && !matches!(field.kind, Kind::ToMany(..));
    MetaSchema {
        nullable: can_be_null && !schema.ty.is_empty(),
        description: hint(field),
        enum_items: choices(collection, field, can_be_null),
        ..schema
    }
}

/// Returns the allowed values of a field, if they are restricted.
fn choices(collection: &Collection, field: &Field, or_null: bool) -> Vec<Json> {
    let values: Vec<Json> = match (collection.name, field.name) {
        ("directus_users", "status") => STATES.iter().copied().map(Json::from).collect(),
        ("directus_permissions", "action") => {
            Action::ALL.iter().map(|action| Json::from(action.name())).collect()
        }
        _ => return Vec::new(),
    };
    let null = or_null.then_some(Json::Null);
    values.into_iter().chain(null).collect()
}

fn input_value(collection: &'static Collection, field: &'static Field) -> MetaSchema {
    match field.kind {
        Kind::ToOne(target) => {
            let key = MetaSchema { nullable: !field.required, ..key_schema(target) };
            MetaSchema {
                one_of: vec![inline(key), inline(open_object())],
                description: Some(
                    "A key; or an object, which updates the item with its key or, without a key, \
                     creates an item.",
                ),
                ..MetaSchema::ANY
            }
        }
        Kind::ToMany(target, _) => {
            let objects = || list(inline(open_object()));
            let whole = list(either(key_of(target), inline(open_object())));
            let keys = list(key_of(target));
            let parts = vec![("create", objects()), ("update", objects()), ("delete", keys)];
            MetaSchema {
                one_of: vec![whole, inline(object(&[], parts))],
                description: Some(
                    "The full list of keys and objects, which removes all others from it; or the \
                     items to create, to update and to remove.",
                ),
                ..MetaSchema::ANY
            }
        }
        _ => {
            let schema = value(collection, field);
            MetaSchema {
                nullable: schema.nullable && !field.required,
                max_length: length_max(field),
                description: input_hint(field),
                enum_items: choices(collection, field, false),
                ..schema
            }
        }
    }
}

/// Returns the maximum length of a text in characters, if it does not depend on a setting.
const fn length_max(field: &Field) -> Option<usize> {
    match (field.kind, field.length) {
        (Kind::Text | Kind::Secret, Length::Most(most)) => Some(most),
        _ => None,
    }
}

fn open_object() -> MetaSchema {
    MetaSchema {
        additional_properties: Some(Box::new(inline(MetaSchema::ANY))),
        ..MetaSchema::new("object")
    }
}

fn json_value(field: &Field) -> MetaSchema {
    match field.document() {
        Document::Texts => MetaSchema {
            items: Some(Box::new(inline(MetaSchema::new("string")))),
            ..MetaSchema::new("array")
        },
        Document::Object => open_object(),
        Document::Any => MetaSchema::ANY,
    }
}

fn key_of(collection: &'static Collection) -> MetaSchemaRef {
    inline(key_schema(collection))
}

pub(super) fn key_schema(collection: &'static Collection) -> MetaSchema {
    match collection.key().kind {
        Kind::Integer => MetaSchema::new_with_format("integer", "int64"),
        _ => MetaSchema::new_with_format("string", "uuid"),
    }
}

fn about(collection: &Collection) -> Option<&'static str> {
    match collection.name {
        "messages" => Some("A message of the chat."),
        "directus_users" => Some("An account."),
        "directus_roles" => Some("A named group of accounts, nested by `parent`."),
        "directus_policies" => Some("A set of permissions."),
        "directus_permissions" => Some("An action that a policy allows."),
        "directus_access" => {
            Some("The assignment of a policy to a user, a role or, with neither, the public.")
        }
        "directus_settings" => Some("The settings that can be changed at runtime."),
        "directus_activity" => Some("An action of an account on an item; `login` is a sign-in."),
        "directus_revisions" => Some(
            "A message after a change (`data`), and the values that the change set (`delta`). A \
             caller that may not read all messages gets only the readable part of both.",
        ),
        _ => None,
    }
}

fn hint(field: &Field) -> Option<&'static str> {
    match (field.special, field.kind) {
        (Special::UserCreated, _) => Some("The account that created it; set by the server."),
        (Special::DateCreated, _) => Some("The time of creation; set by the server."),
        (Special::UserUpdated, _) => Some("The account that changed it last; set by the server."),
        (Special::DateUpdated, _) => Some("The time of the last change; set by the server."),
        (_, Kind::Secret) => Some("Never shown: `**********`, or null."),
        (_, Kind::ToOne(_)) => Some("A key, or the item with the requested `fields`."),
        (_, Kind::ToMany(..)) => Some("Keys, or the items with the requested `fields`."),
        _ => None,
    }
}

fn input_hint(field: &Field) -> Option<&'static str> {
    match field.special {
        Special::Password => Some("In plain text; only a hash of it is stored."),
        Special::Token => Some("A static token; only a digest of it is stored."),
        _ if field.length == Length::Setting => {
            Some("At most `CONTENT_LENGTH_MAX` characters: 65,536 by default.")
        }
        _ => None,
    }
}
