//! Reading items: lists, single ones, `SEARCH`, and the query language on the wire.

use serde_json::Value as Json;
use serde_json::json;

use crate::support::{TestServer, User};

/// Creates three messages of Alice's and one of Bob's.
async fn conversation(server: &TestServer) -> (User, User) {
    let (alice, bob) = (server.member("alice").await, server.member("bob").await);
    for content in ["Apple", "banana", "cherry"] {
        alice.say(content).await;
    }
    bob.say("Banana").await;
    (alice, bob)
}

#[tokio::test]
async fn a_message_returns_plain_fields_and_relation_keys() {
    let server = TestServer::at_noon(|_| {}).await;
    let (alice, _) = conversation(&server).await;

    let first = json!({"id": 1, "user_created": alice.id,
        "date_created": "2026-01-31T12:00:00.000Z", "content": "Apple"});
    assert_eq!(alice.get("/items/messages/1").await.text, json!({"data": first}).to_string());
    let list = alice.get("/items/messages?limit=1").await;
    assert_eq!(list.text, json!({"data": [first]}).to_string());
    server.stop().await;
}

#[tokio::test]
async fn list_queries_return_the_matching_items() {
    let server = TestServer::start().await;
    let (alice, _) = conversation(&server).await;

    for (query, ids) in [
        ("", vec![1, 2, 3, 4]),
        ("sort=-id", vec![4, 3, 2, 1]),
        ("sort=-date_created&limit=2", vec![4, 3]),
        ("sort=user_created.first_name,-id", vec![3, 2, 1, 4]),
        ("limit=2", vec![1, 2]),
        ("limit=2&offset=1", vec![2, 3]),
        ("limit=2&page=2", vec![3, 4]),
        ("limit=2&page=3", vec![]),
        ("limit=0", vec![]),
        ("limit=-1", vec![1, 2, 3, 4]),
        ("search=BANANA", vec![2, 4]),
        ("search=%20banana%20", vec![2, 4]),
        ("search=%25", vec![]),
        ("filter[content][_eq]=banana", vec![2]),
        ("filter[content][_neq]=banana", vec![1, 3, 4]),
        ("filter[content][_contains]=an", vec![2, 4]),
        ("filter[content][_icontains]=BAN", vec![2, 4]),
        ("filter[content][_starts_with]=b", vec![2]),
        ("filter[content][_in]=Apple,cherry", vec![1, 3]),
        ("filter[content][_null]=true", vec![]),
        ("filter[id][_gt]=1&filter[id][_lte]=3", vec![2, 3]),
        ("filter[id][_between]=2,3", vec![2, 3]),
        ("filter[_or][0][id][_eq]=1&filter[_or][1][content][_eq]=cherry", vec![1, 3]),
        ("filter={\"_and\":[{\"id\":{\"_gte\":2}},{\"id\":{\"_lt\":4}}]}", vec![2, 3]),
        ("filter[user_created][first_name][_eq]=bob", vec![4]),
        ("filter[user_created][_eq]=$CURRENT_USER", vec![1, 2, 3]),
        ("filter[date_created][_gt]=$NOW(-1%20hour)", vec![1, 2, 3, 4]),
        ("filter[date_created][_lt]=$NOW(-1%20hour)", vec![]),
        ("filter={}", vec![1, 2, 3, 4]),
    ] {
        let found = alice.get(&format!("/items/messages?fields=id&{query}")).await.ok();
        let found: Vec<i64> =
            found.as_array().unwrap().iter().map(|item| item["id"].as_i64().unwrap()).collect();
        assert_eq!(found, ids, "{query}");
    }
    server.stop().await;
}

#[tokio::test]
async fn the_fields_parameter_selects_the_returned_fields() {
    let server = TestServer::start().await;
    let (alice, _) = conversation(&server).await;
    let author = json!({"id": alice.id, "first_name": "alice", "last_name": null});

    for (fields, expected) in [
        ("content,id", json!({"content": "Apple", "id": 1})),
        ("id,%20content", json!({"id": 1, "content": "Apple"})),
        ("user_created.first_name", json!({"user_created": {"first_name": "alice"}})),
        ("id,user_created.*", json!({"id": 1, "user_created": author})),
    ] {
        let one = alice.get(&format!("/items/messages/1?fields={fields}")).await;
        assert_eq!(one.text, json!({"data": expected}).to_string(), "{fields}");
    }
    let all = alice.get("/items/messages/1?fields=*,user_created.first_name").await.ok();
    assert_eq!(all["user_created"], json!({"first_name": "alice"}));
    assert_eq!(all["content"], "Apple");
    let brackets = alice.get("/items/messages?fields[]=id&fields[]=content&limit=1").await.ok();
    assert_eq!(brackets, json!([{"id": 1, "content": "Apple"}]));
    server.stop().await;
}

#[tokio::test]
async fn meta_returns_total_and_filtered_counts() {
    let server = TestServer::start().await;
    let (alice, _) = conversation(&server).await;

    let path = "/items/messages?filter[content][_icontains]=banana&limit=1&fields=id&meta=";
    let meta = async |meta: &str| alice.get(&format!("{path}{meta}")).await.body["meta"].clone();

    assert_eq!(meta("*").await, json!({"total_count": 4, "filter_count": 2}));
    assert_eq!(meta("filter_count").await, json!({"filter_count": 2}));
    assert_eq!(
        meta("total_count,filter_count").await,
        json!({"total_count": 4, "filter_count": 2})
    );
    assert_eq!(meta("").await, Json::Null);
    server.stop().await;
}

#[tokio::test]
async fn search_takes_the_query_or_keys_from_the_body() {
    let server = TestServer::start().await;
    let (alice, _) = conversation(&server).await;
    let ids = |answer: &crate::support::Answer| answer.ok();

    let query = json!({"query": {"filter": {"id": {"_gt": 2}}, "fields": ["id"]}});
    let found = alice.search("/items/messages", &query).await;
    assert_eq!(ids(&found), json!([{"id": 3}, {"id": 4}]));
    let keys = json!({"keys": [4, "1", 99], "query": {"fields": "id"}});
    let found = alice.search("/items/messages", &keys).await;
    assert_eq!(ids(&found), json!([{"id": 1}, {"id": 4}]));
    let found = alice.search("/items/messages?limit=1&fields=id", &json!({})).await;
    assert_eq!(ids(&found), json!([{"id": 1}]));
    let found = alice
        .search("/items/messages?limit=1&fields=id", &json!({"query": {"fields": ["id"]}}))
        .await;
    assert_eq!(ids(&found).as_array().unwrap().len(), 4);
    alice.search("/items/messages", &json!({"x": 1})).await.refused(400, "INVALID_PAYLOAD");
    server.stop().await;
}

#[tokio::test]
async fn missing_items_return_forbidden_instead_of_not_found() {
    let server = TestServer::start().await;
    let (alice, _) = conversation(&server).await;

    for path in [
        "/items/messages/99",
        "/items/messages/abc",
        "/items/messages/1.5",
        "/items/messages/1%20or%201=1",
        "/items/messages/99999999999999999999",
        "/items/messages/1?filter[content][_eq]=other",
    ] {
        let words = "You don't have permission to access this.";
        alice.get(path).await.refused_with(403, "FORBIDDEN", words);
    }
    server.stop().await;
}

#[tokio::test]
async fn lists_have_a_default_and_a_maximum_limit() {
    let server = TestServer::with(|config| {
        config.query.limit_default = 3;
        config.query.limit_max = Some(5);
    })
    .await;
    let alice = server.member("alice").await;
    let eight: Vec<Json> = (0..8).map(|number| json!({"content": number})).collect();
    // The limit applies to reads: the response to a create is complete.
    assert_eq!(
        alice.post("/items/messages", &json!(eight)).await.ok().as_array().unwrap().len(),
        8
    );
    let count = async |query: &str| {
        let answer = alice.get(&format!("/items/messages{query}")).await;
        answer.body["data"].as_array().map(Vec::len)
    };

    assert_eq!(count("").await, Some(3));
    assert_eq!(count("?limit=4").await, Some(4));
    assert!(count("?limit=-1").await.is_none_or(|count| count <= 5));
    assert!(count("?limit=8").await.is_none_or(|count| count <= 5));
    // Nor does it limit the items that a change by query selects.
    let query = json!({"query": {"filter": {"id": {"_gt": 0}}, "limit": -1}});
    server.admin().await.delete_many("/items/messages", &query).await.nothing();
    assert_eq!(count("").await, Some(0));
    server.stop().await;
}
