//! Other spellings of another account's items: class 7.

use serde_json::json;

use crate::classes::dump::assert_unchanged;
use crate::classes::dump::dump;
use crate::support::{Permission, Socket, TestServer};

/// Class 7: another spelling of a key gives no access to another account's item, and a spelling of
/// one item's key never addresses another item.
#[tokio::test]
async fn class_7_no_key_spelling_reaches_items_of_other_accounts() {
    let server = TestServer::start().await;
    let own = json!({"user_created": {"_eq": "$CURRENT_USER"}});
    let rights =
        ["read", "update", "delete"].map(|to| Permission::to(to, "messages").on(own.clone()));
    let owner = server.user_with("owner", &rights).await;
    let admin = server.admin().await;
    for _ in 0..12 {
        admin.say("the administrator's").await;
    }
    let before = dump(&server).await;
    let mut socket = Socket::signed_in(&server, &owner).await;

    for spelling in [
        "1",
        " 1",
        "1 ",
        "01",
        "+1",
        "1.0",
        "1e0",
        "0x1",
        "1;",
        "1,2",
        "1/",
        "1%00",
        "%31",
        "%201",
        "1%2F..%2F2",
        "-1",
        "1?x",
        "1#",
        "１",
        "[1]",
        "{\"id\":1}",
        "null",
        "true",
        "*",
    ] {
        let path = format!("/items/messages/{}", spelling.replace(['#', '?'], "%3F"));
        let data = json!({"content": "mine"});
        for answer in [
            owner.get(&path).await,
            owner.patch(&path, &data).await,
            owner.delete(&path).await,
            owner.search("/items/messages", &json!({"keys": [spelling]})).await,
            owner.patch("/items/messages", &json!({"keys": [spelling], "data": data})).await,
            owner.patch("/items/messages", &json!([{"id": spelling, "content": "mine"}])).await,
            owner.delete_many("/items/messages", &json!([spelling])).await,
            owner.delete_many("/items/messages", &json!({"keys": [spelling]})).await,
        ] {
            let empty = answer.status == 200 && answer.body["data"] == json!([]);
            assert!(empty || (400..500).contains(&answer.status), "{spelling}: {}", answer.text);
            assert!(!answer.text.contains("the administrator's"), "{spelling}: {}", answer.text);
        }
        for key in [json!(spelling), json!([spelling]), json!({"id": spelling})] {
            for frame in [
                json!({"action": "read", "id": key}),
                json!({"action": "read", "ids": key}),
                json!({"action": "update", "id": key, "data": {"content": "mine"}}),
                json!({"action": "delete", "id": key}),
                json!({"action": "delete", "ids": key}),
            ] {
                let mut frame = frame;
                frame["type"] = json!("items");
                frame["collection"] = json!("messages");
                let answer = socket.ask(&frame).await.to_string();
                assert!(!answer.contains("the administrator's"), "{frame}: {answer}");
            }
        }
    }
    assert_unchanged(&server, &before, "the requests").await;
    server.stop().await;
}

/// Class 7: a collection has one name, and internal tables have none.
#[tokio::test]
async fn class_7_a_collection_has_one_name() {
    let server = TestServer::start().await;
    let (admin, nobody) = (server.admin().await, server.user_without_role("nobody").await);
    admin.say("the administrator's").await;
    let before = dump(&server).await;
    let mut socket = Socket::signed_in(&server, &nobody).await;

    for collection in [
        "Messages",
        "MESSAGES",
        "messages%20",
        "messages%00",
        "\"messages\"",
        "main.messages",
        "messages;",
        "directus_users",
        "directus_Users",
        "users",
        "directus_sessions",
        "sqlite_master",
        "event_log",
        "chinwag_counters",
        "__proto__",
    ] {
        let answer = admin.get(&format!("/items/{collection}")).await;
        assert!([403, 404].contains(&answer.status), "{collection}: {}", answer.text);
        let read = json!({"type": "items", "action": "read", "collection": collection});
        let answer = socket.ask(&read).await;
        let code = answer["error"]["code"].as_str().unwrap();
        assert!(["FORBIDDEN", "INVALID_COLLECTION"].contains(&code), "{collection}: {answer}");
    }
    assert_unchanged(&server, &before, "the requests").await;
    server.stop().await;
}

/// Class 7: access to one's own key gives none to adjacent keys, alone or in one request with it.
#[tokio::test]
async fn class_7_access_to_a_key_gives_none_to_other_keys() {
    let server = TestServer::start().await;
    server.admin().await.say("the administrator's").await;
    server.admin().await.say("the administrator's").await;
    let member = server.member("neighbour").await;
    let mine = member.say("mine").await;
    let before = dump(&server).await;
    for keys in
        [json!([mine, 1]), json!([1, mine]), json!([mine, mine + 1]), json!([mine, mine, 2])]
    {
        let data = json!({"content": "taken"});
        member
            .patch("/items/messages", &json!({"keys": keys, "data": data}))
            .await
            .refused(403, "FORBIDDEN");
        member.delete_many("/items/messages", &keys).await.refused(403, "FORBIDDEN");
    }
    assert_unchanged(&server, &before, "the requests").await;
    server.stop().await;
}
