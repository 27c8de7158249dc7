//! The parts of the query language that change the shape of a response, on the wire.

use serde_json::Value as Json;
use serde_json::json;

use crate::support::{TestServer, User};

/// Creates two messages of Alice's and one of Bob's, all at noon.
async fn conversation(server: &TestServer) -> (User, User) {
    let (alice, bob) = (server.member("alice").await, server.member("bob").await);
    alice.say("Apple").await;
    alice.say("banana").await;
    bob.say("cherry").await;
    (alice, bob)
}

#[tokio::test]
async fn queries_support_aggregates_aliases_and_date_parts() {
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
async fn deep_limits_apply_to_nested_lists() {
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
async fn lists_can_be_exported_as_csv() {
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
async fn the_message_cache_serves_only_its_own_sort_order() {
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

#[tokio::test]
async fn filters_on_empty_relations_use_left_joins() {
    let server = TestServer::start().await;
    let (alice, bob) = conversation(&server).await;
    let admin = server.admin().await;
    bob.patch("/items/messages/3", &json!({"content": "cherries"})).await.ok();
    admin.patch(&format!("/users/{}", bob.id), &json!({"first_name": null})).await.ok();
    admin.post("/roles", &json!({"name": "Empty"})).await.ok();
    let ids = async |filter: Json| {
        let query = json!({"filter": filter, "fields": ["id"]});
        alice.search("/items/messages", &json!({"query": query})).await.ok()
    };

    // The messages that were never edited, and the one edited by an account without a name.
    let never = json!([{"id": 1}, {"id": 2}]);
    let all = json!([{"id": 1}, {"id": 2}, {"id": 3}]);
    for (behind, expected) in [
        (json!({"first_name": {"_null": true}}), &all),
        (json!({"first_name": {"_empty": true}}), &all),
        (json!({"id": {"_null": true}}), &never),
        (json!({"first_name": {"_nnull": true}}), &json!([])),
        (json!({"first_name": {"_neq": "x"}}), &json!([])),
        (json!({"id": {"_nnull": true}}), &json!([{"id": 3}])),
    ] {
        assert_eq!(&ids(json!({"user_updated": behind})).await, expected, "{behind}");
    }
    for none in [
        "filter[users][_null]=true",
        "filter[users][id][_null]=true",
        "filter[users][_nnull]=false",
        "filter[users][_none][id][_nnull]=true",
    ] {
        let empty = admin.get(&format!("/roles?fields=name&{none}")).await.ok();
        assert_eq!(empty, json!([{"name": "Empty"}]), "{none}");
    }
    let some = admin.get("/roles?fields=name&filter[users][_nnull]=true&sort=name").await.ok();
    assert_eq!(some, json!([{"name": "Administrator"}, {"name": "Member"}]));
    let nameless = admin.get("/roles?fields=name&filter[users][first_name][_null]=true&sort=name");
    assert_eq!(nameless.await.ok(), json!([{"name": "Empty"}, {"name": "Member"}]));
    let of_bob = admin.get(&format!("/roles?fields=name&filter[users]={}", bob.id)).await.ok();
    assert_eq!(of_bob, json!([{"name": "Member"}]));
    server.stop().await;
}

#[tokio::test]
async fn lists_may_have_a_trailing_comma() {
    let server = TestServer::start().await;
    let (alice, _) = conversation(&server).await;
    let both = json!([{"id": 1}, {"id": 2}]);

    for query in [
        "fields=id&filter[id][_in]=1,2,",
        "fields=id,&filter[id][_between]=1,2,",
        "fields=id&sort=id,&filter[id][_in]=2,%201,%20",
        "fields=id&filter[id][_nin]=3,",
        "fields=id&filter[content][_in]=Apple,banana,",
        "fields=id&limit=2&meta=filter_count,",
    ] {
        assert_eq!(alice.get(&format!("/items/messages?{query}")).await.ok(), both, "{query}");
    }
    for query in ["filter[id][_in]=1,,2", "filter[id][_in]=,1", "filter[id][_in]=,"] {
        alice.get(&format!("/items/messages?{query}")).await.refused(400, "INVALID_QUERY");
    }
    server.stop().await;
}

#[tokio::test]
async fn numbers_are_kept_or_refused_and_never_rounded() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;
    let long = "123456789012345678901234567890";
    let send = async |body: String| {
        let request = alice.request("POST", "/items/messages");
        let request = request.header("content-type", "application/json").body(body);
        crate::support::Answer::to(request).await
    };

    for number in [long, "1e400", "9007199254740993.0"] {
        let refused = send(format!("{{\"content\":{number}}}")).await;
        refused.refused(400, "INVALID_PAYLOAD");
        assert!(refused.message().contains("send it as a string"), "{}", refused.text);
    }
    for number in ["9007199254740993", "-9223372036854775808", "18446744073709551615"] {
        assert_eq!(send(format!("{{\"content\":{number}}}")).await.ok()["content"], number);
    }
    assert_eq!(send(format!("{{\"content\":\"{long}\"}}")).await.ok()["content"], long);
    for (query, count) in [
        ("filter={\"content\":{\"_eq\":9007199254740993}}", 1),
        ("filter={\"content\":{\"_eq\":9007199254740992}}", 0),
        ("filter[content][_eq]=123456789012345678901234567890", 1),
        ("filter[id][_eq]=9007199254740993.0", 0),
        ("filter[id][_lt]=9007199254740993.0", 4),
    ] {
        let found = alice.get(&format!("/items/messages?fields=id&{query}")).await.ok();
        assert_eq!(found.as_array().unwrap().len(), count, "{query}");
    }
    let filter = format!("filter={{\"content\":{{\"_eq\":{long}}}}}");
    let refused = alice.get(&format!("/items/messages?{filter}")).await;
    refused.refused(400, "INVALID_QUERY");
    assert!(refused.message().contains(long), "{}", refused.text);
    let text = json!({"query": {"filter": format!("{{\"content\":{{\"_eq\":{long}}}}}")}});
    alice.search("/items/messages", &text).await.refused(400, "INVALID_QUERY");
    server.stop().await;
}
