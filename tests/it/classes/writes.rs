//! Which data a change may write, and that a refused change has no effect: classes 6 and 8.

use serde_json::Value as Json;
use serde_json::json;

use crate::classes::dump::assert_unchanged;
use crate::classes::dump::dump;
use crate::support::{Permission, Socket, TestServer, User};

/// Reads messages, accounts and permissions.
async fn state(admin: &User) -> Vec<Json> {
    let mut state = Vec::new();
    for path in [
        "/items/messages?fields=*,user_updated,date_updated",
        "/users?fields=id,email,first_name,role,status,token,policies.policy&sort=id",
        "/roles?sort=id",
        "/policies?sort=id",
        "/permissions?sort=id&limit=-1",
        "/access?sort=id",
    ] {
        state.push(admin.get(path).await.ok());
    }
    state
}

/// Updates a message of the account at every entry point.
async fn change_by_every_way(user: &User, socket: &mut Socket, id: i64, data: &Json) -> Vec<Json> {
    let path = "/items/messages";
    let mut each = data.clone();
    each["id"] = json!(id);
    let mut answers = vec![
        user.patch(&format!("{path}/{id}"), data).await.body,
        user.patch(path, &json!({"keys": [id], "data": data})).await.body,
        user.patch(path, &json!({"query": {"filter": {"id": id}}, "data": data})).await.body,
        user.patch(path, &json!([each])).await.body,
    ];
    let frame = |more: Json| {
        let mut frame = more;
        frame["type"] = json!("items");
        frame["collection"] = json!("messages");
        frame["action"] = json!("update");
        frame
    };
    for frame in [
        frame(json!({"id": id, "data": data})),
        frame(json!({"ids": [id], "data": data})),
        frame(json!({"query": {"filter": {"id": id}}, "data": data})),
        frame(json!({"data": [each]})),
    ] {
        answers.push(socket.ask(&frame).await);
    }
    answers
}

/// Class 6: the right to update a message does not allow changing its author or updating related
/// items, and other names for fields add no further ones.
#[tokio::test]
async fn class_6_updates_write_only_permitted_fields() {
    let server = TestServer::start().await;
    let (admin, member, other) =
        (server.admin().await, server.member("member").await, server.member("other").await);
    let all = [Permission::to("read", "messages"), Permission::to("update", "messages")];
    let mighty = server.user_with("mighty", &all).await;
    let id = member.say("hers").await;
    let mut socket = Socket::signed_in(&server, &member).await;
    let mut mighty_socket = Socket::signed_in(&server, &mighty).await;
    let before = state(&admin).await;
    let role = admin.get("/users/me?fields=role").await.ok()["role"].clone();

    for data in [
        json!({"user_created": other.id}),
        json!({"user_created": null}),
        json!({"user_created": {"id": other.id}}),
        json!({"user_created": {"id": member.id, "role": role}}),
        json!({"user_created": [other.id]}),
        json!({"user_created.role": role}),
        json!({"user_created[role]": role}),
        json!({"User_Created": other.id}),
        json!({"user_created ": other.id}),
        json!({"user_updated": other.id}),
        json!({"date_created": "2001-01-01T00:00:00Z"}),
        json!({"date_updated": "2001-01-01T00:00:00Z"}),
        json!({"__proto__": {"user_created": other.id}}),
        json!({"constructor": {"prototype": {"admin": true}}}),
        json!({"rowid": 4711}),
    ] {
        let answers = change_by_every_way(&member, &mut socket, id, &data).await;
        // Sockets drop this name from every frame, as in Directus.
        let dropped = data.get("__proto__").is_some();
        for (way, answer) in answers.iter().enumerate().filter(|_| !dropped) {
            assert!(
                answer.get("data").is_none() || answer["errors"].is_array(),
                "{data} {way}: {answer}"
            );
        }
        // With write access to all fields, unknown and server-managed fields are dropped.
        change_by_every_way(&mighty, &mut mighty_socket, id, &data).await;
        let now = state(&admin).await;
        let strip = |state: &[Json]| {
            let mut state = state.to_vec();
            for name in ["user_updated", "date_updated"] {
                state[0][0].as_object_mut().unwrap().remove(name);
            }
            state
        };
        assert_eq!(strip(&now), strip(&before), "{data}");
    }

    for data in [
        json!({"role": role}),
        json!({"policies": [{"policy": role}]}),
        json!({"status": "active", "role": role}),
        json!({"token": "a static token", "admin_access": true}),
        json!({"first_name": "x", "role": {"name": "mine", "policies": []}}),
    ] {
        member.patch("/users/me", &data).await.refused(403, "FORBIDDEN");
        member.patch(&format!("/users/{}", member.id), &data).await.refused(403, "FORBIDDEN");
        member.patch(&format!("/users/{}", other.id), &data).await.refused(403, "FORBIDDEN");
    }
    // The key selects the item, as in a list of changes, and is never changed.
    let key = json!({"id": admin.id});
    member.patch("/users/me", &key).await.ok();
    member.patch(&format!("/users/{}", other.id), &key).await.refused(403, "FORBIDDEN");
    assert_eq!(state(&admin).await[1..], before[1..]);
    server.stop().await;
}

/// Class 8: a change that is refused in any part leaves no row and no event, and is not published.
#[tokio::test]
async fn class_8_refused_changes_leave_no_trace() {
    let server = TestServer::start().await;
    let (admin, member) = (server.admin().await, server.member("member").await);
    let rule = json!({"content": {"_nstarts_with": "bad"}});
    let rights = [
        Permission::to("read", "messages"),
        Permission::to("create", "messages").fields(&["content"]).validation(rule),
    ];
    let writer = server.user_with("writer", &rights).await;
    admin.say("the administrator's").await;
    let (mine, second) = (member.say("mine").await, member.say("mine too").await);
    let mut witness = Socket::signed_in(&server, &admin).await;
    witness.subscribe("w", json!({})).await;
    let mut sockets =
        [Socket::signed_in(&server, &member).await, Socket::signed_in(&server, &writer).await];
    let before = dump(&server).await;
    let path = "/items/messages";
    let change = |id: i64| json!({"id": id, "content": "changed"});

    for (method, path, body) in [
        ("PATCH", path, json!([change(mine), change(1)])),
        ("PATCH", path, json!([change(mine), change(404)])),
        ("PATCH", path, json!([change(mine), {"content": "no key"}])),
        ("PATCH", path, json!([change(mine), {"id": second, "user_created": admin.id}])),
        ("PATCH", path, json!([change(mine), {"id": second, "nope": 1}])),
        ("PATCH", path, json!({"keys": [mine, 1], "data": {"content": "changed"}})),
        ("PATCH", path, json!({"keys": [mine, 404], "data": {"content": "changed"}})),
        ("PATCH", path, json!({"keys": [mine], "data": {"content": "changed", "nope": 1}})),
        ("PATCH", path, json!({"query": {"filter": {"nope": 1}}, "data": {"content": "changed"}})),
        ("DELETE", path, json!([mine, 1])),
        ("DELETE", path, json!({"keys": [mine, "404"]})),
        ("DELETE", path, json!({"query": {"filter": {"nope": 1}}})),
        ("POST", path, json!([{"content": "made"}, {"content": "made", "id": 77}])),
        ("POST", path, json!([{"content": "made"}, {"content": "ma\u{0}de"}])),
        ("POST", "/users", json!({"email": "new@example.com", "password": "longenough"})),
        ("POST", "/roles", json!([{"name": "x", "policies": [{"policy": {"name": "y"}}]}])),
        ("PATCH", "/users/me", json!({"first_name": "x", "role": null})),
    ] {
        let refused = member.send_json(method, path, &body).await;
        assert!([400, 403].contains(&refused.status), "{method} {path} {body}: {}", refused.text);
        assert!(dump(&server).await == before, "{method} {path} {body} changed the database");
    }
    let items = |action: &str, more: Json| {
        let mut frame = more;
        frame["type"] = json!("items");
        frame["collection"] = json!("messages");
        frame["action"] = json!(action);
        frame
    };
    for (who, frame) in [
        (0, items("update", json!({"data": [change(mine), change(1)]}))),
        (0, items("update", json!({"ids": [mine, 1], "data": {"content": "changed"}}))),
        (0, items("delete", json!({"ids": [mine, 1]}))),
        (0, items("create", json!({"data": [{"content": "made"}, {"id": 77}]}))),
        (1, items("create", json!({"data": [{"content": "made"}, {"content": "bad"}]}))),
        (1, items("create", json!({"data": [{"content": "made", "user_created": admin.id}]}))),
        (1, items("update", json!({"id": mine, "data": {"content": "changed"}}))),
    ] {
        let refused = sockets[who].ask(&frame).await;
        assert_eq!(refused["status"], "error", "{frame}: {refused}");
        assert!(dump(&server).await == before, "{frame} changed the database");
    }
    let list = json!([{"content": "made"}, {"content": "bad"}]);
    writer.post(path, &list).await.refused(400, "FAILED_VALIDATION");
    assert_unchanged(&server, &before, "the requests").await;

    // The first event to arrive is that of the successful change.
    admin.say("mark").await;
    witness.expect_event("create", "mark").await;
    server.stop().await;
}
