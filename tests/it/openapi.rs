//! The `OpenAPI` document: the committed copy, and the generated one.

use std::collections::BTreeSet;

use serde_json::json;
use serde_json::{Map, Value as Json};

use crate::support::{Client, Permission, TestServer};

const COMMITTED: &str = include_str!("../../openapi/openapi.json");

#[test]
fn the_committed_document_is_up_to_date() {
    let document = chinwag::transport::rest::document();

    assert!(document.trim() == COMMITTED.trim(), "openapi/openapi.json is old: run `make openapi`");
}

#[tokio::test]
async fn every_documented_operation_exists() {
    let document: Json = serde_json::from_str(COMMITTED).unwrap();
    let server = TestServer::start().await;
    let admin = server.admin().await;

    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            let path = path.replace("{collection}", "messages").replace("{id}", "1");
            if !["get", "post", "patch", "delete"].contains(&method.as_str()) {
                continue;
            }
            if path.contains("{provider}") {
                // These exist for configured providers only: `providers` covers them.
                continue;
            }
            let answer = admin.send(&method.to_uppercase(), &path).await;
            assert_ne!(answer.code(), "ROUTE_NOT_FOUND", "{method} {path}");
            assert!(answer.status < 500, "{method} {path}: {}", answer.text);
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn administrators_get_the_complete_document_at_the_directus_path() {
    let server = TestServer::start().await;
    let admin = server.admin().await;

    let open = server.anonymous().get("/openapi.json").await;
    let of_directus = admin.get("/server/specs/oas").await;

    assert_eq!(open.text.trim(), COMMITTED.trim());
    assert_eq!(of_directus.body, open.body);
    server.stop().await;
}

/// Returns the document that a caller gets, after checking that each reference resolves and each
/// component is referenced.
async fn description_for(caller: &Client) -> Json {
    let answer = caller.get("/server/specs/oas").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(answer.header("content-type").starts_with("application/json"));
    let document = answer.body.clone();
    for kind in ["schemas", "parameters", "responses", "examples"] {
        for name in document["components"][kind].as_object().unwrap().keys() {
            let reference = format!("\"#/components/{kind}/{name}\"");
            assert!(answer.text.contains(&reference), "nothing refers to {name}");
        }
    }
    for part in answer.text.split("\"$ref\":\"#").skip(1) {
        let target = part.split('"').next().unwrap();
        assert!(document.pointer(target).is_some(), "{target} is missing");
    }
    document
}

fn methods<'d>(document: &'d Json, path: &str) -> Vec<&'d str> {
    let methods = document["paths"][path].as_object().into_iter().flat_map(Map::keys);
    methods.map(String::as_str).collect()
}

fn fields<'d>(document: &'d Json, schema: &str) -> BTreeSet<&'d str> {
    let schema = &document["components"]["schemas"][schema];
    schema["properties"].as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test]
async fn the_public_document_covers_public_permissions() {
    let server = TestServer::start().await;
    let anonymous = server.anonymous();

    let without = description_for(&anonymous).await;
    assert_eq!(methods(&without, "/auth/login"), ["post"]);
    assert_eq!(methods(&without, "/server/specs/oas"), ["get"]);
    for path in ["/items/messages", "/items/{collection}", "/users", "/users/me", "/roles/me"] {
        assert!(methods(&without, path).is_empty(), "{path}");
    }
    for schema in ["Message", "MessageFilter", "User", "Role"] {
        assert!(without["components"]["schemas"].get(schema).is_none(), "{schema}");
    }
    let tags: Vec<_> = without["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    assert!(!tags.contains(&&json!("Messages")) && tags.contains(&&json!("Authentication")));

    let some = Permission::to("read", "messages").fields(&["id", "content", "user_created"]);
    server.allow_public(&[some]).await;
    let with = description_for(&anonymous).await;
    for path in ["/items/messages", "/items/{collection}"] {
        assert_eq!(methods(&with, path), ["get", "x-export", "x-search"], "{path}");
    }
    assert_eq!(fields(&with, "Message"), BTreeSet::from(["id", "content", "user_created"]));
    let filter = BTreeSet::from(["_and", "_or", "id", "content", "user_created"]);
    assert_eq!(fields(&with, "MessageFilter"), filter);
    let author = &with["components"]["schemas"]["Message"]["properties"]["user_created"];
    assert_eq!((&author["type"], author.get("oneOf")), (&json!("string"), None));
    let example = with
        .pointer("/paths/~1items~1messages/get/responses/200/content/application~1json/example")
        .unwrap();
    let shown: Vec<_> = example["data"][0].as_object().unwrap().keys().collect();
    assert_eq!(shown, ["id", "user_created", "content"]);
    server.stop().await;
}

#[tokio::test]
async fn the_document_contains_only_permitted_fields() {
    let server = TestServer::start().await;
    let own = json!({"id": {"_eq": "$CURRENT_USER"}});
    let rights = [
        Permission::to("read", "directus_users").fields(&["id", "first_name", "role"]),
        Permission::to("update", "directus_users").fields(&["first_name"]).on(own),
        Permission::to("create", "messages").fields(&["content"]),
    ];
    let writer = server.user_with("writer", &rights).await;

    let document = description_for(&writer).await;

    assert_eq!(methods(&document, "/items/messages"), ["post"]);
    assert_eq!(fields(&document, "MessageCreate"), BTreeSet::from(["content"]));
    assert_eq!(fields(&document, "Message"), BTreeSet::new());
    assert_eq!(methods(&document, "/users"), ["get", "x-export", "patch", "x-search"]);
    assert_eq!(methods(&document, "/users/me"), ["get", "patch"]);
    assert_eq!(fields(&document, "User"), BTreeSet::from(["id", "first_name", "role"]));
    assert_eq!(fields(&document, "UserUpdate"), BTreeSet::from(["first_name"]));
    let role = &document["components"]["schemas"]["User"]["properties"]["role"];
    assert!(role.get("oneOf").is_none(), "roles may not be read: {role}");
    assert!(document["components"]["schemas"].get("UserCreate").is_none());
    server.stop().await;
}

/// Compares the operations that read, except those for one item.
#[tokio::test]
async fn the_document_contains_exactly_the_permitted_operations() {
    let complete: Json = serde_json::from_str(COMMITTED).unwrap();
    let server = TestServer::start().await;
    let roles = Permission::to("read", "directus_roles");
    let (member, reader) = (server.member("alice").await, server.user_with("r", &[roles]).await);
    let anonymous = server.anonymous();
    let mut counts = Vec::new();

    for caller in [&anonymous, &*member, &*reader] {
        let document = description_for(caller).await;
        let mut count = 0;
        for path in complete["paths"].as_object().unwrap().keys() {
            let address = path.replace("{collection}", "messages");
            let is_of_links = path.starts_with("/users/register");
            if address.contains('{') || is_of_links || complete["paths"][path].get("get").is_none()
            {
                continue;
            }
            let answer = caller.get(&address).await;
            let is_refused = [401, 403].contains(&answer.status);
            let is_described = methods(&document, path).contains(&"get");
            assert_eq!(is_described, !is_refused, "{path}: {}", answer.text);
            count += usize::from(is_described);
        }
        counts.push(count);
    }

    assert!(counts[0] > 3 && counts[1] > counts[0] && counts[2] > counts[0], "{counts:?}");
    server.stop().await;
}
