//! The OpenAPI document, generated from the list of operations for the rights of a caller.
//!
//! The documentation of an operation is beside its handler (`docs`), in types of poem-openapi.
//! `collections` and `query` have all that depends on the schema of the collections. Operations
//! have examples of each body, codes of each error, JSON in query strings, `SEARCH` and files,
//! which poem-openapi does not support, so `entry` writes them.

mod collections;
pub(super) mod docs;
mod entry;
mod examples;
pub(super) mod parameters;
mod query;
mod refusals;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use poem_openapi::registry::{MetaSchema, Registry};
use poem_openapi::{ContactObject, LicenseObject, OpenApiService};
use serde_json::json;
use serde_json::{Map, Value as Json};

pub(super) use collections::key;
pub(super) use collections::keys;
pub(super) use collections::list;
pub(super) use collections::one_of;
pub(super) use collections::reference_to;
pub(super) use examples::example;
pub(super) use examples::input_example;
pub(super) use examples::update_example;
pub(super) use query::search;

use crate::domain::permissions::Rights;
use crate::model::collection::Exposure;
use crate::transport::rest;
use crate::transport::rest::openapi::entry::Entries;
use crate::transport::rest::operation::{Access, Need, Operation};

const ABOUT: &str = "The REST API of chinwag, a chat backend with the API of Directus. Responses \
are `{\"data\":…}`, or `204` without a body; errors are \
`{\"errors\":[{\"message\":…,\"extensions\":{\"code\":…}}]}`. Requests for missing items and for \
items without permission get the same response, `403 FORBIDDEN`. Live messages arrive over \
WebSockets, which have [their own documentation](/docs/websocket). Parameters that contain JSON \
text have its schema under `x-json-schema`.";

const LICENSE_URL: &str = "https://spdx.org/licenses/MIT.html";

/// The version of the API, not of the program: the document is public, while the version of the
/// program is only for administrators.
const INTERFACE_VERSION: &str = "1";

/// Elements in the head of the page. The icon prevents a request for `/favicon.ico`, and the
/// viewport is as wide as the device.
const HEAD: &str = "<title>chinwag API</title>\n    <link rel=\"icon\" href=\"data:,\">\n    \
                    <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">";

/// The parts of the document that are the same for all callers, and the words for collections.
static FIXED: LazyLock<Json> = LazyLock::new(|| {
    serde_json::from_str(include_str!("fixed.json")).expect("the file `fixed.json` is JSON")
});

/// Returns the complete document as JSON. The output is deterministic.
///
/// # Panics
/// Never: a JSON value is JSON.
#[must_use]
pub fn document() -> String {
    let document = document_for(&Rights::all());
    let mut text = serde_json::to_string_pretty(&document).expect("a JSON value is JSON");
    text.push('\n');
    text
}

/// Returns the document for a caller: the operations that the caller may use, with the fields that
/// the caller may read, create or update.
///
/// # Panics
/// If poem-openapi did not write JSON.
#[must_use]
pub fn document_for(rights: &Rights) -> Json {
    let mut entries = Entries::new(rights);
    let mut registry = Registry::new();
    let mut operations: Vec<Operation> =
        rest::operations().filter(|operation| is_for(operation, rights)).collect();
    // `SEARCH` operations come last: they refer to shared components and add none.
    operations.sort_by_key(|operation| operation.method.as_str() == "SEARCH");
    for operation in &operations {
        let docs = &operation.docs;
        let bodies = docs.responses.iter().filter_map(|response| response.content.as_ref());
        for content in docs.request.iter().chain(bodies) {
            (content.register)(&mut registry);
        }
        entries.add(operation);
    }
    let Entries { paths, mut components, .. } = entries;
    add_schemas(&mut components, &paths, registry.schemas, rights);
    components["securitySchemes"] = FIXED["securitySchemes"].clone();
    let spec = service().spec();
    let mut document = serde_json::from_str::<Json>(&spec).expect("poem-openapi writes JSON");
    document["tags"] = FIXED["tags"].clone();
    if let Some(tags) = document["tags"].as_array_mut() {
        tags.retain(|tag| operations.iter().any(|operation| tag["name"] == operation.docs.tag));
    }
    document["paths"] = Json::Object(paths);
    document["components"] = components;
    document
}

/// Returns the documentation page, with all assets embedded.
#[must_use]
pub fn page() -> String {
    let service = service();
    // `</` could end the script.
    let document = document().replace("</", "<\\/");
    service
        .swagger_ui_html()
        .replacen(&service.spec(), &document, 1)
        .replacen("<title>Swagger UI</title>", HEAD, 1)
        .trim_start()
        .replacen("<html charset=\"UTF-8\">", "<!doctype html>\n<html lang=\"en\">", 1)
}

fn service() -> OpenApiService<(), ()> {
    OpenApiService::new((), "chinwag", INTERFACE_VERSION)
        .description(ABOUT)
        .license(LicenseObject::new("MIT OR Apache-2.0").url(LICENSE_URL))
        .contact(ContactObject::new().name("The administrator of this server"))
        .server("/")
}

fn is_for(operation: &Operation, rights: &Rights) -> bool {
    let is_open = match operation.access {
        Access::Open | Access::Optional | Access::Anyone => true,
        Access::SignedIn => rights.is_signed_in(),
        Access::Administrators => rights.is_admin(),
    };
    is_open
        && match operation.need {
            Need::Nothing => true,
            Need::SignIn => rights.is_signed_in(),
            Need::Right(action, Some(collection)) => rights.allow(collection, action),
            Need::Right(action, None) => collections::all()
                .any(|known| known.exposure == Exposure::Items && rights.allow(known, action)),
        }
}

/// Adds the schemas that the rest of the document refers to.
fn add_schemas(
    components: &mut Json,
    paths: &Map<String, Json>,
    types: BTreeMap<String, MetaSchema>,
    rights: &Rights,
) {
    let mut schemas = collections::schemas(rights);
    schemas.extend(query::schemas(rights));
    // The titles of poem-openapi only repeat the names of the types.
    let types =
        types.into_iter().map(|(name, schema)| (name, MetaSchema { title: None, ..schema }));
    schemas.extend(types.map(|(name, schema)| (name, docs::schema_of(&schema))));
    schemas.extend(FIXED["schemas"].as_object().cloned().unwrap_or_default());
    if let Some(errors) = components["schemas"].as_object_mut() {
        schemas.append(errors);
    }
    components["schemas"] = json!({});
    let mut used = Vec::new();
    collect_references(components, &mut used);
    paths.values().for_each(|path| collect_references(path, &mut used));
    let mut at = 0;
    while let Some(name) = used.get(at).cloned() {
        collect_references(schemas.get(&name).unwrap_or(&Json::Null), &mut used);
        at += 1;
    }
    schemas.retain(|name, _| used.contains(name));
    schemas.sort_keys();
    components["schemas"] = Json::Object(schemas);
}

/// Adds the names of the schemas that a part refers to.
fn collect_references(part: &Json, used: &mut Vec<String>) {
    match part {
        Json::Object(entries) => {
            if let Some(Json::String(target)) = entries.get("$ref")
                && let Some(name) = target.strip_prefix("#/components/schemas/")
                && !used.iter().any(|known| known == name)
            {
                used.push(name.to_owned());
            }
            entries.values().for_each(|part| collect_references(part, used));
        }
        Json::Array(list) => list.iter().for_each(|part| collect_references(part, used)),
        _ => {}
    }
}

/// Returns a reference to a component.
fn reference(kind: &str, name: &str) -> Json {
    json!({"$ref": format!("#/components/{kind}/{name}")})
}

/// Returns a part of `fixed.json`; null if there is none.
fn fixed(kind: &str, name: &str) -> Json {
    FIXED[kind][name].clone()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Map;

    use super::*;

    /// Returns a part of the document, following a reference.
    fn resolved<'d>(document: &'d Json, part: &'d Json) -> &'d Json {
        match part["$ref"].as_str() {
            Some(target) => document.pointer(target.trim_start_matches('#')).unwrap(),
            None => part,
        }
    }

    #[test]
    fn every_operation_is_fully_described() {
        let document: Json = serde_json::from_str(&document()).unwrap();
        let mut ids = BTreeSet::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let place = format!("{method} {path}");
                assert!(operation["summary"].is_string(), "{place}");
                assert!(operation["description"].is_string(), "{place}");
                assert!(operation["security"].is_array(), "{place}");
                assert!(
                    operation["tags"].as_array().is_some_and(|tags| tags.len() == 1),
                    "{place}"
                );
                let id = operation["operationId"].as_str().unwrap();
                assert!(ids.insert(id.to_owned()), "{id} twice");
                let mut refused = false;
                for (status, response) in operation["responses"].as_object().unwrap() {
                    let response = resolved(&document, response);
                    for content in response["content"].as_object().into_iter().flat_map(Map::values)
                    {
                        let shown = content.get("example").or(content.get("examples"));
                        assert!(shown.is_some(), "{place} {status}");
                    }
                    refused |= status.starts_with(['4', '5']);
                }
                assert!(refused, "{place}");
                for variable in path.split(['{', '}']).skip(1).step_by(2) {
                    let parameters = operation["parameters"].as_array().unwrap();
                    assert!(parameters.iter().any(|known| known["name"] == variable), "{place}");
                }
            }
        }
    }

    #[test]
    fn search_and_export_are_extensions_of_the_path() {
        let document: Json = serde_json::from_str(&document()).unwrap();
        let list = &document["paths"]["/items/messages"];
        let named = |operation: &Json, name: &str| {
            let mut parameters = operation["parameters"].as_array().unwrap().iter();
            parameters.any(|parameter| resolved(&document, parameter)["name"] == name)
        };

        let query = &list["x-search"]["requestBody"]["content"]["application/json"]["schema"];
        let filter = &query["properties"]["query"]["properties"]["filter"];
        assert_eq!(filter["$ref"], "#/components/schemas/MessageFilter");
        assert!(list["x-search"]["responses"]["200"]["content"]["text/csv"].is_object());
        assert!(named(&list["x-export"], "export"));
        assert!(list["x-export"]["responses"]["200"]["content"]["text/csv"].is_object());
        // Clients generated from the list operation get JSON only.
        assert!(!named(&list["get"], "export"));
        let kinds = list["get"]["responses"]["200"]["content"].as_object().unwrap();
        assert_eq!(kinds.keys().collect::<Vec<_>>(), ["application/json"]);
    }

    #[test]
    fn error_responses_list_their_codes() {
        let document: Json = serde_json::from_str(&document()).unwrap();
        let codes = |status: &str| {
            let create = &document["paths"]["/items/messages"]["post"]["responses"];
            let content = &resolved(&document, &create[status])["content"]["application/json"];
            let error = &resolved(&document, &content["schema"])["properties"]["errors"]["items"];
            error["properties"]["extensions"]["properties"]["code"]["enum"].clone()
        };

        assert_eq!(codes("401"), serde_json::json!(["INVALID_CREDENTIALS", "TOKEN_EXPIRED"]));
        assert_eq!(codes("413"), serde_json::json!(["CONTENT_TOO_LARGE"]));
        assert!(codes("400").as_array().unwrap().contains(&Json::from("FAILED_VALIDATION")));
    }

    #[test]
    fn every_operation_documents_retry_after() {
        let document: Json = serde_json::from_str(&document()).unwrap();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let response = resolved(&document, &operation["responses"]["429"]);
                let header = &response["headers"]["Retry-After"];
                assert_eq!(header["schema"]["type"], "integer", "{method} {path}");
            }
        }
    }

    #[test]
    fn every_reference_resolves() {
        fn walk(value: &Json, document: &Json) {
            match value {
                Json::Object(entries) => {
                    if let Some(Json::String(target)) = entries.get("$ref") {
                        let pointer = target.trim_start_matches('#');
                        assert!(document.pointer(pointer).is_some(), "{target}");
                    }
                    entries.values().for_each(|value| walk(value, document));
                }
                Json::Array(values) => values.iter().for_each(|value| walk(value, document)),
                _ => {}
            }
        }
        let document: Json = serde_json::from_str(&document()).unwrap();

        walk(&document, &document);
    }

    #[test]
    fn the_words_for_collections_fit_the_schema() {
        assert_eq!(FIXED["collections"].as_object().unwrap().len(), collections::all().count());
        for collection in collections::all() {
            let words = &FIXED["collections"][collection.name];
            assert!(words["name"].is_string() && words["about"].is_string(), "{}", collection.name);
            for part in ["create", "update", "values"] {
                for name in words[part].as_object().into_iter().flat_map(Map::keys) {
                    assert!(collection.field(name).is_some(), "{} {name}", collection.name);
                }
            }
        }
    }

    #[test]
    fn every_tag_has_a_description() {
        for operation in rest::operations() {
            let tag = operation.docs.tag;
            assert!(
                FIXED["tags"].as_array().unwrap().iter().any(|known| known["name"] == tag),
                "{tag}"
            );
        }
    }

    #[test]
    fn the_document_is_deterministic() {
        assert_eq!(document(), document());
    }

    #[test]
    fn the_page_embeds_the_document_and_loads_no_scripts() {
        let page = page();

        assert!(page.starts_with("<!doctype html>"));
        assert!(page.contains("\"INVALID_CREDENTIALS\""));
        assert!(!page.contains("<script src="));
        assert_eq!(page.matches("<link ").count(), 1);
    }
}
