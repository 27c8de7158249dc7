//! Rights over accounts, or over the tables that define rights, do not allow an escalation, and the
//! last administrator cannot be removed in any way.

use serde_json::Value as Json;
use serde_json::json;

use crate::support::{ADMIN, Permission, TestServer, User};

const ACTIONS: [&str; 4] = ["create", "read", "update", "delete"];

/// Reads the tables that define rights, as an administrator.
async fn state(admin: &User) -> Vec<Json> {
    let mut state = Vec::new();
    for path in
        ["/users?fields=*&sort=id", "/roles?sort=id", "/policies", "/permissions", "/access"]
    {
        state.push(admin.get(path).await.ok());
    }
    // The only field that a sign-in changes.
    for user in state[0].as_array_mut().unwrap() {
        user["last_access"] = Json::Null;
    }
    state
}

/// Returns the keys of the administrators' role, of their policy, and of the row that attaches it.
async fn grounds(admin: &User) -> (String, String, String) {
    let text = |value: &Json| value.as_str().unwrap().to_owned();
    let role = text(&admin.get("/users/me?fields=role").await.ok()["role"]);
    let access = admin.get(&format!("/access?filter[role][_eq]={role}")).await.ok();
    (role, text(&access[0]["policy"]), text(&access[0]["id"]))
}

/// Creates an account with every permission on these collections.
async fn mighty(server: &TestServer, name: &str, collections: &[&str]) -> User {
    let every = |collection: &&str| ACTIONS.map(|action| Permission::to(action, collection));
    let permissions: Vec<Permission> = collections.iter().flat_map(every).collect();
    server.user_with(name, &permissions).await
}

#[tokio::test]
async fn user_permissions_cannot_create_or_change_administrators() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let (role, policy, _) = grounds(&admin).await;
    // A child of the administrators' role inherits its rights.
    let below = json!({"name": "below", "parent": role});
    let below = admin.post("/roles", &below).await.ok()["id"].clone();
    let second = json!({"email": "second@example.com", "password": "the second's password"});
    let second = admin.post("/users", &second).await.ok()["id"].clone();
    admin.post("/access", &json!({"user": second, "policy": policy})).await.ok();
    let mighty = mighty(&server, "mighty", &["directus_users"]).await;
    let other = server.member("alice").await.id;
    let before = state(&admin).await;

    let mut attempts = Vec::new();
    for role in [json!(role), below] {
        let payload = json!({"role": role});
        let (me, them) = (format!("/users/{}", mighty.id), format!("/users/{other}"));
        attempts.extend([
            ("PATCH", "/users/me".to_owned(), payload.clone()),
            ("PATCH", me, payload.clone()),
            ("PATCH", them, payload.clone()),
            ("PATCH", "/users".to_owned(), json!({"keys": [other], "data": payload})),
            ("PATCH", "/users".to_owned(), json!([{"id": mighty.id, "role": role}])),
            ("POST", "/users".to_owned(), json!({"email": "new@example.com", "role": role})),
            ("POST", "/users".to_owned(), json!([{}, {"email": "x@example.com", "role": role}])),
        ]);
    }
    let attached = json!({"email": "new@example.com", "policies": [{"policy": policy}]});
    attempts.push(("POST", "/users".to_owned(), attached));
    for admin in [&admin.id, second.as_str().unwrap()] {
        let path = format!("/users/{admin}");
        for payload in [
            json!({"password": "taken over now"}),
            json!({"email": "taken@example.com"}),
            json!({"token": "a-token-that-is-taken-over"}),
            json!({"status": "suspended"}),
            json!({"role": null}),
        ] {
            let both = json!({"keys": [other, admin], "data": payload});
            attempts.push(("PATCH", path.clone(), payload));
            attempts.push(("PATCH", "/users".to_owned(), both));
        }
        attempts.push(("DELETE", path, json!(null)));
        attempts.push(("DELETE", "/users".to_owned(), json!([other, admin])));
    }
    for (method, path, body) in attempts {
        let answer = mighty.send_json(method, &path, &body).await;
        assert_eq!(
            (answer.status, answer.code()),
            (403, "FORBIDDEN"),
            "{method} {path} {body} {}",
            answer.text
        );
    }

    assert_eq!(state(&admin).await, before);
    User::sign_in(&server.anonymous(), "", ADMIN.0, ADMIN.1).await;
    // The account does have rights.
    let path = format!("/users/{other}");
    mighty.patch(&path, &json!({"first_name": "Alicia"})).await.ok();
    mighty.delete(&path).await.nothing();
    server.stop().await;
}

#[tokio::test]
async fn permissions_cannot_allow_changes_to_access_control_tables() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let (role, policy, access) = grounds(&admin).await;
    let collections =
        ["directus_roles", "directus_policies", "directus_permissions", "directus_access"];
    let mighty = mighty(&server, "mighty", &collections).await;
    let own = admin.get(&format!("/users/{}?fields=role", mighty.id)).await.ok()["role"].clone();
    let own_policy = admin.get("/policies?filter[name][_eq]=mighty").await.ok()[0]["id"].clone();
    let own_row = format!("/permissions?filter[policy][_eq]={}", own_policy.as_str().unwrap());
    let own_row = admin.get(&own_row).await.ok()[0]["id"].clone();
    let before = state(&admin).await;

    for (path, key, create, update) in [
        ("/roles", json!(own), json!({"name": "x", "parent": role}), json!({"parent": role})),
        ("/roles", json!(role), json!({"name": "x"}), json!({"name": "x"})),
        (
            "/policies",
            own_policy.clone(),
            json!({"name": "x", "admin_access": true}),
            json!({"admin_access": true}),
        ),
        ("/policies", json!(policy), json!({"name": "x"}), json!({"admin_access": false})),
        (
            "/permissions",
            own_row,
            json!({"policy": own_policy, "collection": "messages", "action": "read"}),
            json!({"collection": "messages"}),
        ),
        (
            "/access",
            json!(access),
            json!({"user": mighty.id, "policy": policy}),
            json!({"user": mighty.id}),
        ),
    ] {
        let one = format!("{path}/{}", key.as_str().map_or(key.to_string(), str::to_owned));
        mighty.get(&one).await.ok();
        mighty.post(path, &create).await.refused(403, "FORBIDDEN");
        mighty.post(path, &json!([create])).await.refused(403, "FORBIDDEN");
        mighty.patch(&one, &update).await.refused(403, "FORBIDDEN");
        let some = json!({"keys": [key], "data": update});
        mighty.patch(path, &some).await.refused(403, "FORBIDDEN");
        mighty.delete(&one).await.refused(403, "FORBIDDEN");
        mighty.delete_many(path, &json!([key])).await.refused(403, "FORBIDDEN");
    }

    assert_eq!(state(&admin).await, before);
    server.stop().await;
}

/// Makes a change that takes the first administrator's rights away.
async fn take_away(by: &User, first: &str, grounds: &(String, String, String), what: &str) -> u16 {
    let (role, policy, access) = grounds;
    let (user, policy) = (format!("/users/{first}"), format!("/policies/{policy}"));
    let answer = match what {
        "policy changed" => by.patch(&policy, &json!({"admin_access": false})).await,
        "policy deleted" => by.delete(&policy).await,
        "access deleted" => by.delete(&format!("/access/{access}")).await,
        "role deleted" => by.delete(&format!("/roles/{role}")).await,
        "role left" => by.patch(&user, &json!({"role": null})).await,
        "suspended" => by.patch(&user, &json!({"status": "suspended"})).await,
        "deleted" => by.delete(&user).await,
        other => panic!("{other}"),
    };
    if answer.status == 422 {
        answer.refused(422, "UNPROCESSABLE_CONTENT");
    }
    answer.status
}

const WAYS: [&str; 7] = [
    "policy changed",
    "policy deleted",
    "access deleted",
    "role deleted",
    "role left",
    "suspended",
    "deleted",
];

#[tokio::test]
async fn the_last_active_administrator_cannot_be_removed() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let grounds = grounds(&admin).await;
    // A suspended administrator does not count.
    let idle = json!({"email": "idle@example.com", "status": "suspended", "role": grounds.0});
    admin.post("/users", &idle).await.ok();
    let before = state(&admin).await;

    for what in WAYS {
        assert_eq!(take_away(&admin, &admin.id, &grounds, what).await, 422, "{what}");
        assert_eq!(state(&admin).await, before, "{what}");
        let again = User::sign_in(&server.anonymous(), "", ADMIN.0, ADMIN.1).await;
        again.get("/policies").await.ok();
    }
    server.stop().await;
}

/// Creates an administrator independent of the first one's role and policy.
async fn second_administrator(server: &TestServer, admin: &User) -> User {
    let policy = json!({"name": "second", "admin_access": true});
    let policy = admin.post("/policies", &policy).await.ok()["id"].clone();
    let second = server.user_without_role("second").await;
    admin.post("/access", &json!({"user": second.id, "policy": policy})).await.ok();
    second
}

#[tokio::test]
async fn an_administrator_can_be_removed_if_another_remains() {
    for what in WAYS {
        let server = TestServer::start().await;
        let admin = server.admin().await;
        let grounds = grounds(&admin).await;
        let second = second_administrator(&server, &admin).await;

        let status = take_away(&second, &admin.id, &grounds, what).await;

        assert!([200, 204].contains(&status), "{what}: {status}");
        assert_ne!(admin.get("/policies").await.status, 200, "{what}");
        second.get("/policies").await.ok();
        // That one is now the last.
        let suspend = json!({"status": "suspended"});
        second.patch("/users/me", &suspend).await.refused(422, "UNPROCESSABLE_CONTENT");
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_suspensions_leave_one_administrator() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let second = second_administrator(&server, &admin).await;
    let all = json!({"keys": [admin.id, second.id], "data": {"status": "suspended"}});
    admin.patch("/users", &all).await.refused(422, "UNPROCESSABLE_CONTENT");
    let suspend = json!({"status": "suspended"});
    let (first, other) = (format!("/users/{}", admin.id), format!("/users/{}", second.id));

    let both = tokio::join!(admin.patch(&other, &suspend), second.patch(&first, &suspend));

    let went = [both.0.status, both.1.status];
    assert_eq!(went.iter().filter(|status| **status == 200).count(), 1, "{went:?}");
    let left = if went[0] == 200 { &admin } else { &second };
    User::sign_in(&server.anonymous(), "", &left.email, &left.password).await;
    left.get("/policies").await.ok();
    server.stop().await;
}
