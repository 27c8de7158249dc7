//! The operations of the `OpenAPI` document, with every input that a client controls.

use std::collections::BTreeSet;

use serde_json::Value as Json;

const DOCUMENT: &str = include_str!("../../../openapi/openapi.json");

/// One operation of the document.
pub struct Operation {
    pub method: String,
    pub path: String,
    pub query: Vec<String>,
    /// The fields that its body accepts.
    pub body: BTreeSet<String>,
}

pub fn operations() -> Vec<Operation> {
    let document: Json = serde_json::from_str(DOCUMENT).unwrap();
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, described) in methods.as_object().unwrap() {
            let parameters: Vec<&Json> = described["parameters"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|parameter| resolved(&document, parameter))
                .collect();
            let query = parameters.iter().filter(|parameter| parameter["in"] == "query");
            let mut body = BTreeSet::new();
            let content = &described["requestBody"]["content"]["application/json"]["schema"];
            fields(&document, content, &mut body, 0);
            operations.push(Operation {
                method: method.to_uppercase(),
                path: path.clone(),
                query: query.map(|one| one["name"].as_str().unwrap().to_owned()).collect(),
                body,
            });
        }
        // `SEARCH` of each list, which the document cannot describe.
        if methods.get("post").is_some() && methods.get("patch").is_some() {
            let body = ["query", "keys"].map(str::to_owned).into();
            let (method, path) = ("SEARCH".to_owned(), path.clone());
            operations.push(Operation { method, path, query: Vec::new(), body });
        }
    }
    operations
}

/// Resolves a reference. Other values are returned unchanged.
fn resolved<'a>(document: &'a Json, described: &'a Json) -> &'a Json {
    let Some(reference) = described["$ref"].as_str() else { return described };
    document.pointer(reference.trim_start_matches('#')).unwrap()
}

/// Collects the field names of a schema.
fn fields(document: &Json, schema: &Json, found: &mut BTreeSet<String>, depth: usize) {
    if depth > 6 {
        return;
    }
    if let Some(reference) = schema["$ref"].as_str() {
        let pointer = reference.trim_start_matches('#');
        return fields(document, document.pointer(pointer).unwrap(), found, depth + 1);
    }
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        found.insert(name.clone());
        fields(document, inner, found, depth + 1);
    }
    for list in ["oneOf", "anyOf", "allOf"] {
        for one in schema[list].as_array().into_iter().flatten() {
            fields(document, one, found, depth + 1);
        }
    }
    if schema["items"].is_object() {
        fields(document, &schema["items"], found, depth + 1);
    }
}

impl Operation {
    pub fn path_with(&self, collection: &str, id: &str) -> String {
        self.path.replace("{collection}", collection).replace("{id}", id)
    }

    /// Returns whether the operation never changes data.
    pub fn only_reads(&self) -> bool {
        matches!(self.method.as_str(), "GET" | "SEARCH")
    }
}
