//! Assembles the AsyncAPI document.

use serde_json::json;
use serde_json::{Map, Value as Json};

use crate::model::schema::MESSAGES;
use crate::transport::error::codes::CODES;
use crate::transport::rest;

/// The document without its messages and schemas.
const DOCUMENT: &str = include_str!("document.json");

/// The parts that all channels have in common, such as their close codes.
const CHANNEL: &str = include_str!("channel.json");

/// The messages by name. Their names, content types and examples are added here.
const MESSAGE_TYPES: &str = include_str!("messages.json");

/// The schemas by name, without the fields of `Message` and the values of `ErrorCode`.
const SCHEMAS: &str = include_str!("schemas.json");

/// Recorded conversations between clients and the service: a list of objects with `title`,
/// `channel`, `with` (named settings of the test) and `steps`. A step has `send` or `receive` with
/// the name of a message and its `frame`, plus `by` if it is on the connection of another user; or
/// `rest`, a request that Bob sends; or `closed`, the close code of the connection.
const CONVERSATIONS: &str = include_str!("conversations.json");

/// Codes that only occur in HTTP responses.
const ONLY_HTTP: [&str; 3] = ["ROUTE_NOT_FOUND", "OUT_OF_TIME", "CONTENT_TOO_LARGE"];

/// Returns the document as JSON text.
#[must_use]
pub fn document() -> String {
    format!("{:#}\n", build())
}

pub(super) fn build() -> Json {
    let [mut document, channel_parts, mut messages, mut schemas, conversations] =
        [DOCUMENT, CHANNEL, MESSAGE_TYPES, SCHEMAS, CONVERSATIONS].map(parse);
    for (_, channel) in entries(&mut document["channels"]) {
        for (name, part) in entries(&mut channel_parts.clone()) {
            channel[name] = part.take();
        }
    }
    for (name, message) in entries(&mut messages) {
        let is_text = message["payload"]["type"] == "string";
        message["name"] = json!(name);
        message["contentType"] = json!(if is_text { "text/plain" } else { "application/json" });
        message["examples"] = examples(&conversations, name);
    }
    schemas["Message"]["properties"] = message_fields();
    let codes = CODES.iter().filter(|code| !ONLY_HTTP.contains(&code.name));
    let meanings: Map<String, Json> = codes
        .map(|code| (code.name.to_owned(), json!(format!("{} {}", code.meaning, code.advice))))
        .collect();
    schemas["ErrorCode"]["enum"] = meanings.keys().cloned().collect();
    schemas["ErrorCode"]["x-enum-descriptions"] = Json::Object(meanings);
    document["components"]["messages"] = messages;
    document["components"]["schemas"] = schemas;
    document["x-conversations"] = conversations;
    document
}

fn parse(part: &str) -> Json {
    serde_json::from_str(part).expect("the parts of the document are JSON")
}

fn entries(object: &mut Json) -> impl Iterator<Item = (&String, &mut Json)> {
    object.as_object_mut().into_iter().flatten()
}

/// Returns the distinct frames with this name in the conversations.
fn examples(conversations: &Json, name: &str) -> Json {
    let mut examples: Vec<Json> = Vec::new();
    for conversation in conversations.as_array().into_iter().flatten() {
        let steps = conversation["steps"].as_array().into_iter().flatten();
        for step in steps.filter(|step| step["send"] == name || step["receive"] == name) {
            let payload = &step["frame"];
            if examples.iter().all(|example| example["payload"] != *payload) {
                examples.push(json!({"summary": conversation["title"], "payload": payload}));
            }
        }
    }
    Json::Array(examples)
}

/// Returns the schemas of the fields of a message.
fn message_fields() -> Json {
    let mut rest = parse(&rest::document());
    let mut fields = rest["components"]["schemas"]["Message"]["properties"].take();
    for (name, field) in entries(&mut fields) {
        *field = converted(field);
        if MESSAGES.field(name).is_some_and(|field| field.by_name) {
            add_sentence(field, "Returned only if requested by name.");
        }
    }
    fields
}

/// Converts the schema of a field from the dialect of OpenAPI 3.0: `nullable` becomes a type, and a
/// related item becomes any object, since frames contain its requested fields only.
fn converted(field: &Json) -> Json {
    let key = &field["oneOf"][0];
    let is_relation = key.is_object();
    let mut schema = if is_relation { key.clone() } else { field.clone() };
    let mut types = vec![schema["type"].take()];
    if is_relation {
        types.push(json!("object"));
        schema["description"] = field["description"].clone();
        add_sentence(&mut schema, "A key, or the requested fields of the related item.");
    }
    if schema.as_object_mut().and_then(|schema| schema.shift_remove("nullable"))
        == Some(json!(true))
    {
        types.push(json!("null"));
    }
    schema["type"] = if types.len() > 1 { json!(types) } else { types.remove(0) };
    schema
}

fn add_sentence(schema: &mut Json, sentence: &str) {
    let about = schema["description"].as_str().unwrap_or_default();
    schema["description"] = json!(format!("{about} {sentence}").trim_start());
}
