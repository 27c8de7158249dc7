//! Privilege escalation: no account can extend its own rights through accounts, roles, policies or
//! permissions, over any path.

use serde_json::json;

use crate::support::{Permission, TestServer};

#[tokio::test]
async fn members_cannot_change_roles_policies_or_permissions() {
    let server = TestServer::start().await;
    let (admin, alice) = (server.admin().await, server.member("alice").await);
    let admin_role = admin.get("/users/me?fields=role").await.ok()["role"].clone();
    let policy = admin.get("/policies?filter[admin_access][_eq]=true").await.ok()[0]["id"].clone();
    let state = async || {
        let mut state = Vec::new();
        for path in
            ["/users?fields=id,role,status,email", "/roles", "/policies", "/permissions", "/access"]
        {
            state.push(admin.get(path).await.ok());
        }
        state
    };
    let before = state().await;
    let me = format!("/users/{}", alice.id);

    for (method, path, body) in [
        ("PATCH", "/users/me", json!({"role": admin_role})),
        ("PATCH", "/users/me", json!({"email": "other@example.com"})),
        ("PATCH", me.as_str(), json!({"role": admin_role})),
        ("PATCH", "/users", json!({"keys": [alice.id], "data": {"role": admin_role}})),
        ("PATCH", "/users", json!([{"id": alice.id, "role": admin_role}])),
        (
            "PATCH",
            "/users",
            json!({"query": {"filter": {"id": alice.id}}, "data": {"role": admin_role}}),
        ),
        ("POST", "/users", json!({"email": "new@example.com", "role": admin_role})),
        ("DELETE", "/users", json!([admin.id])),
        ("DELETE", me.as_str(), json!({})),
        ("POST", "/access", json!({"user": alice.id, "policy": policy})),
        ("POST", "/policies", json!({"name": "mine", "admin_access": true})),
        ("PATCH", "/policies", json!({"keys": [policy], "data": {"name": "x"}})),
        (
            "POST",
            "/permissions",
            json!({"policy": policy, "collection": "messages", "action": "read", "fields": ["*"]}),
        ),
        ("POST", "/roles", json!({"name": "mine"})),
        ("DELETE", "/roles", json!([admin_role])),
        ("POST", "/items/directus_access", json!({"user": alice.id, "policy": policy})),
        (
            "PATCH",
            "/items/directus_users",
            json!({"keys": [alice.id], "data": {"role": admin_role}}),
        ),
        ("POST", "/utils/cache/clear", json!({})),
    ] {
        let answer = alice.send_json(method, path, &body).await;
        assert_eq!(
            (answer.status, answer.code()),
            (403, "FORBIDDEN"),
            "{method} {path} {}",
            answer.text
        );
    }

    assert_eq!(state().await, before);
    server.stop().await;
}

#[tokio::test]
async fn a_permission_for_the_own_name_covers_no_other_field() {
    let server = TestServer::start().await;
    let own = json!({"id": {"_eq": "$CURRENT_USER"}});
    let permissions = [
        Permission::to("read", "directus_users").on(own.clone()),
        Permission::to("update", "directus_users").fields(&["first_name"]).on(own),
    ];
    let alice = server.user_with("alice", &permissions).await;
    let admin = server.admin().await;
    let role = admin.get("/users/me?fields=role").await.ok()["role"].clone();

    assert_eq!(alice.patch("/users/me", &json!({"first_name": "A"})).await.ok()["first_name"], "A");
    for payload in [
        json!({"first_name": "B", "role": role}),
        json!({"status": "active"}),
        json!({"email": "x@example.com"}),
        json!({"policies": [{"policy": role}]}),
        json!({"token": "x"}),
    ] {
        alice.patch("/users/me", &payload).await.refused(403, "FORBIDDEN");
    }
    let other = format!("/users/{}", admin.id);
    alice.patch(&other, &json!({"first_name": "B"})).await.refused(403, "FORBIDDEN");

    let me =
        admin.get(&format!("/users/{}?fields=first_name,status,token,email", alice.id)).await.ok();
    assert_eq!(
        me,
        json!({"first_name": "A", "status": "active", "token": null, "email": alice.email})
    );
    assert_eq!(admin.get(&format!("{other}?fields=first_name")).await.ok()["first_name"], "Admin");
    server.stop().await;
}

#[tokio::test]
async fn public_permissions_extend_to_roleless_accounts_only() {
    let server = TestServer::start().await;
    server.allow_public(&[Permission::to("read", "messages")]).await;
    let roleless = server.user_without_role("roleless").await;
    let with_role = server.user_with("with-role", &[]).await;

    server.anonymous().get("/items/messages").await.ok();
    roleless.get("/items/messages").await.ok();
    with_role.get("/items/messages").await.refused(403, "FORBIDDEN");
    // Even if an administrator attaches such a policy to the public, anonymous clients do not
    // become administrators.
    let admin = server.admin().await;
    let policy = admin.get("/policies?filter[admin_access][_eq]=true").await.ok()[0]["id"].clone();
    admin.post("/access", &json!({"policy": policy})).await;
    server.anonymous().get("/roles").await.refused(403, "FORBIDDEN");
    server.stop().await;
}
