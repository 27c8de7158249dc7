//! Authentication, and the loss of rights: classes 1, 3 and 22.

use serde_json::Value as Json;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::classes::dump::assert_unchanged;
use crate::classes::dump::dump;
use crate::support::{Answer, Permission, Socket, TestServer, User};

/// `auth` frames without valid credentials.
fn no_credentials() -> Vec<Json> {
    let auth = |more: Json| {
        let mut frame = more;
        frame["type"] = json!("auth");
        frame
    };
    vec![
        auth(json!({})),
        auth(json!({"access_token": null})),
        auth(json!({"access_token": ""})),
        auth(json!({"access_token": "null"})),
        auth(json!({"access_token": "undefined"})),
        auth(json!({"access_token": 0})),
        auth(json!({"access_token": true})),
        auth(json!({"access_token": {}})),
        auth(json!({"access_token": ["a"]})),
        auth(json!({"access_token": "a.b.c"})),
        auth(json!({"access_token": "eyJhbGciOiJub25lIn0.eyJhZG1pbl9hY2Nlc3MiOnRydWV9."})),
        auth(json!({"refresh_token": ""})),
        auth(json!({"refresh_token": null})),
        auth(json!({"email": null, "password": null})),
        auth(json!({"email": "admin@example.com"})),
        auth(json!({"email": "admin@example.com", "password": ""})),
        auth(json!({"email": "admin@example.com", "password": {"_nnull": true}})),
        auth(json!({"email": ["admin@example.com"], "password": true})),
        auth(json!({"role": "admin", "user": "system", "admin": true})),
    ]
}

/// Class 1: a failed or missing sign-in gives no rights at any entry point.
#[tokio::test]
async fn class_1_a_failed_sign_in_gives_only_public_access() {
    let server = TestServer::start().await;
    server.admin().await.say("secret").await;
    let before = dump(&server).await;

    for frame in no_credentials() {
        let mut socket = Socket::connect(&server).await;
        socket.send(&frame).await;
        for (what, collection) in
            [("read", "messages"), ("read", "directus_users"), ("create", "messages")]
        {
            let ask = json!({"type": "items", "action": what, "collection": collection,
                "data": {"content": "x"}, "uid": "asked"});
            socket.send(&ask).await;
            let subscribe = json!({"type": "subscribe", "collection": collection, "uid": "heard"});
            socket.send(&subscribe).await;
        }
        socket.send(&json!({"type": "ping", "uid": "end"})).await;
        loop {
            match socket.message().await {
                Some(Message::Text(text)) => {
                    let answer: Json = serde_json::from_str(&text).unwrap();
                    if answer["uid"] == "end" {
                        break;
                    }
                    assert_eq!(answer["status"], "error", "{frame}: {answer}");
                    assert_eq!(answer.get("data"), None, "{frame}: {answer}");
                }
                Some(Message::Close(_)) | None => break,
                _ => {}
            }
        }
    }
    for (name, value) in [
        ("authorization", "Bearer null"),
        ("authorization", "Bearer undefined"),
        ("authorization", "Bearer a.b.c"),
        ("authorization", "Bearer eyJhbGciOiJub25lIn0.eyJhZG1pbl9hY2Nlc3MiOnRydWV9."),
        ("authorization", "Basic YWRtaW46YWRtaW4="),
        ("cookie", "directus_session_token="),
        ("cookie", "directus_session_token=null"),
        ("cookie", "directus_session_token=a.b.c"),
        ("x-user", "system"),
    ] {
        for (method, path) in [
            ("GET", "/items/messages"),
            ("SEARCH", "/items/messages"),
            ("POST", "/items/messages"),
            ("GET", "/users"),
            ("GET", "/users/me"),
        ] {
            let body =
                if method == "SEARCH" { json!({"query": {}}) } else { json!({"content": "x"}) };
            let request = server.anonymous().request(method, path).header(name, value).json(&body);
            let answer = Answer::to(request).await;
            assert!([401, 403].contains(&answer.status), "{name}: {value}: {}", answer.text);
        }
    }
    assert_unchanged(&server, &before, "the requests").await;
    server.stop().await;
}

/// Class 1: an empty list matches nothing in a rule or a query. An unset variable is no wildcard.
#[tokio::test]
async fn class_1_an_empty_list_matches_nothing() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    admin.say("secret").await;
    let member = server.member("member").await;
    for (place, rule) in [
        json!({"user_created": {"_in": "$CURRENT_ROLES"}}),
        json!({"user_created": {"_in": ["$CURRENT_USER"]}}),
        json!({"user_created": {"_eq": "$CURRENT_USER"}}),
        json!({"user_created": {"_eq": "$CURRENT_ROLE"}}),
        json!({"user_created": {"id": {"_in": ["$CURRENT_USER.id"]}}}),
        json!({"id": {"_in": []}}),
    ]
    .into_iter()
    .enumerate()
    {
        let public = "/access?filter[role][_null]=true&filter[user][_null]=true&fields=policy";
        let policy = admin.get(public).await.ok()[0]["policy"].clone();
        let permission = json!({"policy": policy, "collection": "messages", "action": "read",
            "fields": ["*"], "permissions": rule});
        let made = admin.post("/permissions", &permission).await;
        let visitor = server.anonymous();
        if made.status == 200 {
            let found = visitor.get("/items/messages").await;
            assert!(found.status == 403 || found.ok() == json!([]), "{place}: {}", found.text);
            let mut socket = Socket::connect(&server).await;
            let read = json!({"type": "items", "collection": "messages", "action": "read"});
            let read = socket.ask(&read).await;
            assert!(!read.to_string().contains("secret"), "{rule}: {read}");
            socket.subscribe("s", json!({})).await;
            admin.say("secret too").await;
            socket.quiet().await;
            admin.delete(&format!("/permissions/{}", made.ok()["id"])).await.nothing();
        } else {
            made.refused(400, "INVALID_PAYLOAD");
        }
    }

    for query in ["filter={\"id\":{\"_in\":[]}}", "filter[id][_in]=", "filter[id][_in][]="] {
        let found = member.get(&format!("/items/messages?{query}")).await;
        assert!(found.status == 400 || found.ok() == json!([]), "{query}: {}", found.text);
    }
    server.stop().await;
}

/// The ways in which an account loses a right.
const ENDS: [&str; 8] = [
    "sign-out",
    "suspension",
    "deletion",
    "password",
    "role",
    "policy",
    "permission",
    "policy row",
];

async fn end(way: &str, admin: &User, user: &User) {
    let account = format!("/users/{}", user.id);
    let row = admin.get(&format!("{account}?fields=role.policies.id,role.policies.policy")).await;
    let access = row.ok()["role"]["policies"][0].clone();
    let policy = access["policy"].as_str().unwrap();
    match way {
        "sign-out" => {
            user.post("/auth/logout", &json!({"refresh_token": user.refresh_token}))
                .await
                .nothing();
        }
        "suspension" => _ = admin.patch(&account, &json!({"status": "suspended"})).await.ok(),
        "deletion" => admin.delete(&account).await.nothing(),
        "password" => _ = admin.patch(&account, &json!({"password": "another one"})).await.ok(),
        "role" => _ = admin.patch(&account, &json!({"role": null})).await.ok(),
        "policy" => {
            admin.delete(&format!("/access/{}", access["id"].as_str().unwrap())).await.nothing();
        }
        "policy row" => admin.delete(&format!("/policies/{policy}")).await.nothing(),
        _ => {
            let path = format!("/permissions?filter[policy][_eq]={policy}&fields=id");
            let keys = admin.get(&path).await.ok();
            for row in keys.as_array().unwrap() {
                admin.delete(&format!("/permissions/{}", row["id"])).await.nothing();
            }
        }
    }
}

/// Class 3: a lost right ends at once, with the next request, frame or event.
#[tokio::test]
async fn class_3_revoked_access_ends_at_every_entry_point() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let mut witness = Socket::signed_in(&server, &admin).await;
    witness.subscribe("w", json!({"event": "create"})).await;

    for way in ENDS {
        let name = way.replace(' ', "-");
        let user = server.user_with(&name, &[Permission::to("read", "messages")]).await;
        let mut socket = Socket::signed_in(&server, &user).await;
        socket.subscribe("s", json!({})).await;
        user.get("/items/messages").await.ok();

        end(way, &admin, &user).await;
        admin.say(&format!("after {way}")).await;

        let refused = user.get("/items/messages").await;
        assert!([401, 403].contains(&refused.status), "{way}: {}", refused.text);
        // The hub delivers an event to all subscribers before the next one.
        admin.say("mark").await;
        while witness.next().await["data"][0]["content"] != "mark" {}
        let read = json!({"type": "items", "collection": "messages", "action": "read"});
        socket.send(&read).await;
        socket.send(&json!({"type": "ping", "uid": "end"})).await;
        loop {
            match socket.message().await {
                Some(Message::Text(text)) if text.contains("\"uid\":\"end\"") => break,
                Some(Message::Text(text)) => assert!(!text.contains("after"), "{way}: {text}"),
                Some(Message::Close(_)) | None => break,
                _ => {}
            }
        }
    }
    server.stop().await;
}

/// Class 22: the version is not revealed without a sign-in.
#[tokio::test]
async fn class_22_the_version_is_hidden_from_the_public() {
    let server = TestServer::start().await;
    let version = env!("CARGO_PKG_VERSION");

    for path in [
        "/",
        "/server/info",
        "/server/ping",
        "/server/health",
        "/server/specs/oas",
        "/openapi.json",
        "/items/messages",
        "/nowhere",
        "/users/me",
        "/docs",
    ] {
        let answer = server.anonymous().get(path).await;
        assert!(!answer.text.contains(version), "{path} reveals the version");
        for (name, value) in &answer.headers {
            assert!(!value.to_str().unwrap().contains(version), "{path}: {name}");
            assert!(name != "server" && name != "x-powered-by", "{path}: {name}");
        }
    }
    let told = server.admin().await.get("/server/info").await.ok();
    assert_eq!(told["version"], version);
    server.stop().await;
}
