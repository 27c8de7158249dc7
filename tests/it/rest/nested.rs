//! Nested writes: items together with their related items.

use serde_json::Value as Json;
use serde_json::json;

use crate::support::{ADMIN, Client, Permission, Socket, TestServer, User};

/// Reads the tables that define rights, and the messages, as an administrator.
async fn state(admin: &User) -> Vec<Json> {
    let mut state = Vec::new();
    for path in ["/users", "/roles", "/policies", "/permissions", "/access", "/items/messages"] {
        let mut rows = admin.get(&format!("{path}?limit=-1&sort=id")).await.ok();
        for row in rows.as_array_mut().unwrap() {
            row.as_object_mut().unwrap().shift_remove("last_access");
        }
        state.push(rows);
    }
    state
}

fn read_messages() -> Json {
    json!({"collection": "messages", "action": "read", "fields": ["*"]})
}

fn len(list: &Json) -> usize {
    list.as_array().unwrap().len()
}

async fn role(admin: &User, name: &str) -> Json {
    admin.post("/roles", &json!({"name": name})).await.ok()["id"].clone()
}

#[tokio::test]
async fn one_request_creates_an_account_with_policy_and_permissions() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let account = json!({
        "email": "scoped@example.com", "password": "the scoped one's password", "token": "scoped",
        "policies": [{"policy": {"name": "Scoped", "permissions": [
            read_messages(), {"collection": "messages", "action": "create", "fields": ["content"]},
        ]}}],
    });

    let made = admin.post("/users?fields=*,policies.*,policies.policy.*", &account).await.ok();

    assert_eq!(made["policies"][0]["user"], made["id"]);
    assert_eq!(made["policies"][0]["policy"]["name"], "Scoped");
    assert_eq!(len(&made["policies"][0]["policy"]["permissions"]), 2);
    let scoped = server.anonymous().bearing("scoped");
    scoped.post("/items/messages", &json!({"content": "hi"})).await.ok();
    assert_eq!(len(&scoped.get("/items/messages").await.ok()), 1);
    scoped.get("/roles").await.refused(403, "FORBIDDEN");
    server.stop().await;
}

#[tokio::test]
async fn one_request_creates_a_role_with_its_relations() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let (member, below) = (server.member("alice").await, role(&admin, "below").await);
    let policy = admin.policy("given", &[]).await;
    let payload = json!({
        "name": "Team",
        "parent": {"name": "above"},
        "users": [{"email": "new@example.com"}, member.id, {"id": member.id, "title": "Dr"}],
        "policies": [{"policy": policy}, {"policy": {"name": "own", "permissions": [read_messages()]}}],
        "children": [below, {"name": "leaf", "children": [{"name": "leaf of leaf"}]}],
    });

    let fields = "name,parent.name,users.email,users.title,policies.policy.name,children.name,\
                  children.children.name";
    let made = admin
        .post(
            &format!(
                "/roles?fields={fields}&deep[users][_sort]=email\
        &deep[policies][_sort]=policy.name&deep[children][_sort]=name"
            ),
            &payload,
        )
        .await
        .ok();

    assert_eq!(
        made,
        json!({
            "name": "Team",
            "parent": {"name": "above"},
            "users": [{"email": member.email, "title": "Dr"}, {"email": "new@example.com", "title": null}],
            "policies": [{"policy": {"name": "given"}}, {"policy": {"name": "own"}}],
            "children": [
                {"name": "below", "children": []},
                {"name": "leaf", "children": [{"name": "leaf of leaf"}]},
            ],
        })
    );
    server.stop().await;
}

#[tokio::test]
async fn one_request_creates_a_policy_with_its_relations() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let (member, role) = (server.member("alice").await, role(&admin, "team").await);
    let payload = json!({
        "name": "Readers",
        "permissions": [read_messages()],
        "users": [{"user": member.id}, {"user": {"email": "new@example.com"}}],
        "roles": [{"role": role}],
    });

    let made = admin.post("/policies?fields=*,permissions.action,users.*", &payload).await.ok();

    assert_eq!(made["permissions"], json!([{"action": "read"}]));
    // Both lists contain all rows that attach the policy.
    assert_eq!((len(&made["users"]), len(&made["roles"])), (3, 3));
    let to =
        |name: &str| made["users"].as_array().unwrap().iter().any(|row| row[name] != Json::Null);
    assert!(to("user") && to("role"));
    server.stop().await;
}

#[tokio::test]
async fn a_nested_change_creates_updates_and_removes_items() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let payload = json!({"name": "p", "permissions": [read_messages(), read_messages()]});
    let policy = admin.post("/policies", &payload).await.ok();
    let path = format!(
        "/policies/{}?fields=permissions.id,permissions.action",
        policy["id"].as_str().unwrap()
    );
    let [first, second] = [policy["permissions"][0].clone(), policy["permissions"][1].clone()];

    let change = json!({"permissions": {
        "create": [{"collection": "messages", "action": "create"}],
        "update": [{"id": first, "action": "delete"}],
        "delete": [second],
    }});
    let changed = admin.patch(&path, &change).await.ok();
    let third = changed["permissions"][1]["id"].clone();
    let expected = json!([{"id": first, "action": "delete"}, {"id": third, "action": "create"}]);
    assert_eq!(changed["permissions"], expected);
    // An item removed from a list loses its relation, or is deleted if the relation is required.
    admin.get(&format!("/permissions/{second}")).await.refused(403, "FORBIDDEN");

    let none = json!({"permissions": {"create": [], "update": [], "delete": []}});
    for nothing in [none, json!({"permissions": {}})] {
        assert_eq!(admin.patch(&path, &nothing).await.ok()["permissions"], expected);
    }
    // An item of another parent is unaffected.
    let other =
        admin.post("/policies", &json!({"name": "o", "permissions": [read_messages()]})).await.ok();
    let theirs = other["permissions"][0].clone();
    let change = json!({"permissions": {"delete": [theirs]}});
    assert_eq!(admin.patch(&path, &change).await.ok()["permissions"], expected);
    admin.get(&format!("/permissions/{theirs}")).await.ok();
    server.stop().await;
}

#[tokio::test]
async fn a_nested_list_replaces_the_related_items() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let (alice, bob) = (server.member("alice").await, server.member("bob").await);
    let payload = json!({"name": "team", "users": [alice.id], "children": [{"name": "a"}],
        "policies": [{"policy": {"name": "one"}}, {"policy": {"name": "two"}}]});
    let team = admin.post("/roles", &payload).await.ok();
    let path = format!("/roles/{}", team["id"].as_str().unwrap());
    let [one, two] = [team["policies"][0].clone(), team["policies"][1].clone()];

    let list =
        json!({"users": [bob.id, {"email": "new@example.com"}], "policies": [one], "children": []});
    let changed = admin.patch(&path, &list).await.ok();

    assert_eq!(len(&changed["users"]), 2);
    assert_eq!((&changed["policies"], &changed["children"]), (&json!([one]), &json!([])));
    // Removed accounts and roles remain, without a role or parent. Rows of access are deleted.
    let user = format!("/users/{}?fields=role", alice.id);
    assert_eq!(admin.get(&user).await.ok()["role"], Json::Null);
    let child = format!("/roles/{}?fields=parent", team["children"][0].as_str().unwrap());
    assert_eq!(admin.get(&child).await.ok()["parent"], Json::Null);
    admin.get(&format!("/access/{}", two.as_str().unwrap())).await.refused(403, "FORBIDDEN");

    for nothing in [json!([]), json!(null)] {
        admin.patch(&path, &json!({"users": [alice.id]})).await.ok();
        assert_eq!(admin.patch(&path, &json!({"users": nothing})).await.ok()["users"], json!([]));
    }
    server.stop().await;
}

#[tokio::test]
async fn a_nested_object_creates_updates_or_links_an_item() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let alice = server.member("alice").await;
    let path = format!("/users/{}?fields=role.id,role.name", alice.id);

    let made = admin.patch(&path, &json!({"role": {"name": "new"}})).await.ok()["role"].clone();
    assert_eq!(made["name"], "new");
    let change = json!({"role": {"id": made["id"], "name": "renamed"}});
    let expected = json!({"id": made["id"], "name": "renamed"});
    assert_eq!(admin.patch(&path, &change).await.ok()["role"], expected);
    let other = role(&admin, "other").await;
    let connected = admin.patch(&path, &json!({"role": {"id": other}})).await.ok();
    assert_eq!(connected["role"], json!({"id": other, "name": "other"}));
    let chosen = "a7e169a7-3a52-4ac8-9f02-2d6a5c6a2f3b";
    let with_key = json!({"role": {"id": chosen, "name": "with a key"}});
    assert_eq!(admin.patch(&path, &with_key).await.ok()["role"]["id"], chosen);
    assert_eq!(admin.patch(&path, &json!({"role": null})).await.ok()["role"], Json::Null);

    let access = json!({"user": {"email": "x@example.com"}, "policy": {"name": "along"}});
    let made = admin.post("/access?fields=user.email,policy.name", &access).await.ok();
    assert_eq!(made, json!({"user": {"email": "x@example.com"}, "policy": {"name": "along"}}));
    let settings = json!({"public_registration_role": {"name": "Newcomers"}});
    let made = admin.patch("/settings?fields=public_registration_role.name", &settings).await.ok();
    assert_eq!(made["public_registration_role"]["name"], "Newcomers");
    server.stop().await;
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "it is one table of payloads")]
async fn one_invalid_nested_item_aborts_the_whole_write() {
    let server = TestServer::with(|config| config.query.batch_max = 20).await;
    let admin = server.admin().await;
    let team =
        admin.post("/roles", &json!({"name": "team", "users": [{"email": "a@example.com"}]})).await;
    let team = team.ok();
    let (path, user) =
        (format!("/roles/{}", team["id"].as_str().unwrap()), team["users"][0].clone());
    let grounds = format!(
        "/roles/{}",
        admin.get("/users/me?fields=role").await.ok()["role"].as_str().unwrap()
    );
    let before = state(&admin).await;
    let nowhere = "a7e169a7-3a52-4ac8-9f02-2d6a5c6a2f3b";
    let new = |part: Json| json!({"name": "new", "users": [{"email": "new@example.com"}, part]});
    let many: Vec<Json> = (0..21).map(|_| json!({"name": "x"})).collect();
    let deep =
        (0..11).fold(json!({"name": "x"}), |inner, _| json!({"name": "x", "children": [inner]}));

    for (method, path, payload, status, code) in [
        ("POST", "/roles", new(json!({"email": "no address"})), 400, "FAILED_VALIDATION"),
        ("POST", "/roles", new(json!({"email": "NEW@example.com"})), 400, "RECORD_NOT_UNIQUE"),
        ("POST", "/roles", new(json!({"password": "short"})), 400, "FAILED_VALIDATION"),
        ("POST", "/roles", new(json!({"password": "**********"})), 400, "INVALID_PAYLOAD"),
        ("POST", "/roles", new(json!({"tfa_secret": "x"})), 400, "INVALID_PAYLOAD"),
        ("POST", "/roles", new(json!({"policies": [{"policy": {}}]})), 400, "FAILED_VALIDATION"),
        ("POST", "/roles", new(json!({"policies": [{}]})), 400, "FAILED_VALIDATION"),
        (
            "POST",
            "/roles",
            new(json!({"policies": [{"policy": nowhere}]})),
            400,
            "INVALID_FOREIGN_KEY",
        ),
        ("POST", "/roles", new(json!(nowhere)), 403, "FORBIDDEN"),
        ("POST", "/roles", new(json!("x")), 403, "FORBIDDEN"),
        ("POST", "/roles", new(json!({"id": 5})), 403, "FORBIDDEN"),
        ("POST", "/roles", new(json!(null)), 400, "INVALID_PAYLOAD"),
        ("POST", "/roles", new(json!(["x"])), 400, "INVALID_PAYLOAD"),
        ("POST", "/roles", json!({"name": "new", "users": "x"}), 400, "INVALID_PAYLOAD"),
        ("POST", "/roles", json!({"name": "new", "children": many}), 400, "INVALID_PAYLOAD"),
        ("POST", "/roles", deep, 400, "INVALID_PAYLOAD"),
        (
            "POST",
            "/roles",
            json!([{"name": "new"}, {"name": "b", "children": [{}]}]),
            400,
            "FAILED_VALIDATION",
        ),
        (
            "POST",
            "/users",
            json!({"role": {"name": "r"}, "email": "no address"}),
            400,
            "FAILED_VALIDATION",
        ),
        (
            "PATCH",
            &path,
            json!({"name": "changed", "users": {"create": [{"status": "x"}]}}),
            400,
            "FAILED_VALIDATION",
        ),
        (
            "PATCH",
            &path,
            json!({"name": "changed", "users": {"update": [{"title": "x"}]}}),
            400,
            "INVALID_PAYLOAD",
        ),
        (
            "PATCH",
            &path,
            json!({"name": "changed", "users": {"update": ["x"]}}),
            400,
            "INVALID_PAYLOAD",
        ),
        (
            "PATCH",
            &path,
            json!({"name": "changed", "users": {"create": user}}),
            400,
            "INVALID_PAYLOAD",
        ),
        (
            "PATCH",
            &path,
            json!({"name": "changed", "users": {"delete": [{}]}}),
            400,
            "INVALID_PAYLOAD",
        ),
        (
            "PATCH",
            &path,
            json!({"name": "changed", "users": {"remove": []}}),
            400,
            "INVALID_PAYLOAD",
        ),
        (
            "PATCH",
            &path,
            json!({"users": [], "policies": [{"policy": nowhere}]}),
            400,
            "INVALID_FOREIGN_KEY",
        ),
        // The last administrator stays, and no role is above itself.
        ("PATCH", &grounds, json!({"users": []}), 422, "UNPROCESSABLE_CONTENT"),
        ("PATCH", &grounds, json!({"policies": []}), 422, "UNPROCESSABLE_CONTENT"),
        ("PATCH", &path, json!({"children": [team["id"]]}), 400, "INVALID_PAYLOAD"),
        (
            "PATCH",
            &path,
            json!({"parent": {"name": "x", "parent": team["id"]}}),
            400,
            "INVALID_PAYLOAD",
        ),
        (
            "POST",
            "/roles",
            json!({"name": "x", "parent": team["id"], "children": [team["id"]]}),
            400,
            "INVALID_PAYLOAD",
        ),
    ] {
        let answer = admin.send_json(method, path, &payload).await;
        assert_eq!(
            (answer.status, answer.code()),
            (status, code),
            "{method} {path} {payload} {}",
            answer.text
        );
        assert_eq!(state(&admin).await, before, "{method} {path} {payload}");
    }
    User::sign_in(&server.anonymous(), "", ADMIN.0, ADMIN.1).await;
    server.stop().await;
}

#[tokio::test]
async fn each_nested_item_needs_its_own_permission() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let (alice, message) = (server.member("alice").await, admin.say("here").await);
    let to = Permission::to;
    let creator = server
        .user_with("creator", &[to("create", "directus_users"), to("read", "directus_users")])
        .await;
    let updater = [
        to("update", "messages"),
        to("create", "messages"),
        to("read", "messages"),
        to("read", "directus_users"),
        to("update", "directus_users").fields(&["first_name"]).on(json!({"id": alice.id})),
    ];
    let updater = server.user_with("updater", &updater).await;
    let everything = [
        "directus_users",
        "directus_roles",
        "directus_policies",
        "directus_access",
        "directus_permissions",
    ]
    .iter()
    .flat_map(|collection| {
        ["create", "read", "update", "delete"].map(|action| to(action, collection))
    });
    let mighty = server.user_with("mighty", &everything.collect::<Vec<_>>()).await;
    let (policy, role) = (admin.policy("p", &[]).await, role(&admin, "r").await);
    let before = state(&admin).await;
    let messages = "/items/messages";
    let one = format!("{messages}/{message}");
    let user = |part: &str, value: Json| json!({"email": "new@example.com", part: value});

    let mut attempts = Vec::new();
    // Permissions on accounts do not extend to related items, and permissions on these do not
    // suffice either.
    for person in [&creator, &mighty] {
        for payload in [
            user("policies", json!([{"policy": policy}])),
            user("policies", json!([{"policy": {"name": "x", "admin_access": true}}])),
            user("policies", json!({"create": [{"policy": policy}]})),
            user("role", json!({"name": "x"})),
            user("role", json!({"id": role, "name": "x"})),
        ] {
            attempts.push((person, "POST", "/users".to_owned(), payload));
        }
        for list in [
            json!({"users": [person.id]}),
            json!({"users": {"create": [{"email": "x@example.com"}]}}),
        ] {
            attempts.push((person, "PATCH", format!("/roles/{}", role.as_str().unwrap()), list));
        }
    }
    // Nested writes through the author of a message: another account, another field, a new account.
    for author in [
        json!({"id": admin.id, "first_name": "x"}),
        json!({"id": alice.id, "title": "x"}),
        json!({"first_name": "x"}),
        json!({"id": alice.id, "first_name": "x", "role": {"name": "x"}}),
        json!({"id": "a7e169a7-3a52-4ac8-9f02-2d6a5c6a2f3b", "first_name": "x"}),
    ] {
        let payload = json!({"content": "x", "user_created": author});
        attempts.push((&updater, "POST", messages.to_owned(), payload.clone()));
        attempts.push((&updater, "PATCH", one.clone(), payload));
    }
    for (person, method, path, payload) in attempts {
        let answer = person.send_json(method, &path, &payload).await;
        assert_eq!(
            (answer.status, answer.code()),
            (403, "FORBIDDEN"),
            "{method} {path} {payload} {}",
            answer.text
        );
    }
    assert_eq!(state(&admin).await, before);

    let author = json!({"content": "x", "user_created": {"id": alice.id, "first_name": "x"}});
    // With the permission it succeeds, but the author of the message remains its writer.
    let made = updater.post("/items/messages?fields=user_created", &author).await.ok();
    assert_eq!(made["user_created"], updater.id);
    let name = admin.get(&format!("/users/{}?fields=first_name", alice.id)).await.ok();
    assert_eq!(name["first_name"], "x");
    server.stop().await;
}

#[tokio::test]
async fn nested_writes_do_not_reveal_hidden_values() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let alice = server.member("alice").await;
    let may = [
        Permission::to("create", "messages"),
        Permission::to("update", "directus_users").on(json!({"id": "$CURRENT_USER"})),
        Permission::to("read", "directus_users").fields(&["id", "first_name"]),
    ];
    let guesser = server.user_with("guesser", &may).await;

    // A correct guess and a wrong one give the same response.
    for email in [alice.email.as_str(), "wrong@example.com"] {
        let author = json!({"id": alice.id, "email": email});
        let payload = json!({"content": "x", "user_created": author});
        guesser.post("/items/messages", &payload).await.refused(403, "FORBIDDEN");
    }
    assert_eq!(admin.get("/items/messages").await.ok(), json!([]));
    server.stop().await;
}

#[tokio::test]
async fn every_nested_item_has_an_event_and_an_activity_entry() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let mut socket = Socket::signed_in(&server, &admin).await;
    let collections = [
        "directus_users",
        "directus_access",
        "directus_policies",
        "directus_permissions",
        "directus_roles",
    ];
    for collection in collections {
        let subscribe =
            json!({"collection": collection, "event": "create", "query": {"fields": ["id"]}});
        socket.subscribe(collection, subscribe).await;
    }
    let payload = json!({"email": "a@example.com", "role": {"name": "r"},
        "policies": [{"policy": {"name": "p", "permissions": [read_messages(), read_messages()]}}]});

    let user = admin.post("/users", &payload).await.ok();

    let mut told: Vec<String> = Vec::new();
    for _ in 0..6 {
        let frame = socket.next().await;
        assert_eq!(frame["event"], "create", "{frame}");
        told.push(frame["uid"].as_str().unwrap().to_owned());
    }
    socket.quiet().await;
    told.sort();
    let expected = [
        "directus_access",
        "directus_permissions",
        "directus_permissions",
        "directus_policies",
        "directus_roles",
        "directus_users",
    ];
    assert_eq!(told, expected);
    let filter = json!({"_and": [{"action": {"_eq": "create"}}, {"timestamp": {"_gte": "$NOW(-1 hour)"}},
        {"collection": {"_in": collections}}, {"user": {"_eq": admin.id}}]});
    let lines = admin.get(&format!("/activity?filter={filter}&fields=collection,item")).await.ok();
    assert_eq!(len(&lines), 6);
    assert!(
        lines
            .as_array()
            .unwrap()
            .contains(&json!({"collection": "directus_users", "item": user["id"]}))
    );
    server.stop().await;
}

#[tokio::test]
async fn a_nested_password_change_ends_the_sessions() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let (alice, bob) = (server.member("alice").await, server.member("bob").await);
    let role = admin.get(&format!("/users/{}?fields=role", alice.id)).await.ok()["role"].clone();
    let path = format!("/roles/{}", role.as_str().unwrap());
    let whoami = async |user: &Client| user.get("/users/me").await.status;

    let update =
        json!({"users": {"update": [{"id": alice.id, "password": "another long password"}]}});
    admin.patch(&path, &update).await.ok();

    assert_eq!((whoami(&alice).await, whoami(&bob).await), (401, 200));
    User::sign_in(&server.anonymous(), &alice.id, &alice.email, "another long password").await;
    server.stop().await;
}

#[tokio::test]
async fn a_repeated_nested_create_returns_the_root_items() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let payload = json!([
        {"name": "a", "parent": {"name": "above"}, "children": [{"name": "below"}]},
        {"name": "b", "users": [{"email": "x@example.com", "password": "a long enough password"}]},
    ]);
    let create = async || {
        let request =
            admin.request("POST", "/roles?fields=id,name").header("idempotency-key", "once");
        crate::support::Answer::to(request.json(&payload)).await.ok()
    };

    let (first, second) = (create().await, create().await);

    assert_eq!(first, second);
    assert_eq!((&first[0]["name"], &first[1]["name"]), (&json!("a"), &json!("b")));
    assert_eq!(len(&first), 2);
    let named = admin.get("/roles?filter[name][_in]=a,b,above,below&fields=id").await.ok();
    assert_eq!(len(&named), 4);
    server.stop().await;
}
