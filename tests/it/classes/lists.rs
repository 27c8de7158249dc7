//! Class 14: a short query that reads very many items.
//!
//! Roles have users and users have a role, so each step through both multiplies the work.

use serde_json::Value as Json;
use serde_json::json;

use crate::support::{Permission, Socket, TestServer};

const USERS: usize = 60;

/// Returns a condition on a user that goes to the role and its users and back, `times` times.
fn looking_through(times: usize) -> Json {
    (0..times).fold(
        json!({"id": {"_nnull": true}}),
        |inner, _| json!({"role": {"users": {"_some": inner}}}),
    )
}

#[tokio::test]
async fn class_14_filters_with_multiplying_cost_are_refused() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let role = admin.post("/roles", &json!({"name": "crowd"})).await.ok()["id"].clone();
    let crowd: Vec<Json> = (0..USERS)
        .map(|number| json!({"email": format!("{number}@example.com"), "role": role}))
        .collect();
    let crowd = admin.post("/users?fields=id", &json!(crowd)).await.ok();
    let one = crowd[0]["id"].clone();
    let reader = server
        .user_with(
            "reader",
            &[
                Permission::to("read", "directus_users").fields(&["id", "first_name", "role"]),
                Permission::to("read", "directus_roles").fields(&["id", "name", "users"]),
            ],
        )
        .await;

    // A condition on nested items, which is evaluated in memory.
    let shown = |times| {
        json!({"query": {
            "fields": ["id", "role.id"],
            "filter": {"id": {"_eq": one}},
            "deep": {"role": {"_filter": looking_through(times)["role"]}},
        }})
    };
    assert_eq!(reader.search("/users", &shown(2)).await.ok()[0]["role"]["id"], role);
    for times in [4, 6] {
        reader.search("/users", &shown(times)).await.refused(400, "INVALID_QUERY");
    }
    // A condition of a subscription: its client gets the error. Other subscriptions are unaffected.
    let mut socket = Socket::signed_in(&server, &reader).await;
    socket
        .subscribe(
            "small",
            json!({"collection": "directus_users", "event": "update",
            "query": {"fields": ["id"]}}),
        )
        .await;
    let large = json!({"type": "subscribe", "collection": "directus_users", "event": "update",
        "uid": "large", "query": {"fields": ["id"], "filter": looking_through(5)}});
    socket.ask(&large).await;
    let path = format!("/users/{}", one.as_str().unwrap());
    admin.patch(&path, &json!({"first_name": "changed"})).await.ok();
    let mut told = socket.next().await;
    while told["uid"] != "small" {
        told = socket.next().await;
    }
    assert_eq!(told["data"], json!([{"id": one}]));
    server.stop().await;
}
