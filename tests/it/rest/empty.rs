//! Messages without visible text, and unknown names in payloads: refused or reported, over REST and
//! the socket. (At `/_ws`: `topics/chat.rs`.)

use serde_json::Value as Json;
use serde_json::json;

use crate::support::{Answer, Permission, Socket, TestServer, User};

/// Invisible texts: empty, white space, control and format characters, fillers.
const INVISIBLE: [&str; 6] =
    ["", " \t\r\n", "\u{a0}\u{3000}", "\u{200b}\u{feff}", "\u{3164}", "\u{1}"];

async fn contents(user: &User) -> Json {
    user.get("/items/messages?fields=content&sort=id").await.ok()
}

fn refused(answer: &Answer) {
    answer.refused(400, "FAILED_VALIDATION");
    let extensions = &answer.body["errors"][0]["extensions"];
    assert_eq!(
        (&extensions["field"], &extensions["type"]),
        (&json!("content"), &json!("required"))
    );
}

#[tokio::test]
async fn a_message_without_visible_text_is_refused_by_rest() {
    let server = TestServer::start().await;
    let (admin, alice) = (server.admin().await, server.member("alice").await);
    let id = alice.say("here").await;
    let path = format!("/items/messages/{id}");
    let empty = INVISIBLE.iter().map(|text| json!({"content": text}));
    let payloads: Vec<Json> = empty.chain([json!({"content": null})]).collect();

    for user in [&alice, &admin] {
        for payload in payloads.iter().chain(&[json!({})]) {
            refused(&user.post("/items/messages", payload).await);
            refused(&user.post("/items/messages", &json!([{"content": "fine"}, payload])).await);
        }
        refused(&user.send("POST", "/items/messages").await);
        for payload in &payloads {
            refused(&user.patch(&path, payload).await);
            let same = json!({"keys": [id], "data": payload});
            refused(&user.patch("/items/messages", &same).await);
            let each = json!([{"id": id, "content": "changed"}, {"id": id, "content": payload["content"]}]);
            refused(&user.patch("/items/messages", &each).await);
        }
    }
    // An update without the text leaves it unchanged.
    alice.patch(&path, &json!({})).await.ok();

    assert_eq!(contents(&admin).await, json!([{"content": "here"}]));
    alice.say("👍").await;
    alice.say("\u{200b}x").await;
    server.stop().await;
}

#[tokio::test]
async fn a_message_without_visible_text_is_refused_by_the_socket() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;
    let id = alice.say("here").await;
    let mut socket = Socket::signed_in(&server, &alice).await;
    let frame = |action: &str, data: Json| json!({"type": "items", "collection": "messages", "action": action, "data": data, "uid": 1});

    for text in INVISIBLE {
        for frame in [
            frame("create", json!({"content": text})),
            frame("create", json!([{"content": "fine"}, {"content": text}])),
            frame("update", json!([{"id": id, "content": text}])),
        ] {
            let answer = socket.ask(&frame).await;
            assert_eq!(answer["error"]["code"], "FAILED_VALIDATION", "{frame} {answer}");
        }
    }
    let answer = socket.ask(&frame("create", json!({}))).await;
    assert_eq!(answer["error"]["code"], "FAILED_VALIDATION");

    assert_eq!(contents(&alice).await, json!([{"content": "here"}]));
    server.stop().await;
}

#[tokio::test]
async fn empty_messages_are_allowed_without_require_content() {
    let server = TestServer::with(|config| config.query.require_content = false).await;
    let alice = server.member("alice").await;
    let mut socket = Socket::signed_in(&server, &alice).await;

    alice.post("/items/messages", &json!({})).await.ok();
    alice.post("/items/messages", &json!({"content": " "})).await.ok();
    let create = json!({"type": "items", "collection": "messages", "action": "create", "data": {}});
    assert_eq!(socket.ask(&create).await["data"]["content"], Json::Null);

    let all = json!([{"content": null}, {"content": " "}, {"content": null}]);
    assert_eq!(contents(&alice).await, all);
    server.stop().await;
}

#[tokio::test]
async fn missing_field_errors_suggest_the_intended_field() {
    let server = TestServer::start().await;
    let (admin, alice) = (server.admin().await, server.member("alice").await);
    let mut socket = Socket::signed_in(&server, &alice).await;
    let hint = "`text` is not a field of messages; did you mean `content`?";

    let answer = alice.post("/items/messages", &json!({"text": "hello"})).await;
    refused(&answer);
    assert!(answer.message().ends_with(hint), "{}", answer.text);
    assert_eq!(answer.body["errors"][0]["extensions"]["reason"], hint);
    let frame = json!({"type": "items", "collection": "messages", "action": "create",
        "data": {"text": "hello"}});
    let answer = socket.ask(&frame).await;
    assert!(answer["error"]["message"].as_str().unwrap().ends_with(hint), "{answer}");

    let answer = admin.post("/roles", &json!({"nmae": "Editors"})).await;
    answer.refused(400, "FAILED_VALIDATION");
    let hint = "`nmae` is not a field of directus_roles; did you mean `name`?";
    assert!(answer.message().ends_with(hint), "{}", answer.text);
    server.stop().await;
}

#[tokio::test]
async fn unknown_fields_are_listed_in_a_response_header() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;
    let named = |answer: &Answer| {
        answer.headers.get("ignored-fields").map(|names| names.to_str().unwrap().to_owned())
    };
    let path = "/items/messages";

    let made =
        alice.post(path, &json!({"content": "a", "text": "b", "foo": 1, "date_created": 2})).await;
    assert_eq!(named(&made).as_deref(), Some("text, foo"));
    let list = json!([{"content": "a", "foo": 1}, {"content": "b", "foo": 1, "bär, \r\n": 1}]);
    let made = alice.post(path, &list).await;
    assert_eq!(named(&made).as_deref(), Some("foo, b%C3%A4r%2C%20%0D%0A"));
    let changed =
        server.admin().await.patch("/items/messages/1", &json!({"content": "b", "bar": 1})).await;
    assert_eq!(named(&changed).as_deref(), Some("bar"));
    let plain = alice.post(path, &json!({"content": "a"})).await;
    assert_eq!(named(&plain), None);

    // The header has a length limit, and is also sent if the writer may not read the result.
    let mut many = json!({"content": "a"});
    for number in 0..100 {
        many[format!("{number}{}", "ü".repeat(1_000))] = json!(1);
    }
    let made = alice.post(path, &many).await;
    assert!(named(&made).unwrap().len() < 10_000);
    let writer = server.user_with("writer", &[Permission::to("create", "messages")]).await;
    let made = writer.post(path, &json!({"content": "a", "text": "b"})).await;
    made.nothing();
    assert_eq!(named(&made).as_deref(), Some("text"));
    server.stop().await;
}
