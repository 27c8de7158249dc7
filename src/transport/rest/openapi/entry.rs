//! The entry of one operation in the OpenAPI document.
//!
//! OpenAPI 3.0 has no method `SEARCH`, and generated clients could not read a list that is either
//! JSON or CSV without checking its type first. So both are complete Operation Objects beside the
//! others of a path, as the extensions `x-search` and `x-export`.

use serde_json::json;
use serde_json::{Map, Value as Json};

use crate::domain::permissions::Rights;
use crate::model::Action;
use crate::transport::error::Wire;
use crate::transport::rest::openapi::collections;
use crate::transport::rest::openapi::docs::{Content, Success};
use crate::transport::rest::openapi::fixed;
use crate::transport::rest::openapi::parameters;
use crate::transport::rest::openapi::reference;
use crate::transport::rest::openapi::refusals;
use crate::transport::rest::operation::{Access, Need, Operation};

const JSON: &str = "application/json";

/// The paths of the document, and the components that operations share.
pub(super) struct Entries<'a> {
    rights: &'a Rights,
    /// Path Item Objects by path.
    pub(super) paths: Map<String, Json>,
    /// Components by kind and name.
    pub(super) components: Json,
    /// Whether components may be added. Linters and generators do not follow references from
    /// extensions, so components that only extensions use are inlined.
    may_add: bool,
}

impl<'a> Entries<'a> {
    /// Creates an empty list of entries for a caller with these rights.
    pub(super) fn new(rights: &'a Rights) -> Self {
        Self { rights, paths: Map::new(), components: json!({}), may_add: true }
    }

    /// Adds an operation. `SEARCH` operations come last.
    pub(super) fn add(&mut self, operation: &Operation) {
        let method = operation.method.as_str().to_lowercase();
        let is_search = method == "search";
        self.may_add = !is_search;
        let mut entry = self.entry(operation);
        let export = operation.docs.exports.then(|| exported(&entry, operation));
        if let Some(export) = export.as_ref().filter(|_| is_search) {
            add_file(&mut entry, export);
        }
        let path = self.paths.entry(&operation.path).or_insert_with(|| json!({}));
        path[if is_search { "x-search" } else { &method }] = entry;
        if let Some(export) = export.filter(|_| !is_search) {
            path["x-export"] = export;
        }
    }

    fn entry(&mut self, operation: &Operation) -> Json {
        let docs = &operation.docs;
        let mut entry = json!({"tags": [docs.tag], "summary": docs.summary});
        if !docs.description.is_empty() {
            entry["description"] = json!(docs.description);
        }
        if !docs.parameters.is_empty() {
            entry["parameters"] = docs.parameters.iter().map(|one| self.parameter(one)).collect();
        }
        if let Some(content) = &docs.request {
            let example = self.request_example(content, operation);
            entry["requestBody"] = json!({
                "content": {content.media_type: {"schema": content.schema, "example": example}},
                "required": content.is_required,
            });
        }
        entry["responses"] = Json::Object(self.responses(operation));
        entry["operationId"] = json!(docs.id);
        entry["security"] = security(operation.access);
        entry
    }

    /// Shares a query parameter, by the name of its schema or its own.
    fn parameter(&mut self, parameter: &Json) -> Json {
        if parameter["in"] != "query" {
            return parameter.clone();
        }
        let schema = parameter["x-json-schema"]["$ref"].as_str();
        let schema = schema.and_then(|target| target.rsplit('/').next());
        let name = schema.or(parameter["name"].as_str()).unwrap_or_default();
        self.share("parameters", name, parameter.clone())
    }

    fn responses(&mut self, operation: &Operation) -> Map<String, Json> {
        let mut responses = Map::new();
        for success in &operation.docs.responses {
            responses.insert(success.status.to_string(), self.success(success, operation));
        }
        if operation.docs.responses.iter().all(|response| response.status >= 300) {
            // Linters require a response that is not a redirect.
            responses.insert("default".to_owned(), refusals::any());
        }
        for (status, wires) in refusals::of(operation) {
            let phrases = fixed("statuses", &status.to_string());
            let name = phrases["name"].as_str().unwrap_or("Refused");
            let mut response = json!({"description": phrases["description"]});
            response["content"][JSON] = self.refused(name, &wires);
            if status == 429 {
                response["headers"]["Retry-After"] = json!({
                    "description": "The seconds to wait.",
                    "required": true,
                    "schema": {"type": "integer"},
                });
            }
            let response = self.share("responses", name, response);
            responses.insert(status.to_string(), response);
        }
        responses
    }

    fn success(&self, success: &Success, operation: &Operation) -> Json {
        let mut response = json!({"description": success.description});
        if let Some(content) = &success.content {
            let mut example = content.example.clone();
            if let Some(collection) = operation.collection {
                collections::reduce(&mut example["data"], collection, Action::Read, self.rights);
            }
            response["content"][content.media_type] =
                json!({"schema": content.schema, "example": example});
        }
        if success.cookies {
            response["headers"]["Set-Cookie"] = json!({
                "description": "In `cookie` and `session` mode.",
                "schema": {"type": "string"},
            });
        }
        response
    }

    fn request_example(&self, content: &Content, operation: &Operation) -> Json {
        let mut example = content.example.clone();
        if let (Some(collection), Need::Right(action, _)) = (operation.collection, operation.need) {
            let items = if example["data"].is_null() { &mut example } else { &mut example["data"] };
            collections::reduce(items, collection, action, self.rights);
        }
        example
    }

    /// Returns the body of a response with one of these errors: their codes, and examples of all.
    fn refused(&mut self, name: &str, wires: &[Wire]) -> Json {
        let mut codes: Vec<&str> = wires.iter().map(|wire| wire.code).collect();
        codes.sort_unstable();
        codes.dedup();
        let mut examples = Map::new();
        for wire in wires {
            let example = json!({"summary": wire.message, "value": {"errors": [wire.to_json()]}});
            let example = self.share("examples", wire.code, example);
            let mut key = wire.code.to_owned();
            if examples.contains_key(&key) {
                key = format!("{key}_{}", examples.len());
            }
            examples.insert(key, example);
        }
        let schema = refusals::with_codes(&codes);
        let schema = self.share("schemas", &format!("{name}Errors"), schema);
        json!({"schema": schema, "examples": examples})
    }

    /// Adds a component under its own name, once, and returns a reference to it. Returns the
    /// component itself if it would be new and may not be added.
    fn share(&mut self, kind: &str, name: &str, whole: Json) -> Json {
        let mut chosen = name.to_owned();
        let mut number = 1;
        let shared = &mut self.components[kind];
        while shared.get(&chosen).is_some_and(|known| *known != whole) {
            number += 1;
            chosen = format!("{name}_{number}");
        }
        if !self.may_add && shared.get(&chosen).is_none() {
            return whole;
        }
        shared[&chosen] = whole;
        reference(kind, &chosen)
    }
}

/// Returns the same operation with a file as its response.
fn exported(entry: &Json, operation: &Operation) -> Json {
    let mut export = entry.clone();
    let answer = &mut export["responses"]["200"];
    let data = answer["content"][JSON]["schema"]["properties"]["data"].take();
    let example = answer["content"][JSON]["example"]["data"].take();
    answer["description"] = json!("The data as a file, without an envelope.");
    answer["headers"]["Content-Disposition"] = json!({
        "description": "`attachment`, with a file name from the collection and the time.",
        "schema": {"type": "string"},
    });
    answer["content"] = json!({
        "text/csv": {"schema": {"type": "string"}, "example": csv(&example)},
        JSON: {"schema": data, "example": example},
    });
    if let Some(list) = export["parameters"].as_array_mut() {
        list.push(parameters::named("export"));
    }
    let docs = &operation.docs;
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

/// Adds the file of an export to the response of the same operation.
fn add_file(entry: &mut Json, export: &Json) {
    let content = &mut entry["responses"]["200"]["content"];
    let file = &export["responses"]["200"]["content"];
    content[JSON]["schema"] = json!({"anyOf": [content[JSON]["schema"], file[JSON]["schema"]]});
    content["text/csv"] = file["text/csv"].clone();
}

/// Returns the security requirements: one of three ways to send a token, or none.
fn security(access: Access) -> Json {
    match access {
        Access::Open => json!([]),
        Access::Optional | Access::Anyone => {
            json!([{}, {"bearer": []}, {"query": []}, {"cookie": []}])
        }
        Access::SignedIn | Access::Administrators => {
            json!([{"bearer": []}, {"query": []}, {"cookie": []}])
        }
    }
}
