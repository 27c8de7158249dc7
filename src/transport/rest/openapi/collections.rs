//! The schemas of collections: items, the bodies that create and change them, and their examples.
//! They are generated from `model::schema` for the rights of a caller, so fields added there appear
//! here.

use serde_json::json;
use serde_json::{Map, Value as Json};

use crate::domain::permissions::Rights;
use crate::model::collection::{Document, Exposure, Special};
use crate::model::schema::COLLECTIONS;
use crate::model::{AccountStatus, Action, Collection, Field, Kind, Length};
use crate::transport::rest::openapi::fixed;
use crate::transport::rest::openapi::reference;

/// Returns the collections that the document describes.
pub(super) fn all() -> impl Iterator<Item = &'static Collection> {
    COLLECTIONS.iter().copied().filter(|known| known.exposure != Exposure::Internal)
}

/// Returns all schemas that depend on collections, by name.
pub(super) fn schemas(rights: &Rights) -> Map<String, Json> {
    let mut schemas = Map::new();
    for collection in all() {
        let name = |suffix| name_of(Some(collection), suffix);
        schemas.insert(name(""), item(collection, rights));
        schemas.insert(name("Create"), create(collection, rights));
        schemas.insert(name("Update"), object(settable(collection, Action::Update, rights)));
        for selector in ["Named", "Changes"] {
            let mut schema = fixed("schemas", selector);
            schema["properties"]["keys"] = keys(Some(collection));
            schema["properties"]["query"] = reference_to(Some(collection), "Selection");
            if selector == "Changes" {
                schema["properties"]["data"] = reference_to(Some(collection), "Update");
            }
            schemas.insert(name(selector), schema);
        }
    }
    schemas
}

/// Returns the name of a schema of a collection, or of an unspecified one. The name of an item is
/// singular where the name of its collection is plural.
pub(super) fn name_of(collection: Option<&Collection>, suffix: &str) -> String {
    match collection {
        None if matches!(suffix, "" | "Create" | "Update") => "Item".to_owned(),
        None => suffix.to_owned(),
        Some(collection) => {
            let name = &fixed("collections", collection.name)["name"];
            format!("{}{suffix}", name.as_str().unwrap_or(collection.name))
        }
    }
}

/// Returns a reference to a schema of a collection, or of an unspecified one.
pub(in crate::transport::rest) fn reference_to(
    collection: Option<&Collection>,
    suffix: &str,
) -> Json {
    reference("schemas", &name_of(collection, suffix))
}

/// Returns the schema of a list of keys of a collection, or of an unspecified one.
pub(in crate::transport::rest) fn keys(collection: Option<&'static Collection>) -> Json {
    collection.map_or_else(|| reference("schemas", "Keys"), |collection| list(key(collection)))
}

/// Returns the schema of a key of the collection.
pub(in crate::transport::rest) fn key(collection: &'static Collection) -> Json {
    plain(collection.key())
}

/// Returns the schema of a list.
pub(in crate::transport::rest) fn list(items: Json) -> Json {
    let mut list = json!({"type": "array"});
    list["items"] = items;
    list
}

/// Returns a schema that exactly one of these has to match.
pub(in crate::transport::rest) fn one_of<const N: usize>(schemas: [Json; N]) -> Json {
    json!({"oneOf": Json::Array(schemas.into())})
}

/// Removes fields that a caller may not use from examples of items.
pub(super) fn reduce(
    items: &mut Json,
    collection: &'static Collection,
    action: Action,
    rights: &Rights,
) {
    match items {
        Json::Array(items) => {
            for item in items {
                reduce(item, collection, action, rights);
            }
        }
        Json::Object(item) => item.retain(|name, _| {
            collection.field(name).is_none_or(|field| is_usable(field, collection, action, rights))
        }),
        _ => {}
    }
}

/// Returns the fields that a caller may use.
pub(super) fn usable<'a>(
    collection: &'static Collection,
    action: Action,
    rights: &'a Rights,
) -> impl Iterator<Item = &'static Field> + 'a {
    let fields = collection.fields.iter();
    fields.filter(move |field| is_usable(field, collection, action, rights))
}

fn is_usable(
    field: &'static Field,
    collection: &'static Collection,
    action: Action,
    rights: &Rights,
) -> bool {
    // Only administrators may choose keys.
    (action != Action::Create || field != collection.key() || rights.is_admin())
        && rights.allow_field(collection, action, field)
}

/// The schema of an item. No field is required: `fields` and rights determine which are present.
fn item(collection: &'static Collection, rights: &Rights) -> Json {
    let fields = usable(collection, Action::Read, rights);
    let mut item = object(fields.map(|field| (field, value(collection, field, rights))));
    item["description"] = fixed("collections", collection.name)["about"].take();
    item
}

/// The schema of the body that creates an item: the fields that clients may set, and the key.
fn create(collection: &'static Collection, rights: &Rights) -> Json {
    let usable = || usable(collection, Action::Create, rights);
    let mut key = key(collection);
    key["description"] = json!("Chosen by the server; only administrators may choose one.");
    let key = usable().find(|field| *field == collection.key()).map(|field| (field, key));
    let mut create = object(key.into_iter().chain(settable(collection, Action::Create, rights)));
    let required: Vec<&str> =
        usable().filter(|field| field.required).map(|field| field.name).collect();
    if !required.is_empty() {
        create["required"] = json!(required);
    }
    create
}

fn settable<'a>(
    collection: &'static Collection,
    action: Action,
    rights: &'a Rights,
) -> impl Iterator<Item = (&'static Field, Json)> + 'a {
    let fields = usable(collection, action, rights).filter(move |field| {
        let by_server = matches!(
            field.special,
            Special::UserCreated
                | Special::DateCreated
                | Special::UserUpdated
                | Special::DateUpdated
                | Special::Managed
                | Special::Guest
        );
        !by_server && *field != collection.key()
    });
    fields.map(move |field| (field, input_value(collection, field)))
}

fn object(properties: impl Iterator<Item = (&'static Field, Json)>) -> Json {
    let properties: Map<String, Json> =
        properties.map(|(field, schema)| (field.name.to_owned(), schema)).collect();
    json!({"type": "object", "properties": properties})
}

fn open_object() -> Json {
    json!({"type": "object", "additionalProperties": {}})
}

/// The schema of a value of a field that is no relation.
fn plain(field: &Field) -> Json {
    match field.kind {
        Kind::Integer => json!({"type": "integer", "format": "int64"}),
        Kind::Text | Kind::Secret => json!({"type": "string"}),
        Kind::Uuid | Kind::ToOne(_) | Kind::ToMany(..) => {
            json!({"type": "string", "format": "uuid"})
        }
        Kind::Timestamp => json!({"type": "string", "format": "date-time"}),
        Kind::Boolean => json!({"type": "boolean"}),
        Kind::Json => match field.document {
            Document::Texts => list(json!({"type": "string"})),
            Document::Object => open_object(),
            Document::Any => json!({}),
        },
    }
}

/// The schema of a field of an item.
fn value(collection: &'static Collection, field: &'static Field, rights: &Rights) -> Json {
    let mut schema = match field.kind {
        Kind::ToOne(target) => {
            // OpenAPI 3.0 allows `nullable` only beside a type.
            let mut key = key(target);
            key["nullable"] = json!(true);
            with_items(key, target, rights)
        }
        Kind::ToMany(target, _) => list(with_items(key(target), target, rights)),
        _ => plain(field),
    };
    let can_be_null = field != collection.key() && field.leads_to().is_none();
    if can_be_null && schema.get("type").is_some() {
        schema["nullable"] = json!(true);
    }
    describe(schema, hint(field), &choices(collection, field, can_be_null))
}

/// Returns the schema of a related item: its key or, if a caller may read them, the item.
fn with_items(key: Json, target: &Collection, rights: &Rights) -> Json {
    if rights.allow(target, Action::Read) {
        one_of([key, reference_to(Some(target), "")])
    } else {
        key
    }
}

fn describe(mut schema: Json, hint: Option<&str>, choices: &[Json]) -> Json {
    if let Some(hint) = hint {
        schema["description"] = json!(hint);
    }
    if !choices.is_empty() {
        schema["enum"] = json!(choices);
    }
    schema
}

/// Returns the allowed values of a field, if they are restricted.
fn choices(collection: &Collection, field: &Field, or_null: bool) -> Vec<Json> {
    let values: Vec<Json> = match (collection.name, field.name) {
        ("directus_users", "status") => {
            AccountStatus::ALL.map(|status| Json::from(status.name())).into()
        }
        ("directus_permissions", "action") => {
            Action::ALL.iter().map(|action| Json::from(action.name())).collect()
        }
        _ => return Vec::new(),
    };
    values.into_iter().chain(or_null.then_some(Json::Null)).collect()
}

/// The schema of a field in the body of a request.
fn input_value(collection: &'static Collection, field: &'static Field) -> Json {
    let (mut schema, hint) = match field.kind {
        Kind::ToOne(target) => {
            let mut key = key(target);
            if !field.required {
                key["nullable"] = json!(true);
            }
            let hint = "A key; or an object, which updates the item with its key or, without a \
                        key, creates an item.";
            (one_of([key, open_object()]), Some(hint))
        }
        Kind::ToMany(target, _) => {
            let hint = "The full list of keys and objects, which removes all others from it; or \
                        the items to create, to update and to remove.";
            let objects = list(open_object());
            let parts = json!({
                "type": "object",
                "properties": {
                    "create": objects, "update": objects, "delete": list(key(target)),
                },
            });
            (one_of([list(one_of([key(target), open_object()])), parts]), Some(hint))
        }
        _ => (plain(field), input_hint(field)),
    };
    if !field.required && schema.get("type").is_some() {
        schema["nullable"] = json!(true);
    }
    if let (Kind::Text | Kind::Secret, Length::Most(most)) = (field.kind, field.length) {
        schema["maxLength"] = json!(most);
    }
    describe(schema, hint, &choices(collection, field, false))
}

fn hint(field: &Field) -> Option<&'static str> {
    Some(match (field.special, field.kind) {
        (Special::UserCreated, _) => "The account that created it; set by the server.",
        (Special::DateCreated, _) => "The time of creation; set by the server.",
        (Special::UserUpdated, _) => "The account that changed it last; set by the server.",
        (Special::DateUpdated, _) => "The time of the last change; set by the server.",
        (_, Kind::Secret) => "Never shown: `**********`, or null.",
        (_, Kind::ToOne(_)) => "A key, or the item with the requested `fields`.",
        (_, Kind::ToMany(..)) => "Keys, or the items with the requested `fields`.",
        _ => return None,
    })
}

fn input_hint(field: &Field) -> Option<&'static str> {
    Some(match field.special {
        Special::Password => "In plain text; only a hash of it is stored.",
        Special::Token => "A static token; only a digest of it is stored.",
        _ if field.length == Length::Setting => {
            "At most `CONTENT_LENGTH_MAX` characters: 65,536 by default."
        }
        _ => return None,
    })
}
