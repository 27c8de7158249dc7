//! JSON Schemas shared by several frames. Those of messages are generated from `model::schema`, and
//! the error codes from their table.

use serde_json::Map;
use serde_json::Value as Json;
use serde_json::json;

use crate::model::Field;
use crate::model::Kind;
use crate::model::schema::MESSAGES;
use crate::transport::error::codes::CODES;

/// Codes that only occur in HTTP responses.
const NOT_HERE: [&str; 3] = ["ROUTE_NOT_FOUND", "OUT_OF_TIME", "CONTENT_TOO_LARGE"];

/// Returns all schemas, by name.
pub(super) fn all() -> Json {
    json!({
        "Uid": {
            "type": ["string", "number"],
            "description": "An identifier that the client chooses for its frame; the response has \
                            the same one.",
        },
        "TextUid": {
            "type": "string",
            "description": "The identifier that the client chose; a number becomes a text.",
        },
        "Key": {
            "type": ["integer", "string"],
            "description": "The key of an item. Compare keys as text.",
        },
        "Keys": {"type": "array", "items": reference("Key")},
        "Cursor": {
            "type": "string",
            "description": "An opaque position in the global order of events. Keep the last one: \
                            `since` resumes after it.",
        },
        "RefreshToken": {
            "type": "string",
            "description": "Valid for one sign-in, which returns the next one.",
        },
        "Message": message(),
        "Item": {
            "description": "An item, with the requested fields that may be read.",
            "anyOf": [reference("Message"), {"type": "object", "title": "OtherItem"}],
        },
        "Query": query(),
        "Counts": {
            "type": "object",
            "description": "The numbers of items, if `query.meta` requests them.",
            "properties": {
                "total_count": {"type": "integer", "description": "All items that may be read."},
                "filter_count": {"type": "integer", "description": "The matching items."},
            },
            "additionalProperties": false,
        },
        "Error": {
            "type": "object",
            "properties": {
                "code": reference("ErrorCode"),
                "message": {"type": "string", "description": "A message for users."},
            },
            "required": ["code", "message"],
            "additionalProperties": false,
        },
        "ErrorCode": codes(),
        "Names": {
            "type": "array",
            "description": "All other typing users, at most 20, the first to start first.",
            "items": object(&["user"], json!({
                "user": {"type": "string", "description": "As in the topic `chat`."},
            })),
        },
    })
}

/// Returns a reference to a schema.
pub(super) fn reference(name: &str) -> Json {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// Returns the schema of an object from the service: only these properties, some required.
pub(super) fn object(required: &[&str], properties: Json) -> Json {
    let mut object = request(required, properties);
    object["additionalProperties"] = json!(false);
    object
}

/// Returns the schema of an object sent by a client: other properties are ignored.
pub(super) fn request(required: &[&str], properties: Json) -> Json {
    let mut object = Map::new();
    object.insert("type".to_owned(), json!("object"));
    object.insert("properties".to_owned(), properties);
    if !required.is_empty() {
        object.insert("required".to_owned(), json!(required));
    }
    Json::Object(object)
}

/// Returns the schema of an enumeration of texts.
pub(super) fn one_of(texts: &[&str], about: &str) -> Json {
    json!({"type": "string", "enum": texts, "description": about})
}

/// Returns the schema of a constant text.
pub(super) fn always(text: &str) -> Json {
    json!({"type": "string", "const": text})
}

/// Returns the schema of an error frame.
pub(super) fn refusal(kind: &Json) -> Json {
    object(
        &["type", "status", "error"],
        json!({
            "type": kind,
            "status": always("error"),
            "error": reference("Error"),
            "uid": reference("Uid"),
        }),
    )
}

fn message() -> Json {
    let mut properties = Map::new();
    for field in MESSAGES.columns() {
        properties.insert(field.name.to_owned(), value(field));
    }
    json!({
        "type": "object",
        "description": "A message, with the requested fields that may be read.",
        "properties": properties,
    })
}

fn value(field: &Field) -> Json {
    let mut value = match field.kind {
        Kind::Integer => json!({"type": "integer"}),
        Kind::Timestamp => json!({"type": ["string", "null"], "format": "date-time"}),
        Kind::Boolean => json!({"type": ["boolean", "null"]}),
        Kind::Uuid => json!({"type": ["string", "null"], "format": "uuid"}),
        Kind::ToOne(_) => json!({
            "type": ["string", "object", "null"],
            "description": "A key, or the requested fields of the related item.",
        }),
        _ => json!({"type": ["string", "null"]}),
    };
    if field.by_name {
        value["description"] = json!("Returned only if requested by name.");
    }
    value
}

fn query() -> Json {
    let mut query = request(
        &[],
        json!({
            "fields": {
                "type": ["array", "string"], "items": {"type": "string"},
                "description": "The fields to return; `*` for all, `user_created.first_name` for a \
                                related item.",
            },
            "filter": {"type": ["object", "string"], "description": "A filter of the items."},
            "search": {"type": "string", "description": "A text that the items contain."},
            "sort": {
                "type": ["array", "string"], "items": {"type": "string"},
                "description": "The fields to sort by, with `-` for descending.",
            },
            "limit": {"type": ["integer", "string"], "description": "The maximum; -1 for all."},
            "offset": {"type": ["integer", "string"]},
            "page": {"type": ["integer", "string"]},
            "deep": {"type": ["object", "string"]},
            "alias": {"type": ["object", "string"]},
            "aggregate": {"type": ["object", "string"]},
            "groupBy": {"type": ["array", "string"]},
            "meta": {
                "type": ["array", "string"],
                "description": "`total_count`, `filter_count` or `*`.",
            },
        }),
    );
    query["description"] = json!("The query of the REST API; see `/openapi.json` for all of it.");
    query
}

fn codes() -> Json {
    let mut meanings = Map::new();
    for code in CODES.iter().filter(|code| !NOT_HERE.contains(&code.name)) {
        meanings.insert(code.name.to_owned(), json!(format!("{} {}", code.meaning, code.advice)));
    }
    json!({
        "type": "string",
        "description": "A code for programs.",
        "enum": meanings.keys().collect::<Vec<_>>(),
        "x-enum-descriptions": meanings,
    })
}
