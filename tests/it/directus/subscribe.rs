//! `subscribe` and `unsubscribe`: the snapshot, the events, and the end of a subscription.

use serde_json::Value as Json;
use serde_json::json;

use crate::support::{Permission, Socket, TestServer, User};

async fn signed_in(server: &TestServer) -> (User, Socket) {
    let alice = server.member("alice").await;
    let socket = Socket::signed_in(server, &alice).await;
    (alice, socket)
}

fn short() -> Json {
    json!({"fields": ["id", "content"]})
}

#[tokio::test]
async fn init_has_data_unless_the_subscription_selects_an_event() {
    let server = TestServer::start().await;
    let (alice, mut socket) = signed_in(&server).await;
    for content in ["b0", "b1", "b2"] {
        alice.say(content).await;
    }

    let with_event = socket.subscribe("a", json!({"event": "delete"})).await;
    let query = json!({"limit": 2, "fields": ["id", "content"], "sort": ["-id"], "meta": "*"});
    let without = socket.subscribe("b", json!({"query": query})).await;

    assert_eq!(with_event, json!({"type": "subscription", "event": "init", "uid": "a"}));
    assert_eq!(
        without,
        json!({"type": "subscription", "event": "init",
            "data": [{"id": 3, "content": "b2"}, {"id": 2, "content": "b1"}],
            "meta": {"total_count": 3, "filter_count": 3}, "uid": "b"})
    );
    server.stop().await;
}

#[tokio::test]
async fn a_subscription_receives_no_earlier_writes() {
    let server = TestServer::start().await;
    let (alice, mut socket) = signed_in(&server).await;

    // Enough of them to make their delivery slower than the response.
    let old: Json = (0..200).map(|_| json!({"content": "old"})).collect();
    for round in 0..10 {
        alice.post("/items/messages", &old).await.ok();
        let uid = format!("{round}");
        socket.subscribe(&uid, json!({"event": "create"})).await;
        alice.say("new").await;
        let first = socket.next().await;
        assert_eq!(first["data"][0]["content"], "new", "round {round}");
        socket.ask(&json!({"type": "unsubscribe", "uid": uid})).await;
    }
    server.stop().await;
}

#[tokio::test]
async fn each_kind_of_change_sends_its_frames() {
    let server = TestServer::start().await;
    let (alice, mut socket) = signed_in(&server).await;
    socket.subscribe("s", json!({"query": short()})).await;
    let event = |event: &str, data: Json| json!({"type": "subscription", "event": event, "data": data, "uid": "s"});

    // A create sends one frame per item, also for a list.
    alice.post("/items/messages", &json!([{"content": "a"}, {"content": "b"}])).await.ok();
    socket.expect(&event("create", json!([{"id": 1, "content": "a"}]))).await;
    socket.expect(&event("create", json!([{"id": 2, "content": "b"}]))).await;
    // An update sends one frame for all its keys, or one for each entry of a list of changes.
    let same = json!({"keys": [1, 2], "data": {"content": "x"}});
    alice.patch("/items/messages", &same).await.ok();
    socket
        .expect(&event("update", json!([{"id": 1, "content": "x"}, {"id": 2, "content": "x"}])))
        .await;
    alice.patch("/items/messages/2", &json!({"content": "y"})).await.ok();
    socket.expect(&event("update", json!([{"id": 2, "content": "y"}]))).await;
    // A delete sends the keys.
    alice.delete_many("/items/messages", &json!([2, 1])).await.nothing();
    let gone = socket.next().await;
    assert_eq!(
        (gone["event"].as_str(), gone["data"].as_array().map(Vec::len)),
        (Some("delete"), Some(2))
    );
    let keys: Vec<String> = gone["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key.to_string().replace('"', ""))
        .collect();
    assert_eq!(keys, ["2", "1"]);
    server.stop().await;
}

#[tokio::test]
async fn a_list_of_changes_sends_one_frame_per_change() {
    let server = TestServer::start().await;
    let (admin, (_, mut socket)) = (server.admin().await, signed_in(&server).await);
    socket.subscribe("s", json!({"event": "update", "query": short()})).await;
    admin.post("/items/messages", &json!([{"content": "a"}, {"content": "b"}])).await.ok();

    let each = json!([{"id": 1, "content": "one"}, {"id": 2, "content": "two"}]);
    admin.patch("/items/messages", &each).await.ok();

    assert_eq!(socket.next().await["data"], json!([{"id": 1, "content": "one"}]));
    assert_eq!(socket.next().await["data"], json!([{"id": 2, "content": "two"}]));
    server.stop().await;
}

#[tokio::test]
async fn a_subscription_receives_only_its_event_type() {
    let server = TestServer::start().await;
    let (alice, mut socket) = signed_in(&server).await;
    socket.subscribe("s", json!({"event": "update"})).await;

    let id = alice.say("created").await;
    alice.patch(&format!("/items/messages/{id}"), &json!({"content": "updated"})).await.ok();
    alice.delete(&format!("/items/messages/{id}")).await.nothing();
    let id = alice.say("created").await;
    alice.patch(&format!("/items/messages/{id}"), &json!({"content": "again"})).await.ok();

    socket.expect_event("update", "updated").await;
    socket.expect_event("update", "again").await;
    server.stop().await;
}

#[tokio::test]
async fn filters_apply_to_items_but_not_to_deletes() {
    let server = TestServer::start().await;
    let (alice, mut socket) = signed_in(&server).await;
    let query =
        json!({"fields": ["id", "content"], "filter": {"content": {"_starts_with": "yes"}}});
    let init = socket.subscribe("s", json!({"query": query})).await;
    assert_eq!(init["data"], json!([]));

    alice.say("no").await;
    alice.say("yes 2").await;
    alice.patch("/items/messages/1", &json!({"content": "yes 1"})).await.ok();
    alice.patch("/items/messages/2", &json!({"content": "no"})).await.ok();
    alice.delete_many("/items/messages", &json!([2])).await.nothing();

    socket.expect_event("create", "yes 2").await;
    socket.expect_event("update", "yes 1").await;
    let gone = socket.next().await;
    assert_eq!((&gone["event"], &gone["data"]), (&json!("delete"), &json!([2])));
    server.stop().await;
}

#[tokio::test]
async fn a_relation_filter_applies_to_events() {
    let server = TestServer::start().await;
    let (alice, mut socket) = signed_in(&server).await;
    let bob = server.member("bob").await;
    let filter = json!({"user_created": {"first_name": {"_eq": "bob"}}});
    let query = json!({"fields": ["content", "user_created.first_name"], "filter": filter});
    socket.subscribe("s", json!({"event": "create", "query": query})).await;

    alice.say("alice's").await;
    bob.say("bob's").await;

    let frame = socket.expect_event("create", "bob's").await;
    assert_eq!(frame["data"][0]["user_created"], json!({"first_name": "bob"}));
    server.stop().await;
}

#[tokio::test]
async fn an_item_subscription_delivers_only_its_item() {
    let server = TestServer::start().await;
    let (alice, mut socket) = signed_in(&server).await;
    alice.say("item").await;
    alice.say("other").await;

    let init = socket.subscribe("it", json!({"item": "1", "query": short()})).await;
    assert_eq!(init["data"], json!({"id": 1, "content": "item"}));
    alice
        .patch("/items/messages", &json!({"keys": [1, 2], "data": {"content": "both"}}))
        .await
        .ok();
    let update = socket.next().await;
    assert_eq!(
        (&update["event"], &update["data"]),
        (&json!("update"), &json!({"id": 1, "content": "both"}))
    );
    alice.delete("/items/messages/2").await.nothing();
    alice.delete("/items/messages/1").await.nothing();

    let gone = socket.next().await;
    assert_eq!(gone["event"], "delete");
    assert_eq!(gone["data"], "1");
    server.stop().await;
}

#[tokio::test]
async fn event_meta_has_current_counts() {
    let server = TestServer::start().await;
    let (alice, mut socket) = signed_in(&server).await;
    let query = json!({"fields": "content", "meta": "*", "filter": {"content": {"_eq": "yes"}}});
    socket.subscribe("m", json!({"event": "create", "query": query})).await;

    for (content, total, fitting) in [("no", 1, 0), ("yes", 2, 1), ("yes", 3, 2)] {
        alice.say(content).await;
        if content == "yes" {
            let meta = socket.expect_event("create", "yes").await["meta"].clone();
            assert_eq!(meta, json!({"total_count": total, "filter_count": fitting}));
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_reused_uid_replaces_the_subscription_as_number_or_text() {
    let server = TestServer::start().await;
    let (alice, mut socket) = signed_in(&server).await;
    let subscribe = |uid: Json, event: &str| json!({"type": "subscribe", "collection": "messages", "event": event, "uid": uid});

    assert_eq!(socket.ask(&subscribe(json!(12), "delete")).await["uid"], "12");
    assert_eq!(socket.ask(&subscribe(json!("12"), "create")).await["uid"], "12");
    assert_eq!(socket.ask(&subscribe(json!(12), "create")).await["uid"], "12");
    let id = alice.say("once").await;
    alice.delete(&format!("/items/messages/{id}")).await.nothing();
    alice.say("twice").await;

    socket.expect_event("create", "once").await;
    socket.expect_event("create", "twice").await;
    server.stop().await;
}

#[tokio::test]
async fn delete_events_keep_the_key_format_of_the_request() {
    let server = TestServer::start().await;
    let (alice, mut socket) = signed_in(&server).await;
    let list = (1..=9).map(|id| json!({"content": format!("message {id}")})).collect::<Json>();
    alice.post("/items/messages", &list).await.ok();
    socket.subscribe("s", json!({"event": "delete"})).await;
    let (path, query) = ("/items/messages", json!({"filter": {"id": {"_eq": "6"}}}));

    alice.delete("/items/messages/1").await.nothing();
    for body in [json!([2]), json!(["3", 4]), json!({"keys": ["5"]}), json!({"query": query})] {
        alice.delete_many(path, &body).await.nothing();
    }
    let told = [json!(["1"]), json!([2]), json!(["3", 4]), json!(["5"]), json!([6])];
    for expected in told {
        assert_eq!(socket.next().await["data"], expected);
    }

    let mut other = Socket::signed_in(&server, &alice).await;
    for (target, answer, event) in [
        (json!({"id": 7}), json!(7), json!([7])),
        (json!({"ids": ["8"]}), json!(["8"]), json!(["8"])),
        (json!({"id": "9"}), json!("9"), json!(["9"])),
    ] {
        let mut frame = json!({"type": "items", "action": "delete", "collection": "messages"});
        frame.as_object_mut().unwrap().extend(target.as_object().unwrap().clone());
        assert_eq!(other.ask(&frame).await["data"], answer);
        assert_eq!(socket.next().await["data"], event);
    }
    server.stop().await;
}

#[tokio::test]
async fn subscriptions_without_a_uid_coexist() {
    let server = TestServer::start().await;
    let (alice, mut socket) = signed_in(&server).await;
    for _ in 0..2 {
        let frame = json!({"type": "subscribe", "collection": "messages", "event": "create"});
        assert_eq!(socket.ask(&frame).await, json!({"type": "subscription", "event": "init"}));
    }

    alice.say("twice").await;

    for _ in 0..2 {
        assert!(socket.expect_event("create", "twice").await.get("uid").is_none());
    }
    server.stop().await;
}

#[tokio::test]
async fn unsubscribe_ends_one_or_all_subscriptions() {
    let server = TestServer::start().await;
    let (alice, mut socket) = signed_in(&server).await;
    for uid in ["a", "b", "c"] {
        socket.subscribe(uid, json!({"event": "create"})).await;
    }
    let ended = |uid: Json| json!({"type": "subscription", "event": "unsubscribe", "uid": uid});

    socket.send(&json!({"type": "unsubscribe", "uid": "a"})).await;
    socket.expect(&ended(json!("a"))).await;
    socket.send(&json!({"type": "unsubscribe", "uid": 99})).await;
    socket.expect(&ended(json!(99))).await;
    alice.say("for two").await;
    let mut uids = [socket.next().await["uid"].clone(), socket.next().await["uid"].clone()];
    uids.sort_by_key(ToString::to_string);
    assert_eq!(uids, ["b", "c"]);

    socket.send(&json!({"type": "unsubscribe"})).await;
    socket.expect(&json!({"type": "subscription", "event": "unsubscribe"})).await;
    let mut witness = Socket::signed_in(&server, &alice).await;
    witness.subscribe("w", json!({"query": short()})).await;
    alice.say("for nobody here").await;
    witness.expect_event("create", "for nobody here").await;
    socket.quiet().await;
    server.stop().await;
}

#[tokio::test]
async fn the_author_of_a_change_receives_its_event() {
    let server = TestServer::start().await;
    let (_, mut socket) = signed_in(&server).await;
    socket.subscribe("s", json!({"event": "create"})).await;

    let create = json!({"type": "items", "collection": "messages", "action": "create",
        "data": {"content": "mine"}, "uid": "c"});
    socket.send(&create).await;

    let mut kinds = [socket.next().await["type"].clone(), socket.next().await["type"].clone()];
    kinds.sort_by_key(ToString::to_string);
    assert_eq!(kinds, ["items", "subscription"]);
    server.stop().await;
}

#[tokio::test]
async fn a_search_filters_events_like_the_snapshot() {
    let server = TestServer::start().await;
    let (alice, mut socket) = signed_in(&server).await;
    let hay = alice.say("hay").await;
    let needle = alice.say("a Needle").await;
    let query = json!({"fields": ["content"], "search": "nEEdle"});
    let init = socket.subscribe("s", json!({"query": query})).await;
    assert_eq!(init["data"], json!([{"content": "a Needle"}]));
    let mut by_key = Socket::signed_in(&server, &alice).await;
    let query = json!({"fields": ["content"], "search": hay.to_string()});
    by_key.subscribe("k", json!({"event": "update", "query": query})).await;

    alice.say("more hay").await;
    alice.say("needles").await;
    socket.expect_event("create", "needles").await;
    let update = json!({"keys": [hay, needle], "data": {"content": "straw"}});
    alice.patch("/items/messages", &update).await.ok();
    let update = json!({"keys": [hay], "data": {"content": "no more hay: needle"}});
    alice.patch("/items/messages", &update).await.ok();
    socket.expect_event("update", "no more hay: needle").await;
    by_key.expect_event("update", "straw").await;
    by_key.expect_event("update", "no more hay: needle").await;
    // A delete is sent to subscriptions that could read the item before, as with a filter.
    alice.delete(&format!("/items/messages/{needle}")).await.nothing();
    assert_eq!(socket.next().await["data"], json!([needle.to_string()]));
    socket.quiet().await;
    by_key.quiet().await;
    server.stop().await;
}

#[tokio::test]
async fn an_event_search_ignores_hidden_fields() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;
    let permissions = [
        Permission::to("read", "messages").fields(&["id"]),
        Permission::to("read", "messages")
            .on(json!({"content": {"_starts_with": "open"}}))
            .fields(&["id", "content"]),
    ];
    let reader = server.user_with("reader", &permissions).await;
    let mut socket = Socket::signed_in(&server, &reader).await;
    let query = json!({"fields": ["id"], "search": "needle"});
    socket.subscribe("s", json!({"query": query})).await;
    let query = json!({"fields": ["id"], "search": "2"});
    socket.subscribe("k", json!({"event": "create", "query": query})).await;

    alice.say("open needle").await;
    let second = alice.say("a hidden needle").await;

    let found = socket.next().await;
    assert_eq!((&found["uid"], &found["data"]), (&json!("k"), &json!([{"id": second}])));
    socket.quiet().await;
    server.stop().await;
}

#[tokio::test]
async fn an_update_event_follows_the_sort_order() {
    let server = TestServer::start().await;
    let (alice, mut socket) = signed_in(&server).await;
    let mut keys = Vec::new();
    for content in ["b", "c", "a"] {
        keys.push(alice.say(content).await);
    }
    for order in ["-id", "id", "user_created.first_name,-id"] {
        let query = json!({"fields": ["id"], "sort": order});
        socket.subscribe(order, json!({"event": "update", "query": query})).await;
    }

    let update = json!({"keys": [keys[1], keys[0], keys[2]], "data": {"content": "same"}});
    alice.patch("/items/messages", &update).await.ok();

    let mut told = std::collections::HashMap::new();
    for _ in 0..3 {
        let frame = socket.next().await;
        told.insert(frame["uid"].as_str().unwrap().to_owned(), frame["data"].clone());
    }
    let expected = |places: [usize; 3]| json!(places.map(|place| json!({"id": keys[place]})));
    assert_eq!(told["-id"], expected([2, 1, 0]));
    assert_eq!(told["id"], expected([0, 1, 2]));
    assert_eq!(told["user_created.first_name,-id"], expected([2, 1, 0]));
    server.stop().await;
}
