//! `/permissions/me/{collection}` and `/permissions/me/{collection}/{id}`: the actions that the
//! caller may perform on an item, without an attempt.

use serde_json::Value as Json;
use serde_json::json;

use crate::support::{Permission, TestServer, User};

fn answer(update: bool, delete: bool, share: bool) -> Json {
    json!({"update": {"access": update}, "delete": {"access": delete}, "share": {"access": share}})
}

async fn of(user: &User, path: &str) -> Json {
    user.get(&format!("/permissions/me/{path}")).await.ok()
}

#[tokio::test]
async fn item_permissions_reflect_the_rights_of_the_caller() {
    let server = TestServer::start().await;
    let (admin, alice, bob) =
        (server.admin().await, server.member("alice").await, server.member("bob").await);
    let id = alice.say("hers").await;
    let path = format!("messages/{id}");

    assert_eq!(of(&alice, &path).await, answer(true, true, false));
    assert_eq!(of(&bob, &path).await, answer(false, false, false));
    assert_eq!(of(&admin, &path).await, answer(true, true, true));
    // Without a key: whether the caller may perform the action on any item.
    assert_eq!(of(&bob, "messages").await, answer(true, true, false));
    // The response has the same form for items and collections that do not exist.
    for path in ["messages/99", "messages/x", "nope", "nope/1", "directus_sessions"] {
        assert_eq!(of(&bob, path).await, answer(false, false, false), "{path}");
        assert_eq!(of(&admin, path).await, answer(true, true, true), "{path}");
    }
    for path in ["messages", "messages/1", "nope"] {
        let path = format!("/permissions/me/{path}");
        server.anonymous().get(&path).await.refused(403, "FORBIDDEN");
    }
    server.stop().await;
}

#[tokio::test]
async fn reported_permissions_respect_row_rules_and_protected_tables() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let may = [
        Permission::to("update", "messages").fields(&["content"]).on(json!({"content": "open"})),
        Permission::to("share", "messages").on(json!({"content": {"_neq": "open"}})),
        Permission::to("update", "directus_users"),
        Permission::to("delete", "directus_users"),
        Permission::to("update", "directus_roles"),
        Permission::to("update", "directus_activity"),
        Permission::to("delete", "directus_settings"),
    ];
    let user = server.user_with("user", &may).await;
    let (open, other) = (admin.say("open").await, admin.say("other").await);
    let member = server.member("alice").await.id;

    assert_eq!(of(&user, &format!("messages/{open}")).await, answer(true, false, false));
    assert_eq!(of(&user, &format!("messages/{other}")).await, answer(false, false, true));
    // No permission covers administrators, the tables that define rights, history, the singleton.
    assert_eq!(of(&user, &format!("directus_users/{member}")).await, answer(true, true, false));
    let path = format!("directus_users/{}", admin.id);
    assert_eq!(of(&user, &path).await, answer(false, false, false));
    for path in ["directus_roles", "directus_activity", "directus_settings"] {
        assert_eq!(of(&user, path).await, answer(false, false, false), "{path}");
    }
    server.stop().await;
}

#[tokio::test]
async fn singleton_permissions_include_fields_and_presets() {
    let server = TestServer::start().await;
    let update = |fields: &[&str]| Permission::to("update", "directus_settings").fields(fields);
    let plain = server.user_with("plain", &[update(&["project_name"])]).await;
    let preset = [
        update(&["project_name"]).presets(json!({"project_name": "a"})),
        update(&["public_note"]).presets(json!({"public_note": "b"})),
    ];
    let preset = server.user_with("preset", &preset).await;
    let all = server.user_with("all", &[update(&["*"])]).await;
    let none = server.member("alice").await;

    for (user, update) in [
        (&plain, json!({"access": true, "fields": ["project_name"], "presets": {}})),
        (
            &preset,
            json!({"access": true, "fields": ["project_name", "public_note"],
                "presets": {"project_name": "a", "public_note": "b"}}),
        ),
        (&all, json!({"access": true, "fields": ["*"], "presets": {}})),
        (&none, json!({"access": false})),
    ] {
        for path in ["directus_settings", "directus_settings/1"] {
            assert_eq!(of(user, path).await["update"], update);
        }
    }
    server.stop().await;
}
