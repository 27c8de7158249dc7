//! The description of the REST interface, as it is committed and as the service keeps it.

use serde_json::Value as Json;

use crate::support::TestServer;

const COMMITTED: &str = include_str!("../../openapi/openapi.json");

#[test]
fn the_committed_document_is_the_one_of_this_program() {
    let document = chinwag::transport::rest::document();

    assert!(document.trim() == COMMITTED.trim(), "openapi/openapi.json is old: run `make openapi`");
}

#[tokio::test]
async fn every_operation_of_the_document_is_there() {
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
                // There for those who are named in the settings: `providers` asks them all.
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
async fn everybody_gets_the_document_and_administrators_also_where_directus_has_it() {
    let server = TestServer::start().await;
    let admin = server.admin().await;

    let open = server.anonymous().get("/openapi.json").await;
    let of_directus = admin.get("/server/specs/oas").await;

    assert_eq!(open.text.trim(), COMMITTED.trim());
    assert_eq!(of_directus.body, open.body);
    server.anonymous().get("/server/specs/oas").await.refused(403, "FORBIDDEN");
    server.stop().await;
}
