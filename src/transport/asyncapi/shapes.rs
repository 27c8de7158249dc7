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
            "description": "A name that the client gives its frame; what answers it has the same.",
        },
        "TextUid": {
            "type": "string",
            "description": "The name that the client gave, a number as text.",
        },
        "Key": {
            "type": ["integer", "string"],
            "description": "The key of an item. Compare keys as text.",
        },
        "Keys": {"type": "array", "items": reference("Key")},
        "Cursor": {
            "type": "string",
            "description": "A place in the one order of everything, opaque. Keep the last one; `since` \
                            goes on behind it.",
        },
        "RefreshToken": {
            "type": "string",
            "description": "Good for one sign-in, which brings the next one.",
        },
        "Message": message(),
        "Item": {
            "description": "An item, with the fields that were asked for and may be seen.",
            "anyOf": [reference("Message"), {"type": "object", "title": "OtherItem"}],
        },
        "Query": query(),
        "Counts": {
            "type": "object",
            "description": "How many items there are, where `query.meta` asks for it.",
            "properties": {
                "total_count": {"type": "integer", "description": "All that one may see."},
                "filter_count": {"type": "integer", "description": "Those that fit."},
            },
            "additionalProperties": false,
        },
        "Error": {
            "type": "object",
            "properties": {
                "code": reference("ErrorCode"),
                "message": {"type": "string", "description": "What people read."},
            },
            "required": ["code", "message"],
            "additionalProperties": false,
        },
        "ErrorCode": codes(),
        "Names": {
            "type": "array",
            "description": "Everybody else who is writing, at most 20, whoever began first at first.",
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
        "description": "A message, with the fields that were asked for and may be seen.",
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
            "description": "A key, or the fields that were asked for behind it.",
        }),
        _ => json!({"type": ["string", "null"]}),
    };
    if field.by_name {
        value["description"] = json!("Only where it is asked for by name.");
    }
    value
}

fn query() -> Json {
    let mut query = request(
        &[],
        json!({
            "fields": {
                "type": ["array", "string"], "items": {"type": "string"},
                "description": "Which fields; `*` for all, `user_created.first_name` behind a relation.",
            },
            "filter": {"type": ["object", "string"], "description": "Which items."},
            "search": {"type": "string", "description": "A word that items contain."},
            "sort": {
                "type": ["array", "string"], "items": {"type": "string"},
                "description": "By which fields, `-` before one for the greatest first.",
            },
            "limit": {"type": ["integer", "string"], "description": "How many at most; -1 for all."},
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
    query["description"] = json!("The query of the REST interface: `/openapi.json` has all of it.");
    query
}

fn codes() -> Json {
    let mut meanings = Map::new();
    for code in CODES.iter().filter(|code| !NOT_HERE.contains(&code.name)) {
        meanings.insert(code.name.to_owned(), json!(format!("{} {}", code.meaning, code.advice)));
    }
    json!({
        "type": "string",
        "description": "What programs read.",
        "enum": meanings.keys().collect::<Vec<_>>(),
        "x-enum-descriptions": meanings,
    })
}
