//! Adds the parts of the OpenAPI document that poem-openapi does not support: examples of each
//! body, codes of each error, an explicit "no security", JSON in query strings, `SEARCH` and files.
//!
//! OpenAPI 3.0 has no method `SEARCH`, and generated clients could not read a list that is either
//! JSON or CSV without checking its type first. So both are complete Operation Objects beside the
//! others of a path, as the extensions `x-search` and `x-export`.

use serde_json::Map;
use serde_json::Value as Json;
use serde_json::json;

use crate::model::Collection;
use crate::transport::error::Refusal;
use crate::transport::error::Wire;
use crate::transport::rest::operation::Access;
use crate::transport::rest::operation::Operation;
use crate::transport::rest::operation::OperationDocs;
use crate::transport::rest::query_schemas;
use crate::transport::rest::query_schemas::reference;

const JSON: &str = "application/json";

/// Components shared by operations, by name.
#[derive(Default)]
pub struct Shared {
    examples: Map<String, Json>,
    parameters: Map<String, Json>,
    responses: Map<String, Json>,
    schemas: Map<String, Json>,
}

/// Adds the known parts of one operation to the document, and parts it shares with others to
/// `shared`. `refusals` has all its error responses, by status.
pub fn complete(
    document: &mut Json,
    shared: &mut Shared,
    operation: &Operation,
    refusals: Vec<(u16, Vec<Wire>)>,
) {
    let docs = &operation.docs;
    let method = operation.method.as_str().to_lowercase();
    let Some(path) = document["paths"][&operation.path].as_object_mut() else { return };
    let Some(entry) = path.get_mut(&method) else { return };
    if operation.access == Access::Open {
        entry["security"] = json!([]);
    }
    if let Some(content) = &docs.request {
        entry["requestBody"]["content"][content.content_type]["example"] = content.example.clone();
    }
    let responses = &mut entry["responses"];
    if let Some(content) = &docs.success.content {
        let status = docs.success.status.to_string();
        responses[&status]["content"][content.content_type]["example"] = content.example.clone();
    }
    if let Some(content) = &docs.success.without_redirect {
        responses["200"]["content"][content.content_type]["example"] = content.example.clone();
    }
    if responses["default"].is_object() {
        let wires = Refusal::Internal.wires();
        let errors: Vec<Json> = wires.iter().map(Wire::to_json).collect();
        responses["default"]["content"][JSON]["example"] = json!({"errors": errors});
    }
    // Linters and generators do not follow references from extensions, so components that only
    // extensions use are inlined.
    let may_add = method != "search";
    for (status, wires) in refusals {
        let response = &mut responses[status.to_string()];
        response["content"][JSON] = refused(shared, status, &wires, may_add);
        let (name, whole) = (name_of(status), response.take());
        *response = share(&mut shared.responses, "responses", name, whole, may_add);
    }
    if method == "search" {
        let schema = query_schemas::search(operation.collection);
        entry["requestBody"]["content"][JSON]["schema"] = schema;
    }
    let export = refine_parameters(entry, operation.collection, shared, may_add);
    let export = export.map(|parameter| exported(entry, docs, parameter));
    if method == "search" {
        let mut search = path.remove(&method).unwrap_or_default();
        if let Some(export) = export {
            take_content(&mut search, &export);
        }
        path.insert("x-search".to_owned(), search);
    } else if let Some(export) = export {
        path.insert("x-export".to_owned(), export);
    }
}

/// Adds the shared components and the schemas of the query language to the document, and removes
/// unreferenced schemas.
pub fn add_shared(document: &mut Json, shared: Shared) {
    let Shared { examples, parameters, responses, schemas: errors } = shared;
    let mut used: Vec<String> = Vec::new();
    for (name, entries) in
        [("examples", examples), ("parameters", parameters), ("responses", responses)]
    {
        let entries = Json::Object(entries);
        collect_references(&entries, &mut used);
        document["components"][name] = entries;
    }
    if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
        schemas.extend(query_schemas::all());
        schemas.extend(errors);
    }
    collect_references(&document["paths"], &mut used);
    let mut at = 0;
    while let Some(name) = used.get(at).cloned() {
        collect_references(&document["components"]["schemas"][&name], &mut used);
        at += 1;
    }
    if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
        schemas.retain(|name, _| used.contains(name));
        schemas.sort_keys();
    }
}

fn collect_references(json: &Json, used: &mut Vec<String>) {
    match json {
        Json::Object(entries) => {
            if let Some(Json::String(target)) = entries.get("$ref")
                && let Some(name) = target.strip_prefix("#/components/schemas/")
                && !used.iter().any(|known| known == name)
            {
                used.push(name.to_owned());
            }
            entries.values().for_each(|json| collect_references(json, used));
        }
        Json::Array(list) => list.iter().for_each(|json| collect_references(json, used)),
        _ => {}
    }
}

/// Returns the body of a response with one of these errors: their codes, and an example of each.
fn refused(shared: &mut Shared, status: u16, wires: &[Wire], may_add: bool) -> Json {
    let mut codes: Vec<&str> = wires.iter().map(|wire| wire.code).collect();
    codes.sort_unstable();
    codes.dedup();
    let mut shown = Map::new();
    for wire in wires {
        let example = json!({"summary": wire.message, "value": {"errors": [wire.to_json()]}});
        let example = share(&mut shared.examples, "examples", wire.code, example, may_add);
        let mut key = wire.code.to_owned();
        if shown.contains_key(&key) {
            key = format!("{key}_{}", shown.len());
        }
        shown.insert(key, example);
    }
    let code = json!({"type": "string", "enum": codes});
    let schema = json!({
        "type": "object",
        "required": ["errors"],
        "properties": {"errors": {"type": "array", "minItems": 1, "items": {
            "type": "object",
            "required": ["message", "extensions"],
            "properties": {
                "message": {"type": "string", "description": "A message for users."},
                "extensions": {
                    "type": "object",
                    "required": ["code"],
                    "properties": {"code": code},
                    "additionalProperties": {},
                },
            },
        }}},
    });
    let name = format!("{}Errors", name_of(status));
    let schema = share(&mut shared.schemas, "schemas", &name, schema, may_add);
    json!({"schema": schema, "examples": shown})
}

/// Adds a component under its own name, once, and returns a reference to it. Returns the component
/// itself if it would be new and may not be added.
fn share(
    shared: &mut Map<String, Json>,
    place: &str,
    name: &str,
    whole: Json,
    may_add: bool,
) -> Json {
    let mut chosen = name.to_owned();
    let mut number = 1;
    while shared.get(&chosen).is_some_and(|known| *known != whole) {
        number += 1;
        chosen = format!("{name}_{number}");
    }
    if !may_add && !shared.contains_key(&chosen) {
        return whole;
    }
    let reference = json!({"$ref": format!("#/components/{place}/{chosen}")});
    shared.insert(chosen, whole);
    reference
}

/// Returns the component name of responses with this status.
const fn name_of(status: u16) -> &'static str {
    match status {
        400 => "BadRequest",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        408 => "RequestTimeout",
        413 => "ContentTooLarge",
        414 => "UriTooLong",
        415 => "UnsupportedMediaType",
        422 => "UnprocessableContent",
        429 => "TooManyRequests",
        500 => "InternalServerError",
        503 => "ServiceUnavailable",
        _ => "Refused",
    }
}

/// Adds the JSON schema to parameters that are JSON text. Removes and returns the parameter that
/// requests a file, if there is one.
fn refine_parameters(
    entry: &mut Json,
    collection: Option<&Collection>,
    shared: &mut Shared,
    may_add: bool,
) -> Option<Json> {
    let parameters = entry.get_mut("parameters")?.as_array_mut()?;
    for parameter in parameters.iter_mut().filter(|parameter| parameter["in"] == "query") {
        let shape = match parameter["name"].as_str() {
            Some("filter") => reference(&query_schemas::filter_name(collection)),
            Some("deep") => query_schemas::deep(),
            Some("aggregate") => query_schemas::aggregate(),
            Some("alias") => query_schemas::alias(),
            _ => continue,
        };
        // Under `schema`, clients would serialize the object in an OpenAPI style instead of JSON.
        parameter["x-json-schema"] = shape;
    }
    let place = parameters.iter().position(|parameter| parameter["name"] == "export");
    let export = place.map(|place| parameters.remove(place));
    for parameter in parameters.iter_mut().filter(|parameter| parameter["in"] == "query") {
        let whole = parameter.take();
        let shape = whole["x-json-schema"]["$ref"].as_str();
        let shape = shape.and_then(|target| target.rsplit('/').next());
        let name = shape.or(whole["name"].as_str()).unwrap_or_default().to_owned();
        *parameter = share(&mut shared.parameters, "parameters", &name, whole, may_add);
    }
    export
}

/// Returns the same operation with a file as its response.
fn exported(entry: &Json, docs: &OperationDocs, mut parameter: Json) -> Json {
    let mut export = entry.clone();
    let status = docs.success.status.to_string();
    let answer = &mut export["responses"][&status];
    let envelope = &answer["content"][JSON];
    let data = envelope["schema"]["properties"]["data"].clone();
    let example = envelope["example"]["data"].clone();
    answer["description"] = json!("The data as a file, without an envelope.");
    answer["headers"]["Content-Disposition"] = json!({
        "description": "`attachment`, with a file name from the collection and the time.",
        "schema": {"type": "string"},
    });
    answer["content"] = json!({
        JSON: {"schema": data, "example": example},
        "text/csv": {
            "schema": {"type": "string"},
            "example": csv(&example),
        },
    });
    parameter["required"] = json!(true);
    if let Some(parameters) = export["parameters"].as_array_mut() {
        parameters.push(parameter);
    }
    export["operationId"] = json!(format!("export{}", docs.id.trim_start_matches("read")));
    export["summary"] = json!(format!("{}, as a file", docs.summary));
    export
}

/// Returns the first column of an example as CSV: the header and one line.
fn csv(example: &Json) -> String {
    let item = example.get(0).unwrap_or(example).as_object();
    match item.and_then(|item| item.iter().next()) {
        Some((name, value)) => format!("\"{name}\"\n{value}"),
        None => String::new(),
    }
}

/// Adds the response of one operation to another that can return either.
fn take_content(entry: &mut Json, other: &Json) {
    let answer = &mut entry["responses"]["200"];
    let file = &other["responses"]["200"];
    let schemas = [&answer["content"][JSON]["schema"], &file["content"][JSON]["schema"]];
    let either = json!({"anyOf": schemas});
    answer["content"][JSON]["schema"] = either;
    answer["content"]["text/csv"] = file["content"]["text/csv"].clone();
}
