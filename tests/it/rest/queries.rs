//! The parts of the query language that change the shape of an answer, on the wire.

use serde_json::Value as Json;
use serde_json::json;

use crate::support::TestServer;
use crate::support::User;

/// Three messages, two by Alice and one by Bob, all of the same noon.
async fn conversation(server: &TestServer) -> (User, User) {
    let (alice, bob) = (server.member("alice").await, server.member("bob").await);
    alice.say("Apple").await;
    alice.say("banana").await;
    bob.say("cherry").await;
    (alice, bob)
}

#[tokio::test]
async fn totals_names_and_parts_of_dates() {
    let server = TestServer::at_noon(|_| {}).await;
    let (alice, bob) = conversation(&server).await;

    for (query, expected) in [
        ("aggregate[count]=*", json!([{"count": 3}])),
        ("aggregate={\"max\":\"id\"}&filter[id][_lt]=3", json!([{"max": {"id": 2}}])),
        (
            "aggregate[count]=*&groupBy[]=user_created&sort=-count",
            json!([{"user_created": alice.id, "count": 2}, {"user_created": bob.id, "count": 1}]),
        ),
        (
            "aggregate[count]=id&groupBy=year(date_created)",
            json!([{"date_created_year": 2026, "count": {"id": 3}}]),
        ),
        ("fields=id,words&alias[words]=content&limit=1", json!([{"id": 1, "words": "Apple"}])),
        (
            "fields=month(date_created)&filter[hour(date_created)][_eq]=12&limit=1",
            json!([{"date_created_month": 1}]),
        ),
        ("fields=id&filter[hour(date_created)][_gt]=12", json!([])),
        (
            "fields=user_created.first_name&filter[id][_gt]=1\
             &deep[user_created][_filter][first_name][_eq]=bob",
            json!([{"user_created": null}, {"user_created": {"first_name": "bob"}}]),
        ),
    ] {
        let found = alice.get(&format!("/items/messages?{query}")).await;
        assert_eq!(
            (found.status, &found.body["data"]),
            (200, &expected),
            "{query}: {}",
            found.text
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn lists_are_as_long_as_asked_for() {
    let server = TestServer::start().await;
    let (admin, _) = (server.admin().await, conversation(&server).await);
    let members = "filter[users][_some][first_name][_eq]=alice";

    let path = format!("/roles?fields=users.first_name&{members}&deep[users][_sort]=first_name");
    let names = |list: &Json| -> Vec<String> {
        let users = list[0]["users"].as_array().unwrap();
        users.iter().map(|user| user["first_name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&admin.get(&path).await.ok()), ["alice", "bob"]);
    let one = admin.get(&format!("{path}&deep[users][_limit]=1")).await.ok();
    assert_eq!(names(&one), ["alice"]);
    let nobody = "/roles?filter[users][_some][first_name][_eq]=nobody";
    assert_eq!(admin.get(nobody).await.ok(), json!([]));
    server.stop().await;
}

#[tokio::test]
async fn a_list_becomes_a_file() {
    let server = TestServer::start().await;
    let (alice, _) = conversation(&server).await;

    let file = alice.get("/items/messages?fields=id,content&export=csv&limit=2").await;
    assert_eq!(file.status, 200);
    assert_eq!(file.text, "\"id\",\"content\"\n1,\"Apple\"\n2,\"banana\"");
    assert_eq!(file.header("content-type"), "text/csv; charset=utf-8");
    assert!(file.header("content-disposition").starts_with("attachment; filename=\"messages "));
    alice.get("/items/messages?export=xml").await.refused(400, "INVALID_QUERY");
    server.stop().await;
}

#[tokio::test]
async fn the_newest_messages_of_memory_are_not_taken_for_another_order() {
    let server = TestServer::at_noon(|_| {}).await;
    let (alice, _) = conversation(&server).await;

    for (sort, ids) in [
        ("-date_created", [3, 2, 1]),
        ("-year(date_created),id", [1, 2, 3]),
        ("-date_created,-user_created.first_name", [3, 2, 1]),
        ("-date_created,id", [1, 2, 3]),
    ] {
        let found = alice.get(&format!("/items/messages?fields=id&limit=3&sort={sort}")).await.ok();
        let expected: Vec<Json> = ids.iter().map(|id| json!({"id": id})).collect();
        assert_eq!(found, Json::Array(expected), "{sort}");
    }
    server.stop().await;
}
