//! Objects that were read and are sent back unchanged: no change, and no error.

use serde_json::Value as Json;
use serde_json::json;

use crate::support::{Permission, Socket, TestServer, User};

const PATHS: [&str; 5] = ["/users", "/roles", "/policies", "/permissions", "/access"];

/// Reads the tables that define rights, including their secrets as far as these are shown.
async fn state(admin: &User) -> Vec<Json> {
    let mut state = Vec::new();
    for path in PATHS {
        state.push(admin.get(&format!("{path}?limit=-1&sort=id")).await.ok());
    }
    state
}

async fn with_relations(server: &TestServer) -> User {
    let admin = server.admin().await;
    let payload = json!({"name": "team", "parent": {"name": "above"}, "children": [{"name": "below"}],
    "users": [{"email": "with@example.com", "password": "a long enough password", "token": "static"}],
    "policies": [{"policy": {"name": "p", "permissions": [
        {"collection": "messages", "action": "read", "fields": ["*"], "permissions": {"id": {"_gt": 0}}},
    ]}}]});
    admin.post("/roles", &payload).await.ok();
    admin
}

#[tokio::test]
async fn items_can_be_written_back_as_read() {
    let server = TestServer::start().await;
    let admin = with_relations(&server).await;
    let mut socket = Socket::signed_in(&server, &admin).await;
    let before = state(&admin).await;

    for path in PATHS {
        for fields in ["*", "*.*", "*.*.*"] {
            let all = admin.get(&format!("{path}?fields={fields}&limit=-1")).await.ok();
            for item in all.as_array().unwrap() {
                let id = item["id"].to_string().replace('"', "");
                let back = admin.patch(&format!("{path}/{id}?fields={fields}"), item).await.ok();
                assert_eq!(&back, item, "{path} {fields}");
                let same = json!({"keys": [item["id"]], "data": item});
                admin.patch(path, &same).await.ok();
            }
            let back = admin.patch(&format!("{path}?fields={fields}"), &all).await.ok();
            assert_eq!(back, all, "{path} {fields}");
        }
    }

    assert_eq!(state(&admin).await, before);
    // All sessions continue, and the secrets are unchanged.
    socket.ask(&json!({"type": "ping"})).await;
    server.anonymous().bearing("static").get("/users/me").await.ok();
    User::sign_in(&server.anonymous(), "", "with@example.com", "a long enough password").await;
    server.stop().await;
}

#[tokio::test]
async fn unchanged_nested_items_cause_no_event() {
    let server = TestServer::start().await;
    let admin = with_relations(&server).await;
    let mut socket = Socket::signed_in(&server, &admin).await;
    for collection in ["directus_users", "directus_roles", "directus_access", "directus_policies"] {
        socket.subscribe(collection, json!({"collection": collection, "event": "update"})).await;
    }
    let team = admin.get("/roles?filter[name]=team&fields=*.*").await.ok()[0].clone();
    let path = format!("/roles/{}", team["id"].as_str().unwrap());

    admin.patch(&path, &team).await.ok();
    assert_eq!(socket.next().await["uid"], "directus_roles");
    let mut renamed = team.clone();
    renamed["users"][0]["first_name"] = json!("With");
    admin.patch(&path, &renamed).await.ok();
    let mut told = [socket.next().await["uid"].clone(), socket.next().await["uid"].clone()];
    told.sort_by_key(Json::to_string);
    assert_eq!(told, ["directus_roles", "directus_users"]);
    socket.quiet().await;
    server.stop().await;
}

#[tokio::test]
async fn a_truncated_list_written_back_removes_no_items() {
    let server = TestServer::with(|config| config.query.limit_default = 2).await;
    let admin = server.admin().await;
    let users: Vec<Json> = (0..5).map(|n| json!({"email": format!("u{n}@example.com")})).collect();
    let team = admin.post("/roles?fields=*", &json!({"name": "team", "users": users})).await.ok();
    let path = format!("/roles/{}", team["id"].as_str().unwrap());
    let count = async || {
        let filter = format!("/users?filter[role]={}&limit=-1", team["id"].as_str().unwrap());
        admin.get(&filter).await.ok().as_array().unwrap().len()
    };

    let read = admin.get(&path).await.ok();
    assert_eq!(read["users"].as_array().unwrap().len(), 2);
    admin.patch(&path, &read).await.ok();
    let detailed = admin.get(&format!("{path}?fields=*,users.*")).await.ok();
    admin.patch(&path, &detailed).await.ok();
    assert_eq!(count().await, 5);
    // Another list replaces the members.
    admin.patch(&path, &json!({"users": [read["users"][0]]})).await.ok();
    assert_eq!(count().await, 1);
    server.stop().await;
}

#[tokio::test]
async fn managed_fields_are_accepted_if_unchanged_and_readable() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let own = json!({"id": "$CURRENT_USER"});
    let update =
        || Permission::to("update", "directus_users").fields(&["first_name"]).on(own.clone());
    let reader = [Permission::to("read", "directus_users"), update()];
    let reader = server.user_with("reader", &reader).await;
    let blind = [Permission::to("read", "directus_users").fields(&["id", "first_name"]), update()];
    let blind = server.user_with("blind", &blind).await;
    let kept = async |user: &User| {
        let path = format!("/users/{}?fields=id,first_name,last_access,tfa_secret", user.id);
        admin.get(&path).await.ok()
    };

    reader.patch("/users/me", &kept(&reader).await).await.ok();
    blind.patch("/users/me", &kept(&blind).await).await.refused(403, "FORBIDDEN");
    let sent = kept(&admin).await;
    let path = format!("/users/{}", admin.id);
    admin.patch(&path, &sent).await.ok();
    for (name, value) in
        [("last_access", json!("2001-01-01T00:00:00Z")), ("tfa_secret", json!("x"))]
    {
        let mut changed = sent.clone();
        changed[name] = value;
        admin.patch(&path, &changed).await.refused(400, "INVALID_PAYLOAD");
    }

    // A message that the account may edit can be sent back with its author and its date.
    let alice = server.member("alice").await;
    let id = alice.say("mine").await;
    let mut message = alice.get(&format!("/items/messages/{id}")).await.ok();
    message["content"] = json!("edited");
    let path = format!("/items/messages/{id}");
    assert_eq!(alice.patch(&path, &message).await.ok(), message);
    message["user_created"] = json!(admin.id);
    alice.patch(&path, &message).await.refused(403, "FORBIDDEN");
    server.stop().await;
}

#[tokio::test]
async fn a_mask_is_not_stored_as_a_secret() {
    let server = TestServer::start().await;
    let admin = with_relations(&server).await;
    let user = admin.get("/users?filter[email]=with@example.com").await.ok()[0].clone();
    let path = format!("/users/{}", user["id"].as_str().unwrap());

    admin.patch(&path, &json!({"password": "**********", "token": "**********"})).await.ok();
    server.anonymous().bearing("static").get("/users/me").await.ok();
    let login = json!({"email": "with@example.com", "password": "**********"});
    server.anonymous().post("/auth/login", &login).await.refused(401, "INVALID_CREDENTIALS");
    let new = json!({"email": "new@example.com", "password": "**********"});
    admin.post("/users", &new).await.refused(400, "INVALID_PAYLOAD");
    let new = json!({"email": "new@example.com", "token": "**********"});
    admin.post("/users", &new).await.refused(400, "INVALID_PAYLOAD");
    server.stop().await;
}
