//! Cache keys include everything that the response depends on: class 20. (IP addresses:
//! `permissions/addresses.rs`.)

use serde_json::Value as Json;
use serde_json::json;

use crate::support::{Answer, Permission, Socket, TestServer, User};

/// Returns two accounts with a common role that shows each their own items, a third that reads
/// fewer fields of all items, and an administrator.
async fn people(server: &TestServer) -> Vec<User> {
    let own = json!({"user_created": {"_eq": "$CURRENT_USER"}});
    let rights = [Permission::to("read", "messages").on(own), Permission::to("create", "messages")];
    let first = server.user_with("first", &rights).await;
    let admin = server.admin().await;
    let role = admin.get(&format!("/users/{}?fields=role", first.id)).await.ok()["role"].clone();
    let account = json!({"email": "second@example.com", "password": "second's password",
        "role": role});
    let id = admin.post("/users", &account).await.ok()["id"].as_str().unwrap().to_owned();
    let open = server.anonymous();
    let second = User::sign_in(&open, &id, "second@example.com", "second's password").await;
    let little = [Permission::to("read", "messages").fields(&["id"])];
    vec![first, second, server.user_with("third", &little).await, admin]
}

/// Class 20: different accounts send the same query in turn, and each gets their own response.
#[tokio::test]
async fn class_20_each_account_gets_its_own_response_to_a_query() {
    let server = TestServer::start().await;
    let people = people(&server).await;
    for (person, content) in people.iter().zip(["first's", "second's"]) {
        person.say(content).await;
    }
    let row = |id: i64, content: &str| json!({"id": id, "content": content});
    let seen = [
        json!([row(1, "first's")]),
        json!([row(2, "second's")]),
        json!([{"id": 1}, {"id": 2}]),
        json!([row(1, "first's"), row(2, "second's")]),
    ];
    let mut sockets = Vec::new();
    for person in &people {
        sockets.push(Socket::signed_in(&server, person).await);
    }
    let fields = |place: usize| if place == 2 { "id" } else { "id,content" };

    let mut tags: Vec<String> = Vec::new();
    for turn in 0..3 {
        for (place, person) in people.iter().enumerate() {
            let query = format!("/items/messages?fields={}", fields(place));
            let plain = person.get(&query).await;
            assert_eq!(plain.ok(), seen[place], "{turn} {place}");
            // The entity tag of another account's response never yields a 304.
            for tag in &tags {
                let request = person.request("GET", &query).header("if-none-match", tag);
                assert_eq!(Answer::to(request).await.ok(), seen[place]);
            }
            if !plain.header("etag").is_empty() {
                tags.push(plain.header("etag").to_owned());
            }
            let caching = plain.header("cache-control");
            assert!(!caching.contains("public") && !caching.contains("max-age"), "{caching}");

            let search = json!({"query": {"fields": fields(place), "sort": "-id", "limit": 10}});
            let mut newest = seen[place].as_array().unwrap().clone();
            newest.reverse();
            let found = person.search("/items/messages", &search).await.ok();
            assert_eq!(found, Json::from(newest), "{turn} {place}");

            let read = json!({"type": "items", "collection": "messages", "action": "read",
                "query": {"fields": fields(place)}});
            assert_eq!(sockets[place].ask(&read).await["data"], seen[place], "{turn} {place}");
            let query = json!({"query": {"fields": fields(place)}});
            let first = sockets[place].subscribe("s", query).await;
            assert_eq!(first["data"], seen[place], "{turn} {place}");

            let me = person.get("/permissions/me").await.ok();
            assert_eq!(me["messages"]["create"]["access"] == "full", place != 2, "{place}: {me}");
        }
    }
    server.stop().await;
}

/// Class 20: a change of permissions takes effect with the next response.
#[tokio::test]
async fn class_20_permission_changes_apply_to_the_next_response() {
    let server = TestServer::start().await;
    let people = people(&server).await;
    let (first, admin) = (&people[0], &people[3]);
    first.say("first's").await;
    let path = "/permissions?filter[collection][_eq]=messages&filter[action][_eq]=read\
                &filter[permissions][_nnull]=true&fields=id,permissions,fields&limit=-1";
    let all = admin.get(path).await.ok();
    let own = all
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["permissions"].to_string().contains("CURRENT_USER"));
    let permission = format!("/permissions/{}", own.unwrap()["id"]);

    for _ in 0..3 {
        assert_eq!(
            first.get("/items/messages?fields=content").await.ok(),
            json!([{"content": "first's"}])
        );
        admin.patch(&permission, &json!({"fields": ["id"]})).await.ok();
        first.get("/items/messages?fields=content").await.refused(403, "FORBIDDEN");
        let nothing = json!({"fields": ["*"], "permissions": {"id": {"_eq": 404}}});
        admin.patch(&permission, &nothing).await.ok();
        assert_eq!(first.get("/items/messages?fields=content").await.ok(), json!([]));
        let own = json!({"permissions": {"user_created": {"_eq": "$CURRENT_USER"}}});
        admin.patch(&permission, &own).await.ok();
    }
    server.stop().await;
}
