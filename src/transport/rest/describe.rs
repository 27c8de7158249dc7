//! Generates the OpenAPI document from the list of operations.
//!
//! poem-openapi generates the document. Parts it does not support (an example for each body, an
//! empty list of security requirements, several examples of one status) are added afterwards.

use std::collections::HashMap;

use poem::endpoint::BoxEndpoint;
use poem::http::Method;
use poem_openapi::ContactObject;
use poem_openapi::LicenseObject;
use poem_openapi::OpenApi;
use poem_openapi::OpenApiService;
use poem_openapi::registry::MetaApi;
use poem_openapi::registry::MetaHeader;
use poem_openapi::registry::MetaMediaType;
use poem_openapi::registry::MetaOperation;
use poem_openapi::registry::MetaOperationParam;
use poem_openapi::registry::MetaPath;
use poem_openapi::registry::MetaRequest;
use poem_openapi::registry::MetaResponse;
use poem_openapi::registry::MetaResponses;
use poem_openapi::registry::MetaSchema;
use poem_openapi::registry::MetaSecurityScheme;
use poem_openapi::registry::MetaTag;
use poem_openapi::registry::Registry;
use serde_json::Value as Json;

use crate::transport::rest;
use crate::transport::rest::merge;
use crate::transport::rest::merge::Shared;
use crate::transport::rest::operation::Access;
use crate::transport::rest::operation::Content;
use crate::transport::rest::operation::Operation;
use crate::transport::rest::operation::Success;
use crate::transport::rest::refusals;
use crate::transport::rest::schemas;

const ABOUT: &str = "The REST API of chinwag, a chat backend with the API of Directus. Responses \
are `{\"data\":…}`, or `204` without a body; errors are \
`{\"errors\":[{\"message\":…,\"extensions\":{\"code\":…}}]}`. Requests for missing items and for \
items without permission get the same response, `403 FORBIDDEN`. Live messages arrive over \
WebSockets, which have [their own documentation](/docs/websocket). Parameters that contain JSON \
text have its schema under `x-json-schema`.";

const LICENSE_URL: &str = "https://spdx.org/licenses/MIT.html";

const BEARER: &str = "bearer";
const QUERY: &str = "query";
const COOKIE: &str = "cookie";

/// The version of the API, not of the program: the document is public, while the version of the
/// program is only for administrators.
const INTERFACE_VERSION: &str = "1";

/// Elements in the head of the page. The icon prevents a request for `/favicon.ico`, and the
/// viewport is as wide as the device.
const HEAD: &str = "<title>chinwag API</title>\n    <link rel=\"icon\" href=\"data:,\">\n    \
                    <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">";

/// The source of the document. It serves no requests.
struct Description;

impl OpenApi for Description {
    fn meta() -> Vec<MetaApi> {
        let mut paths: Vec<MetaPath> = Vec::new();
        for operation in rest::operations() {
            let meta = meta_operation(&operation);
            match paths.iter_mut().find(|path| path.path == operation.path) {
                Some(path) => path.operations.push(meta),
                None => paths.push(MetaPath { path: operation.path, operations: vec![meta] }),
            }
        }
        vec![MetaApi { paths }]
    }

    fn register(registry: &mut Registry) {
        schemas::register(registry);
        for (name, description) in TAGS {
            let external_docs = None;
            registry.create_tag(MetaTag { name, description: Some(description), external_docs });
        }
        for (name, scheme) in security_schemes() {
            registry.create_security_scheme(name, scheme);
        }
    }

    fn add_routes(self, _: &mut HashMap<String, HashMap<Method, BoxEndpoint<'static>>>) {}
}

/// Groups of operations, in the order in which a new reader needs them.
const TAGS: [(&str, &str); 13] = [
    ("Authentication", "Sign-in, token refresh and sign-out."),
    ("Messages", "The messages of the chat."),
    ("Users", "Accounts."),
    ("Items", "The items of any collection, by the name of the collection."),
    ("Roles", "Named groups of accounts."),
    ("Policies", "Sets of permissions."),
    ("Permissions", "The actions that a policy allows."),
    ("Access", "The assignment of policies to users, roles and the public."),
    ("Settings", "Settings that can be changed at runtime."),
    ("Activity", "The log of changes and sign-ins."),
    ("Revisions", "Earlier versions of messages."),
    ("Server", "Availability, health and information."),
    ("Utilities", "Random texts and hashes."),
];

/// Returns the document as JSON. The output is deterministic.
///
/// # Panics
/// If poem-openapi did not write JSON.
#[must_use]
pub fn document() -> String {
    let mut document =
        serde_json::from_str::<Json>(&service().spec()).expect("poem-openapi writes JSON");
    let mut shared = Shared::default();
    let mut operations: Vec<Operation> = rest::operations().collect();
    // `SEARCH` operations come last: they refer to shared components and add none.
    operations.sort_by_key(|operation| operation.method.as_str() == "SEARCH");
    for operation in operations {
        merge::complete(&mut document, &mut shared, &operation, refusals::of(&operation));
    }
    merge::add_shared(&mut document, shared);
    // poem-openapi sorts them alphabetically.
    if let Some(tags) = document["tags"].as_array_mut() {
        tags.sort_by_key(|tag| TAGS.iter().position(|(name, _)| tag["name"] == *name));
    }
    let mut text = serde_json::to_string_pretty(&document).expect("a JSON value is JSON");
    text.push('\n');
    text
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

fn service() -> OpenApiService<Description, ()> {
    OpenApiService::new(Description, "chinwag", INTERFACE_VERSION)
        .description(ABOUT)
        .license(LicenseObject::new("MIT OR Apache-2.0").url(LICENSE_URL))
        .contact(ContactObject::new().name("The administrator of this server"))
        .server("/")
}

fn security_schemes() -> [(&'static str, MetaSecurityScheme); 3] {
    let scheme = |ty, description| MetaSecurityScheme {
        ty,
        description: Some(description),
        name: None,
        key_in: None,
        scheme: None,
        bearer_format: None,
        flows: None,
        openid_connect_url: None,
    };
    [
        (
            BEARER,
            MetaSecurityScheme {
                scheme: Some("bearer"),
                bearer_format: Some("JWT"),
                ..scheme("http", "An access token from `/auth/login`, or a static token.")
            },
        ),
        (
            COOKIE,
            MetaSecurityScheme {
                name: Some("directus_session_token"),
                key_in: Some("cookie"),
                ..scheme("apiKey", "The cookie of a sign-in in `session` mode.")
            },
        ),
        (
            QUERY,
            MetaSecurityScheme {
                name: Some("access_token"),
                key_in: Some("query"),
                ..scheme("apiKey", "The same tokens as in the header. Do not send both.")
            },
        ),
    ]
}

fn meta_operation(operation: &Operation) -> MetaOperation {
    let Operation { method, path, access, docs, .. } = operation;
    // Parameters are not `Clone`, although all their fields are.
    let params = docs.parameters.iter().map(copy_parameter).collect();
    let request = docs.request.as_ref().map(|content| MetaRequest {
        description: None,
        content: vec![media_type(content)],
        required: path != "/auth/logout" && path != "/auth/refresh",
    });
    let mut responses = successes(&docs.success);
    if responses.iter().all(|response| response.status.is_none_or(|status| status >= 300)) {
        // Linters require a response that is not a redirect.
        responses.push(errors(None, "Any other status is an error."));
    }
    for (status, _) in refusals::of(operation) {
        responses.push(errors(Some(status), refusals::reason_phrase(status)));
    }
    MetaOperation {
        method: method.clone(),
        tags: vec![docs.tag],
        summary: Some(docs.summary),
        description: Some(docs.description).filter(|text| !text.is_empty()),
        external_docs: None,
        params,
        request,
        responses: MetaResponses { responses },
        deprecated: false,
        security: security(*access),
        operation_id: Some(docs.id),
        code_samples: vec![],
    }
}

fn copy_parameter(parameter: &MetaOperationParam) -> MetaOperationParam {
    MetaOperationParam {
        name: parameter.name.clone(),
        schema: parameter.schema.clone(),
        in_type: parameter.in_type,
        description: parameter.description.clone(),
        required: parameter.required,
        deprecated: parameter.deprecated,
        explode: parameter.explode,
        style: parameter.style,
    }
}

fn media_type(content: &Content) -> MetaMediaType {
    MetaMediaType { content_type: content.content_type, schema: content.schema.clone() }
}

fn successes(success: &Success) -> Vec<MetaResponse> {
    let response = |status, description, content| MetaResponse {
        description,
        status: Some(status),
        status_range: None,
        content,
        headers: success.cookies.then(set_cookie).into_iter().collect(),
    };
    let content = success.content.as_ref().map(media_type).into_iter().collect();
    let mut responses = vec![response(success.status, success.description, content)];
    if success.unseen {
        responses.push(response(204, "Done, but the caller may not read the result.", vec![]));
    }
    if let Some(content) = &success.without_redirect {
        responses.push(response(200, "Signed in without a redirect.", vec![media_type(content)]));
    }
    responses
}

/// Returns an error response; without a status, the default response.
fn errors(status: Option<u16>, description: &'static str) -> MetaResponse {
    MetaResponse {
        description,
        status,
        status_range: None,
        content: vec![MetaMediaType {
            content_type: "application/json",
            schema: schemas::reference("Errors"),
        }],
        headers: (status == Some(429)).then(retry_after).into_iter().collect(),
    }
}

fn set_cookie() -> MetaHeader {
    header("Set-Cookie", "In `cookie` and `session` mode.", MetaSchema::new("string"))
}

fn retry_after() -> MetaHeader {
    let header = header("Retry-After", "The seconds to wait.", MetaSchema::new("integer"));
    MetaHeader { required: true, ..header }
}

fn header(name: &str, description: &str, schema: MetaSchema) -> MetaHeader {
    MetaHeader {
        name: name.to_owned(),
        description: Some(description.to_owned()),
        required: false,
        deprecated: false,
        schema: schemas::inline(schema),
    }
}

fn security(access: Access) -> Vec<HashMap<&'static str, Vec<&'static str>>> {
    let with = |name| HashMap::from([(name, vec![])]);
    let signed_in = [with(BEARER), with(QUERY), with(COOKIE)];
    match access {
        Access::Open => vec![],
        Access::Optional | Access::Anyone => {
            [HashMap::new()].into_iter().chain(signed_in).collect()
        }
        Access::SignedIn | Access::Administrators => signed_in.into(),
    }
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
    fn every_tag_has_a_description() {
        for operation in rest::operations() {
            let tag = operation.docs.tag;
            assert!(TAGS.iter().any(|(name, _)| *name == tag), "{tag}");
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
