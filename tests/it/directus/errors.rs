//! The table in section 8 of the wire reference: every kind of malformed frame, and its error.

use serde_json::Value as Json;
use serde_json::json;

use crate::support::error;
use crate::support::{Socket, TestServer};

/// The start of an error message. Messages are compared by their prefixes only.
const VALIDATION: &str = "Validation error: ";
const COLLECTION: &str = "The provided collection does not exists or is not accessible.";

#[tokio::test]
async fn invalid_frames_get_their_errors_and_keep_the_connection_open() {
    let server = TestServer::start().await;
    let (admin, alice) = (server.admin().await, server.member("alice").await);
    let id = admin.say("the administrator's").await;
    let mut socket = Socket::signed_in(&server, &alice).await;
    let messages = |action: &str, more: Json| {
        let mut frame = more;
        frame["type"] = json!("items");
        frame["collection"] = json!("messages");
        frame["action"] = json!(action);
        frame
    };
    let no_access = |what: &str| format!("You don't have permission to access {what}");
    let this = no_access("this.");

    for (frame, area, code, message) in [
        (json!({"a": 1}), "server", "INVALID_PAYLOAD", VALIDATION.to_owned()),
        (json!([]), "server", "INVALID_PAYLOAD", VALIDATION.to_owned()),
        (json!("text"), "server", "INVALID_PAYLOAD", VALIDATION.to_owned()),
        (json!({"type": 5}), "server", "INVALID_PAYLOAD", VALIDATION.to_owned()),
        (json!({"type": "ping", "uid": []}), "server", "INVALID_PAYLOAD", VALIDATION.to_owned()),
        (json!({"type": "items", "collection": "messages"}), "items", "INVALID_PAYLOAD", VALIDATION.to_owned()),
        (messages("juggle", json!({})), "items", "INVALID_PAYLOAD", VALIDATION.to_owned()),
        (json!({"type": "items", "action": "read"}), "items", "INVALID_PAYLOAD", VALIDATION.to_owned()),
        (json!({"type": "items", "action": "read", "collection": 5}), "items", "INVALID_PAYLOAD", VALIDATION.to_owned()),
        (messages("read", json!({"ids": "1"})), "items", "INVALID_PAYLOAD", VALIDATION.to_owned()),
        (messages("read", json!({"query": "x"})), "items", "INVALID_PAYLOAD", VALIDATION.to_owned()),
        (
            messages("delete", json!({})),
            "items",
            "INVALID_PAYLOAD",
            "Either 'ids', 'id' or 'query' is required for a DELETE request.".to_owned(),
        ),
        (messages("update", json!({"id": id})), "items", "INVALID_PAYLOAD", "Invalid payload. ".to_owned()),
        (json!({"type": "items", "action": "read", "collection": "nope"}), "items", "INVALID_COLLECTION", COLLECTION.to_owned()),
        (json!({"type": "items", "action": "read", "collection": "directus_users"}), "items", "INVALID_COLLECTION", COLLECTION.to_owned()),
        (messages("read", json!({"id": 99_999_999})), "items", "FORBIDDEN", this.clone()),
        (messages("read", json!({"id": "abc"})), "items", "FORBIDDEN", this.clone()),
        (
            messages("read", json!({"query": {"fields": ["nope"]}})),
            "items",
            "FORBIDDEN",
            no_access("field \"nope\" in collection \"messages\" or it does not exist. Queried in root."),
        ),
        (
            messages("read", json!({"query": {"fields": "user_created.email"}})),
            "items",
            "FORBIDDEN",
            no_access("field \"email\" in collection \"directus_users\" or it does not exist. Queried in \"user_created\"."),
        ),
        (
            messages("read", json!({"query": {"filter": {"content": {"_foo": 1}}}})),
            "items",
            "INVALID_QUERY",
            "Invalid query. \"text\" field type does not contain the \"_foo\" filter operator.".to_owned(),
        ),
        (
            messages("update", json!({"id": id, "data": {"content": "x"}})),
            "items",
            "FORBIDDEN",
            "You don't have permissions to perform \"update\" for the field(s) \"content\" in collection \
             \"messages\" or it does not exist."
                .to_owned(),
        ),
        (
            messages("delete", json!({"id": id})),
            "items",
            "FORBIDDEN",
            "You don't have permission to perform \"delete\" for collection \"messages\" or it does not exist.".to_owned(),
        ),
        (json!({"type": "subscribe"}), "subscribe", "INVALID_PAYLOAD", VALIDATION.to_owned()),
        (json!({"type": "subscribe", "collection": "messages", "event": "sneeze"}), "subscribe", "INVALID_PAYLOAD", VALIDATION.to_owned()),
        (json!({"type": "subscribe", "collection": "nope"}), "subscribe", "INVALID_COLLECTION", COLLECTION.to_owned()),
        (json!({"type": "subscribe", "collection": "directus_sessions"}), "subscribe", "INVALID_COLLECTION", COLLECTION.to_owned()),
        (
            json!({"type": "subscribe", "collection": "directus_roles"}),
            "subscribe",
            "FORBIDDEN",
            no_access("collection \"directus_roles\" or it does not exist. Queried in root."),
        ),
        (json!({"type": "subscribe", "collection": "messages", "item": 99}), "subscribe", "FORBIDDEN", this),
        (
            json!({"type": "subscribe", "collection": "messages", "event": "create", "query": {"filter": {"content": {"_foo": 1}}}}),
            "subscribe",
            "INVALID_QUERY",
            "Invalid query. ".to_owned(),
        ),
    ] {
        let answer = socket.ask(&frame).await;
        let (found_area, found_code, words) = error(&answer);
        assert_eq!((found_area, found_code), (area, code), "{frame} {answer}");
        assert!(words.starts_with(&message), "{frame}: {words}");

        // The error repeats the `uid` if the frame has one.
        let Json::Object(mut named) = frame else { continue };
        if named.get("uid").is_none() {
            named.insert("uid".to_owned(), json!(7));
            assert_eq!(socket.ask(&Json::Object(named)).await["uid"], json!(7), "{answer}");
        }
    }
    socket.quiet().await;
    server.stop().await;
}

#[tokio::test]
async fn invalid_json_is_reported() {
    let server = TestServer::start().await;
    let mut socket = Socket::connect(&server).await;

    for text in ["", "hello", "{\"type\":", "{'type':'ping'}", "\u{0}", "{}{}"] {
        socket.send_text(text).await;
        socket
            .expect(&json!({"type": "server", "status": "error", "error": {
                "code": "INVALID_PAYLOAD", "message": "Unable to parse the incoming message."}}))
            .await;
    }
    let deep = format!(r#"{{"type":"ping","x":{}{}}}"#, "[".repeat(50_000), "]".repeat(50_000));
    socket.send_text(&deep).await;
    assert_eq!(error(&socket.next().await).1, "INVALID_PAYLOAD");
    socket.quiet().await;
    server.stop().await;
}

#[tokio::test]
async fn frames_of_unknown_type_are_ignored() {
    let server = TestServer::start().await;
    let mut socket = Socket::connect(&server).await;

    for kind in ["juggle", "pong", "", "AUTH", "__proto__"] {
        socket.send(&json!({"type": kind, "uid": "1"})).await;
    }

    socket.quiet().await;
    server.stop().await;
}

#[tokio::test]
async fn constraint_violations_are_reported() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    admin.say("one").await;
    let mut socket = Socket::signed_in(&server, &admin).await;

    let taken = json!({"type": "items", "collection": "messages", "action": "create",
        "data": {"id": 1, "content": "another"}, "uid": 3});
    socket.send(&taken).await;

    socket
        .expect(&json!({"type": "items", "status": "error", "uid": 3, "error": {
            "code": "RECORD_NOT_UNIQUE", "message":
            "Value \"1\" for field \"id\" in collection \"messages\" has to be unique."}}))
        .await;
    let null = json!({"type": "items", "collection": "messages", "action": "create", "data": {"id": null, "content": "x"}});
    assert_eq!(error(&socket.ask(&null).await).1, "FAILED_VALIDATION");
    server.stop().await;
}
