//! `/activity` and `/revisions`: the authors of changes, and earlier versions of messages.

use serde_json::Value as Json;
use serde_json::json;
use sqlx::{Connection, Row as _, SqliteConnection};

use crate::support::error;
use crate::support::{Permission, Socket, TestServer, User};

const NOON: &str = "2026-01-31T12:00:00.000Z";

/// Returns the actions on a message, oldest first.
async fn done(admin: &User, id: i64) -> Vec<String> {
    let path = format!(
        "/activity?filter[collection][_eq]=messages&filter[item][_eq]={id}&fields=action&sort=timestamp"
    );
    let list = admin.get(&path).await.ok();
    let names = list.as_array().unwrap().iter().map(|line| line["action"].as_str().unwrap());
    names.map(str::to_owned).collect()
}

async fn revisions(reader: &User, id: i64) -> Json {
    let path = format!(
        "/revisions?filter[collection][_eq]=messages&filter[item][_eq]={id}&fields=data,delta"
    );
    reader.get(&path).await.ok()
}

#[tokio::test]
async fn each_change_of_an_item_is_an_activity_entry() {
    let server = TestServer::at_noon(|_| {}).await;
    let (admin, alice) = (server.admin().await, server.member("alice").await);
    let id = alice.say("hi").await;
    let path = format!("/items/messages/{id}");
    alice.patch(&path, &json!({"content": "hello"})).await.ok();
    admin.delete(&path).await.nothing();

    let lines = admin.get("/activity?filter[collection][_eq]=messages").await.ok();

    let line = |place: usize, action: &str, user: &User| {
        json!({
            "id": lines[place]["id"], "action": action, "user": user.id, "timestamp": NOON,
            "ip": null, "user_agent": null, "collection": "messages", "item": "1", "comment": null,
            "revisions": if action == "delete" { json!([]) } else { json!([lines[place]["id"]]) },
        })
    };
    let expected =
        json!([line(0, "create", &alice), line(1, "update", &alice), line(2, "delete", &admin)]);
    assert_eq!(lines, expected);
    let one =
        admin.get(&format!("/activity/{}?fields=action,user.first_name", lines[0]["id"])).await;
    assert_eq!(one.ok(), json!({"action": "create", "user": {"first_name": "alice"}}));
    let newest = "/activity?sort=-timestamp&limit=1&fields=action,item&meta=total_count";
    let newest = admin.get(newest).await;
    assert_eq!(newest.ok(), json!([{"action": "delete", "item": "1"}]));
    assert!(newest.body["meta"]["total_count"].as_i64().unwrap() > 3, "{}", newest.text);
    let counted = "/activity?filter[collection][_eq]=messages&aggregate[count]=*&groupBy[]=action";
    assert_eq!(admin.get(counted).await.ok().as_array().unwrap().len(), 3);
    let csv = admin.get("/activity?export=csv&limit=1").await;
    assert_eq!((csv.status, csv.header("content-type")), (200, "text/csv; charset=utf-8"));
    server.stop().await;
}

#[tokio::test]
async fn bulk_changes_have_one_activity_entry_per_item_in_order() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let list = json!([{"content": "a"}, {"content": "b"}, {"content": "c"}]);
    admin.post("/items/messages", &list).await.ok();
    let same = json!({"keys": [3, 1], "data": {"content": "x"}});
    admin.patch("/items/messages", &same).await.ok();
    admin.patch("/items/messages/1", &json!({"content": "y"})).await.ok();
    admin.delete_many("/items/messages", &json!([1, 2])).await.nothing();

    let path = "/activity?filter[collection][_eq]=messages&fields=action,item";
    let lines = admin.get(path).await.ok();

    let lines: Vec<(&str, &str)> = lines
        .as_array()
        .unwrap()
        .iter()
        .map(|line| (line["action"].as_str().unwrap(), line["item"].as_str().unwrap()))
        .collect();
    assert_eq!(
        lines,
        [
            ("create", "1"),
            ("create", "2"),
            ("create", "3"),
            ("update", "3"),
            ("update", "1"),
            ("update", "1"),
            ("delete", "1"),
            ("delete", "2"),
        ]
    );
    assert_eq!(done(&admin, 1).await, ["create", "update", "update", "delete"]);
    let deltas = revisions(&admin, 1).await;
    let contents: Vec<&Json> =
        deltas.as_array().unwrap().iter().map(|one| &one["delta"]["content"]).collect();
    assert_eq!(contents, ["a", "x", "y"]);
    server.stop().await;
}

#[tokio::test]
async fn a_revision_holds_the_row_and_the_delta() {
    let server = TestServer::at_noon(|config| config.query.require_content = false).await;
    let (admin, alice) = (server.admin().await, server.member("alice").await);
    let id = alice.say("one").await;
    let path = format!("/items/messages/{id}");
    server.clock.advance(std::time::Duration::from_millis(1234));
    alice.patch(&path, &json!({"content": null})).await.ok();
    alice.patch(&path, &json!({"content": "{\"two\": 2}"})).await.ok();

    let later = "2026-01-31T12:00:01.234Z";
    let message = |content: Json, user: Json, at: Json| {
        json!({"id": id, "user_created": alice.id, "date_created": NOON, "content": content,
            "user_updated": user, "date_updated": at, "guest": null})
    };
    let (first, by, at) =
        (message(json!("one"), Json::Null, Json::Null), json!(alice.id), json!(later));
    let expected = json!([
        {"data": first, "delta": first},
        {"data": message(Json::Null, by.clone(), at.clone()),
            "delta": {"content": null, "user_updated": by, "date_updated": at}},
        {"data": message(json!("{\"two\": 2}"), by.clone(), at.clone()),
            "delta": {"content": "{\"two\": 2}"}},
    ]);
    assert_eq!(revisions(&admin, id).await, expected);
    // Revisions stay when the message is deleted.
    alice.delete(&path).await.nothing();
    assert_eq!(revisions(&admin, id).await, expected);

    let whole = admin.get("/revisions?limit=1&sort=-id").await.ok()[0].clone();
    let place = format!("/revisions/{}?fields=activity.action,collection,item", whole["id"]);
    let named = json!({"activity": {"action": "update"}, "collection": "messages", "item": "1"});
    assert_eq!(admin.get(&place).await.ok(), named);
    assert_eq!(whole["activity"], whole["id"]);
    let nested = admin.get("/activity?filter[action][_eq]=create&filter[collection][_eq]=messages&fields=revisions.delta.*").await;
    assert!(nested.status < 500, "{}", nested.text);
    let nested = "/activity?filter[action][_eq]=create&filter[collection][_eq]=messages&fields=revisions.data";
    assert_eq!(admin.get(nested).await.ok(), json!([{"revisions": [{"data": first}]}]));
    server.stop().await;
}

#[tokio::test]
async fn activity_records_sign_ins_but_not_their_bookkeeping() {
    let server = TestServer::at_noon(|_| {}).await;
    let (admin, alice) = (server.admin().await, server.member("alice").await);
    server.clock.advance(std::time::Duration::from_secs(1));
    let login = json!({"email": alice.email, "password": alice.password});
    let request = server.anonymous().request("POST", "/auth/login");
    let request = request.header("user-agent", "a browser").json(&login);
    crate::support::Answer::to(request).await.ok();
    let refresh = json!({"refresh_token": alice.refresh_token});
    server.anonymous().post("/auth/refresh", &refresh).await.ok();

    let path = format!("/activity?filter[user][_eq]={}&fields=*&sort=-id", alice.id);
    let lines = admin.get(&path).await.ok();

    let lines = lines.as_array().unwrap();
    assert_eq!(lines.len(), 2, "{lines:#?}");
    let later = "2026-01-31T12:00:01.000Z";
    for (line, (agent, at)) in lines.iter().zip([(json!("a browser"), later), (Json::Null, NOON)]) {
        assert_eq!(
            *line,
            json!({"id": line["id"], "action": "login", "user": alice.id, "timestamp": at,
                "ip": "127.0.0.1", "user_agent": agent, "collection": "directus_users",
                "item": alice.id, "comment": null, "revisions": []})
        );
    }
    // A new password is recorded as a change, although it is hidden.
    admin.patch(&format!("/users/{}", alice.id), &json!({"password": "a new one"})).await.ok();
    let path = format!("/activity?filter[item][_eq]={}&sort=-id&limit=1", alice.id);
    assert_eq!(admin.get(&path).await.ok()[0]["action"], "update");
    server.stop().await;
}

#[tokio::test]
async fn activity_and_revisions_are_read_only() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    admin.say("hi").await;
    let before = admin.get("/activity?fields=*").await.ok();
    let id = before.as_array().unwrap().last().unwrap()["id"].clone();
    let mut socket = Socket::signed_in(&server, &admin).await;

    for path in ["/activity", "/revisions"] {
        for (method, path) in [
            ("POST", path.to_owned()),
            ("PATCH", path.to_owned()),
            ("DELETE", path.to_owned()),
            ("PATCH", format!("{path}/{id}")),
            ("DELETE", format!("{path}/{id}")),
        ] {
            let answer = admin.send_json(method, &path, &json!({"keys": [id], "data": {}})).await;
            answer.refused(404, "ROUTE_NOT_FOUND");
        }
    }
    for collection in ["directus_activity", "directus_revisions"] {
        admin.delete(&format!("/items/{collection}/{id}")).await.refused(403, "FORBIDDEN");
        for action in ["create", "read", "update", "delete"] {
            let frame = json!({"type": "items", "action": action, "collection": collection, "id": id, "data": {}});
            assert_eq!(error(&socket.ask(&frame).await).1, "INVALID_COLLECTION");
        }
        // The collection has no events, so the subscription is refused instead of waiting for some.
        let answer = socket.subscribe("h", json!({"collection": collection})).await;
        assert_eq!(error(&answer).1, "INVALID_COLLECTION");
    }
    let permissions =
        ["create", "update", "delete"].map(|action| Permission::to(action, "directus_activity"));
    let mighty = server.user_with("mighty", &permissions).await;
    mighty.get("/activity").await.refused(403, "FORBIDDEN");
    mighty.get(&format!("/revisions/{id}")).await.refused(403, "FORBIDDEN");

    let path = format!("/activity?fields=*&filter[id][_lte]={id}");
    assert_eq!(admin.get(&path).await.ok(), before);
    server.stop().await;
}

#[tokio::test]
async fn activity_and_revisions_contain_no_secrets() {
    let server = TestServer::start().await;
    let (admin, alice) = (server.admin().await, server.member("alice").await);
    let token = "a-static-token-that-nobody-may-see";
    let secrets = json!({"password": "another secret password", "token": token,
        "auth_data": {"refreshToken": "of a provider"}, "email": "new@example.com"});
    admin.patch(&format!("/users/{}", alice.id), &secrets).await.ok();
    admin.patch("/settings", &json!({"auth_password_policy": "/^.{8,}$/"})).await.ok();
    let mut database =
        SqliteConnection::connect(&format!("sqlite:{}", server.database().display()))
            .await
            .unwrap();
    let seeds = sqlx::query("select seed from directus_sessions union select token from directus_users where token is not null union select password from directus_users where password is not null")
        .fetch_all(&mut database)
        .await
        .unwrap();
    database.close().await.unwrap();
    let mut hidden: Vec<String> = seeds.iter().map(|row| row.get::<String, _>(0)).collect();
    assert!(hidden.len() >= 4, "{hidden:?}");
    hidden.extend(
        [
            "another secret password",
            token,
            "of a provider",
            "new@example.com",
            "$argon2id",
            "/^.{8,}$/",
        ]
        .map(str::to_owned),
    );
    hidden.extend([alice.refresh_token.clone(), alice.token.clone(), alice.password.clone()]);

    let shown = [
        admin.get("/activity?limit=-1&fields=*,revisions.*").await,
        admin.get("/revisions?limit=-1&fields=*,activity.*").await,
        admin.get("/activity?limit=-1&export=csv").await,
    ];

    for answer in shown {
        assert_eq!(answer.status, 200);
        for secret in &hidden {
            assert!(!answer.text.contains(secret), "{secret}");
        }
    }
    let path = format!("/activity?filter[item][_eq]={}&filter[action][_eq]=update", alice.id);
    assert_eq!(admin.get(&path).await.ok()[0]["collection"], "directus_users");
    server.stop().await;
}

#[tokio::test]
async fn log_truncation_removes_activity_and_revisions() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    for content in ["a", "b"] {
        admin.say(content).await;
    }
    admin.patch("/items/messages/1", &json!({"content": "c"})).await.ok();
    admin.patch("/items/messages/1", &json!({"content": "d"})).await.ok();
    assert_eq!(done(&admin, 1).await, ["create", "update", "update"]);
    let mut database =
        SqliteConnection::connect(&format!("sqlite:{}", server.database().display()))
            .await
            .unwrap();

    sqlx::query("delete from event_log where seq < (select max(seq) from event_log)")
        .execute(&mut database)
        .await
        .unwrap();

    assert_eq!(done(&admin, 1).await, ["update"]);
    assert_eq!(done(&admin, 2).await, Vec::<String>::new());
    let left = revisions(&admin, 1).await;
    assert_eq!((left[0]["data"]["content"].as_str(), &left[1]), (Some("d"), &Json::Null));
    // With an empty log, the next change is the first line.
    sqlx::query("delete from event_log").execute(&mut database).await.unwrap();
    database.close().await.unwrap();
    assert_eq!(admin.get("/activity").await.ok(), json!([]));
    let id = admin.say("e").await;
    assert_eq!(done(&admin, id).await, ["create"]);
    let server = server.restart().await;
    assert_eq!(done(&server.admin().await, id).await, ["create"]);
    server.stop().await;
}
