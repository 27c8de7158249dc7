//! `items` frames: create, read, update and delete over the socket.

use serde_json::Value as Json;
use serde_json::json;

use crate::support::{Socket, TestServer, User};

async fn signed_in(server: &TestServer) -> (User, Socket) {
    let alice = server.member("alice").await;
    let socket = Socket::signed_in(server, &alice).await;
    (alice, socket)
}

/// Sends an `items` frame, and returns the response without its type.
async fn ask(socket: &mut Socket, action: &str, more: Json) -> Json {
    let mut frame = json!({"type": "items", "collection": "messages", "action": action});
    for (name, value) in more.as_object().unwrap() {
        frame[name] = value.clone();
    }
    let Json::Object(mut answer) = socket.ask(&frame).await else { panic!("expected an object") };
    assert_eq!(answer.shift_remove("type"), Some(json!("items")), "{answer:?}");
    Json::Object(answer)
}

#[tokio::test]
async fn creates_return_the_created_items() {
    let server = TestServer::at_noon(|_| {}).await;
    let (alice, mut socket) = signed_in(&server).await;
    let noon = "2026-01-31T12:00:00.000Z";

    let one = ask(&mut socket, "create", json!({"data": {"content": "hi"}})).await;
    assert_eq!(
        one,
        json!({"data": {"id": 1, "user_created": alice.id, "date_created": noon, "content": "hi"}})
    );
    let query = json!({"fields": ["*", "user_created.first_name"]});
    let shaped =
        ask(&mut socket, "create", json!({"data": {"content": "hi"}, "query": query, "uid": 9}))
            .await;
    assert_eq!(shaped["data"]["user_created"], json!({"first_name": "alice"}));
    assert_eq!(shaped["uid"], 9);
    let list = json!([{"content": "m1"}, {"content": "m2"}]);
    let several =
        ask(&mut socket, "create", json!({"data": list, "query": {"fields": "id,content"}})).await;
    assert_eq!(several["data"], json!([{"id": 3, "content": "m1"}, {"id": 4, "content": "m2"}]));
    assert_eq!(ask(&mut socket, "create", json!({"data": []})).await["data"], json!([]));
    server.stop().await;
}

#[tokio::test]
async fn writes_with_invalid_data_are_refused_and_change_nothing() {
    for requires_content in [true, false] {
        let server =
            TestServer::with(|config| config.query.require_content = requires_content).await;
        let (alice, mut socket) = signed_in(&server).await;
        let id = alice.say("here").await;
        let mut listener = Socket::signed_in(&server, &alice).await;
        listener.subscribe("s", json!({})).await;
        let no_values = [
            json!({}),
            json!({"data": null}),
            json!({"data": "hello"}),
            json!({"data": 5}),
            json!({"data": true}),
            json!({"data": ["hello"]}),
            json!({"data": [{"content": "a"}, null]}),
            json!({"data": [[{"content": "a"}]]}),
        ];

        for target in [json!({}), json!({"id": id}), json!({"ids": [id]})] {
            let action = if target == json!({}) { "create" } else { "update" };
            for no_value in &no_values {
                let mut frame = no_value.clone();
                frame.as_object_mut().unwrap().extend(target.as_object().unwrap().clone());
                frame["uid"] = json!("u");
                let answer = ask(&mut socket, action, frame.clone()).await;
                let found = (&answer["error"]["code"], &answer["uid"]);
                assert_eq!(found, (&json!("INVALID_PAYLOAD"), &json!("u")), "{action} {frame}");
            }
        }
        let created = json!({"data": [{"id": id, "content": "a"}, "b"]});
        let answer = ask(&mut socket, "update", created).await;
        assert_eq!(answer["error"]["code"], "INVALID_PAYLOAD");

        listener.quiet().await;
        let all = alice.get("/items/messages?fields=content").await.ok();
        assert_eq!(all, json!([{"content": "here"}]));
        server.stop().await;
    }
}

#[tokio::test]
async fn reads_select_items_by_id_ids_or_query() {
    let server = TestServer::start().await;
    let (alice, mut socket) = signed_in(&server).await;
    for content in ["a", "b", "c"] {
        alice.say(content).await;
    }
    let mut read = async |more: Json| ask(&mut socket, "read", more).await;
    let ids = json!({"fields": "id"});

    assert_eq!(read(json!({"id": 2, "query": ids})).await, json!({"data": {"id": 2}}));
    assert_eq!(
        read(json!({"id": "2", "query": ids, "uid": "u"})).await,
        json!({"data": {"id": 2}, "uid": "u"})
    );
    assert_eq!(
        read(json!({"ids": [99, 3, 2], "query": ids})).await["data"],
        json!([{"id": 2}, {"id": 3}])
    );
    assert_eq!(read(json!({"ids": []})).await["data"], json!([]));
    // The SDK sends every query parameter as text.
    let texts = json!({"fields": "id", "sort": "-id", "limit": "1", "meta": "*",
        "filter": "{\"id\":{\"_lt\":3}}"});
    assert_eq!(
        read(json!({"query": texts, "uid": 0})).await,
        json!({"data": [{"id": 2}], "meta": {"total_count": 3, "filter_count": 2}, "uid": 0})
    );
    server.stop().await;
}

#[tokio::test]
async fn updates_select_items_by_id_ids_query_or_list() {
    let server = TestServer::start().await;
    let (alice, mut socket) = signed_in(&server).await;
    for content in ["a", "b", "c"] {
        alice.say(content).await;
    }
    let query = json!({"fields": ["id", "content"]});
    let mut update = async |more: Json| {
        let mut more = more;
        if more.get("query").is_none() {
            more["query"] = query.clone();
        }
        ask(&mut socket, "update", more).await["data"].clone()
    };

    let one = update(json!({"id": 1, "data": {"content": "z"}})).await;
    assert_eq!((&one["id"], &one["content"]), (&json!(1), &json!("z")));
    let some = update(json!({"ids": [1, 2], "data": {"content": "zz"}})).await;
    assert_eq!(some, json!([{"id": 1, "content": "zz"}, {"id": 2, "content": "zz"}]));
    // The response includes an item even if it no longer matches the query after the change.
    let filter = json!({"fields": "id,content", "filter": {"content": {"_eq": "zz"}}});
    let found = update(json!({"query": filter, "data": {"content": "y"}})).await;
    assert_eq!(found, json!([{"id": 1, "content": "y"}, {"id": 2, "content": "y"}]));
    let each = json!([{"id": 2, "content": "two"}, {"id": 3, "content": "three"}]);
    assert_eq!(update(json!({"data": each})).await, each);
    server.stop().await;
}

#[tokio::test]
async fn deletes_return_the_keys() {
    let server = TestServer::start().await;
    let (alice, mut socket) = signed_in(&server).await;
    for content in ["a", "b", "c", "d"] {
        alice.say(content).await;
    }
    let mut delete = async |more: Json| ask(&mut socket, "delete", more).await;

    assert_eq!(delete(json!({"id": 1, "uid": "del"})).await, json!({"data": 1, "uid": "del"}));
    assert_eq!(delete(json!({"ids": [2]})).await, json!({"data": [2]}));
    let query = json!({"filter": {"content": {"_eq": "c"}}});
    assert_eq!(delete(json!({"query": query})).await, json!({"data": [3]}));
    assert_eq!(delete(json!({"ids": []})).await, json!({"data": []}));

    for everything in [json!({}), json!({"query": {}}), json!({"id": 0}), json!({"id": ""})] {
        assert_eq!(delete(everything).await["error"]["code"], "INVALID_PAYLOAD");
    }
    assert_eq!(alice.get("/items/messages?fields=id").await.ok(), json!([{"id": 4}]));
    server.stop().await;
}

#[tokio::test]
async fn responses_arrive_in_request_order() {
    let server = TestServer::start().await;
    let (_, mut socket) = signed_in(&server).await;

    for uid in 0..200 {
        let frame = match uid % 4 {
            0 | 1 => {
                json!({"type": "items", "collection": "messages", "action": "create", "data": {"content": "hi"}, "uid": uid})
            }
            2 => {
                json!({"type": "items", "collection": "messages", "action": "read", "query": {"limit": 1}, "uid": uid})
            }
            _ => json!({"type": "ping", "uid": uid}),
        };
        socket.send(&frame).await;
    }

    for uid in 0..200 {
        assert_eq!(socket.next().await["uid"], uid);
    }
    server.stop().await;
}
