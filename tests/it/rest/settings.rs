//! `/settings`: a singleton that always exists, for administrators and accounts with permission.

use serde_json::Value as Json;
use serde_json::json;

use crate::support::{Permission, Socket, TestServer};

async fn project(server: &TestServer) -> Json {
    server.anonymous().get("/server/info").await.ok()["project"].clone()
}

#[tokio::test]
async fn settings_start_with_their_defaults() {
    let server = TestServer::start().await;
    let admin = server.admin().await;

    let settings = admin.get("/settings").await.ok();

    assert_eq!(
        settings,
        json!({
            "id": 1, "project_name": null, "project_descriptor": null, "project_url": null,
            "project_color": "#6644FF", "default_language": "en-US", "default_appearance": "auto",
            "public_note": null, "auth_login_attempts": 25, "auth_password_policy": null,
            "public_registration": false, "public_registration_verify_email": true,
            "public_registration_role": null, "public_registration_email_filter": null,
        })
    );
    let two = json!({"id": 1, "project_color": "#6644FF"});
    assert_eq!(admin.get("/settings?fields=id,project_color").await.ok(), two);
    let query = json!({"query": {"fields": ["id", "project_color"]}});
    assert_eq!(admin.search("/settings", &query).await.ok(), two);
    admin.search("/settings", &json!({"keys": [1]})).await.refused(400, "INVALID_PAYLOAD");
    admin.get("/settings?fields=nope").await.refused(403, "FORBIDDEN");
    server.stop().await;
}

#[tokio::test]
async fn a_change_applies_notifies_subscribers_and_persists() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let mut socket = Socket::signed_in(&server, &admin).await;
    let frame = json!({"collection": "directus_settings", "query": {"fields": ["project_name"]}});
    let init = socket.subscribe("s", frame).await;
    assert_eq!(init["data"], json!([{"project_name": null}]));
    assert_eq!(project(&server).await["project_name"], "chinwag");
    let role = admin.get("/roles?filter[name][_eq]=Member&fields=id").await.ok()[0]["id"].clone();
    let filter = json!({"email": {"_ends_with": "@example.com"}});

    let changed = admin
        .patch(
            "/settings?fields=id,project_name,public_registration_role,public_registration_email_filter",
            &json!({
                "id": 7, "project_name": "Our chat", "project_descriptor": "among friends",
                "public_registration": true, "public_registration_role": role,
                "public_registration_email_filter": filter,
            }),
        )
        .await
        .ok();

    assert_eq!(
        changed,
        json!({"id": 1, "project_name": "Our chat", "public_registration_role": role,
            "public_registration_email_filter": filter})
    );
    assert_eq!(socket.next().await["data"], json!([{"project_name": "Our chat"}]));
    let settings = server.app().services().settings.in_force().await.unwrap();
    assert!(settings.public_registration() && settings.public_registration_verify_email());
    assert_eq!(settings.public_registration_email_filter(), Some(&filter));
    let by_role = settings.public_registration_role().map(|role| role.to_string());
    assert_eq!(by_role.as_deref(), role.as_str());
    let server = server.restart().await;
    let project = project(&server).await;
    assert_eq!(project["project_name"], "Our chat");
    assert_eq!(project["project_descriptor"], "among friends");
    assert_eq!(project["public_registration"], true);
    server.stop().await;
}

#[tokio::test]
async fn deleting_the_registration_role_clears_the_setting() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let role = admin.post("/roles", &json!({"name": "guests"})).await.ok()["id"].clone();
    admin.patch("/settings", &json!({"public_registration_role": role})).await.ok();
    let settings = &server.app().services().settings;
    assert!(settings.in_force().await.unwrap().public_registration_role().is_some());

    admin.delete(&format!("/roles/{}", role.as_str().unwrap())).await.nothing();

    assert_eq!(admin.get("/settings").await.ok()["public_registration_role"], Json::Null);
    assert_eq!(settings.in_force().await.unwrap().public_registration_role(), None);
    server.stop().await;
}

#[tokio::test]
async fn settings_refuse_create_delete_and_invalid_values() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let before = admin.get("/settings").await.ok();

    for (method, path) in [
        ("POST", "/settings"),
        ("DELETE", "/settings"),
        ("GET", "/settings/1"),
        ("PATCH", "/settings/1"),
    ] {
        let answer = admin.send_json(method, path, &json!({"project_name": "x"})).await;
        answer.refused(404, "ROUTE_NOT_FOUND");
    }
    for path in ["/items/directus_settings", "/items/directus_settings/1"] {
        admin.get(path).await.refused(403, "FORBIDDEN");
    }
    for (name, value, code) in [
        ("auth_login_attempts", json!(0), "FAILED_VALIDATION"),
        ("auth_login_attempts", json!("many"), "INVALID_PAYLOAD"),
        ("default_appearance", json!("pink"), "FAILED_VALIDATION"),
        ("project_color", json!(null), "FAILED_VALIDATION"),
        ("public_registration", json!("perhaps"), "INVALID_PAYLOAD"),
        ("public_registration", json!(null), "FAILED_VALIDATION"),
        ("public_registration_role", json!(before["id"]), "INVALID_FOREIGN_KEY"),
        (
            "public_registration_role",
            json!("a7e169a7-0000-4000-8000-00000000000a"),
            "INVALID_FOREIGN_KEY",
        ),
        ("public_registration_email_filter", json!("@example.com"), "INVALID_PAYLOAD"),
        ("public_registration_email_filter", json!({"nope": 1}), "INVALID_PAYLOAD"),
    ] {
        let answer = admin.patch("/settings", &json!({name: value})).await;
        assert_eq!((answer.status, answer.code()), (400, code), "{name}: {value}");
    }
    admin.patch("/settings", &json!([{"project_name": "x"}])).await.refused(400, "INVALID_PAYLOAD");
    assert_eq!(admin.get("/settings").await.ok(), before);
    server.stop().await;
}

#[tokio::test]
async fn permissions_control_access_to_settings_fields() {
    let server = TestServer::start().await;
    let (admin, member) = (server.admin().await, server.member("alice").await);
    let fields = ["project_name", "public_registration_role"];
    let permissions = ["read", "update"]
        .map(|action| Permission::to(action, "directus_settings").fields(&fields));
    let editor = server.user_with("editor", &permissions).await;

    for nobody in [&server.anonymous(), &*member] {
        nobody.get("/settings").await.refused(403, "FORBIDDEN");
        nobody.search("/settings", &json!({})).await.refused(403, "FORBIDDEN");
        nobody.patch("/settings", &json!({"project_name": "x"})).await.refused(403, "FORBIDDEN");
    }
    let changed = editor.patch("/settings", &json!({"project_name": "theirs"})).await.ok();
    assert_eq!(changed, json!({"project_name": "theirs", "public_registration_role": null}));
    assert_eq!(editor.get("/settings").await.ok(), changed);
    editor.get("/settings?fields=auth_login_attempts").await.refused(403, "FORBIDDEN");
    editor
        .patch("/settings", &json!({"public_registration": true}))
        .await
        .refused(403, "FORBIDDEN");
    // Registration must not be a way to become an administrator.
    let role = admin.get("/users/me?fields=role").await.ok()["role"].clone();
    let rise = json!({"public_registration_role": role});
    editor.patch("/settings", &rise).await.refused(403, "FORBIDDEN");
    let settings = admin.get("/settings").await.ok();
    assert_eq!(settings["public_registration"], false);
    assert_eq!(settings["public_registration_role"], Json::Null);
    admin.patch("/settings", &rise).await.ok();
    server.stop().await;
}
