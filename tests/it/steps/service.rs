//! The same over REST and the socket: subscriptions receive an event for each message that loses
//! its author, the access of the account ends at once, and neither a lost connection nor a restart
//! cancels a deletion.

use std::time::Duration;

use serde_json::Value as Json;
use serde_json::json;
use uuid::Uuid;

use super::STEP;
use crate::support::soon;
use crate::support::{Answer, Client, Permission, Socket, TestServer, User};

async fn server() -> TestServer {
    TestServer::with(|config| {
        config.store.step_rows_max = STEP;
        config.limits.per_address = None;
    })
    .await
}

async fn say_much(user: &User, count: usize) {
    let rows: Vec<Json> = (0..count).map(|place| json!({"content": place.to_string()})).collect();
    for rows in rows.chunks(1000) {
        user.post("/items/messages?fields=id", &json!(rows)).await.ok();
    }
}

/// Waits until the account is deleted.
async fn gone(admin: &User, id: &str) {
    soon(async {
        while admin.get(&format!("/users/{id}")).await.status != 403 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscribers_receive_each_message_that_loses_its_author() {
    let server = server().await;
    let (admin, alice) = (server.admin().await, server.member("alice").await);
    say_much(&alice, 180).await;
    let mut socket = Socket::signed_in(&server, &admin).await;
    let query = json!({"fields": ["id", "user_created"], "limit": 1});
    socket.subscribe("s", json!({"query": query})).await;
    let mut own = Socket::signed_in(&server, &alice).await;

    admin.delete(&format!("/users/{}", alice.id)).await.nothing();

    let mut orphans = Vec::new();
    while orphans.len() < 180 {
        let frame = socket.next().await;
        assert_eq!(frame["event"], "update", "{frame}");
        let rows = frame["data"].as_array().unwrap();
        assert!(rows.len() <= STEP, "{}", rows.len());
        for row in rows {
            assert!(row["user_created"].is_null(), "{row}");
            orphans.push(row["id"].as_i64().unwrap());
        }
    }
    orphans.sort_unstable();
    assert!(orphans.iter().copied().eq(1..=180), "{orphans:?}");
    socket.quiet().await;
    assert_eq!(own.next().await["error"]["code"], "AUTH_FAILED");
    alice.get("/users/me").await.unknown();
    let left = admin.get("/items/messages?filter[user_created][_nnull]=true").await.ok();
    assert_eq!(left, json!([]));
    let shown = admin.get("/items/messages?limit=200&sort=-date_created").await.ok();
    assert!(shown.as_array().unwrap().iter().all(|row| row["user_created"].is_null()));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_step_ends_access_and_blocks_no_other_account() {
    let server = server().await;
    let (admin, alice) = (server.admin().await, server.member("alice").await);
    let bob = server.member("bob").await;
    let path = format!("/users/{}", alice.id);
    admin.patch(&path, &json!({"token": "alice's static token"})).await.ok();
    let fixed = server.anonymous().bearing("alice's static token");
    fixed.get("/users/me").await.ok();
    say_much(&alice, 1_500).await;

    let deletion = tokio::spawn({
        let request = admin.request("DELETE", &path);
        async move { Answer::to(request).await }
    });
    soon(async {
        while alice.get("/users/me").await.status == 200 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(!deletion.is_finished());
    fixed.get("/users/me").await.unknown();
    let login = json!({"email": alice.email, "password": alice.password});
    server.anonymous().post("/auth/login", &login).await.unknown();
    alice.post("/items/messages", &json!({"content": "late"})).await.unknown();
    let active = json!({"status": "active"});
    let absent = admin.patch(&format!("/users/{}", Uuid::nil()), &active).await;
    assert_eq!(admin.patch(&path, &active).await.status, absent.status);
    bob.say("meanwhile").await;
    assert_eq!(admin.get(&format!("{path}?fields=status")).await.ok()["status"], "archived");
    // Another request for the same account gets its response when the account is deleted, too.
    admin.delete(&path).await.nothing();

    admin.get(&path).await.refused(403, "FORBIDDEN");
    soon(deletion).await.unwrap().nothing();
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disconnected_client_does_not_cancel_a_deletion() {
    let server = server().await;
    let (admin, alice) = (server.admin().await, server.member("alice").await);
    say_much(&alice, 400).await;
    let path = format!("/users/{}", alice.id);

    // On a busy machine the request may not have been read by then, so it is repeated until it
    // takes effect.
    while admin.get(&format!("{path}?fields=status")).await.ok()["status"] == "active" {
        let request = admin.request("DELETE", &path).timeout(Duration::from_millis(60)).send();
        assert!(soon(request).await.is_err(), "the deletion outlasts the timeout");
    }

    gone(&admin, &alice.id).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_resumes_concurrent_deletions() {
    let server = server().await;
    let (admin, alice) = (server.admin().await, server.member("alice").await);
    let bob = server.member("bob").await;
    say_much(&alice, 1_500).await;
    say_much(&bob, 1_500).await;
    let deletions = [&alice, &bob].map(|user| {
        let request = admin.request("DELETE", &format!("/users/{}", user.id));
        tokio::spawn(request.timeout(Duration::from_millis(200)).send())
    });
    for deletion in deletions {
        assert!(soon(deletion).await.unwrap().is_err(), "the deletion outlasts the timeout");
    }

    let server = server.restart().await;
    let admin = server.signed_in_again(&admin);

    gone(&admin, &alice.id).await;
    gone(&admin, &bob.id).await;
    let left = admin.get("/items/messages?aggregate[count]=*").await.ok();
    assert_eq!(left[0]["count"], 3_000);
    let left = admin.get("/items/messages?filter[user_created][_nnull]=true&limit=1").await.ok();
    assert_eq!(left, json!([]));
    server.stop().await;
}

/// Returns the path of a role that inherits one permission and has another among many policies, and
/// an account with that role, created after many others.
async fn crowd(server: &TestServer, admin: &User) -> (String, Client) {
    let inherited = admin.policy("inherited", &[Permission::to("read", "messages")]).await;
    let own = admin.policy("own", &[Permission::to("create", "messages")]).await;
    let above = json!({"name": "above", "policies": [{"policy": inherited}]});
    let above = admin.post("/roles", &above).await.ok()["id"].clone();
    let empty: Vec<Json> = (0..2 * STEP).map(|place| json!({"name": place.to_string()})).collect();
    let mut policies = admin.post("/policies?limit=-1", &json!(empty)).await.ok();
    let policies = policies.as_array_mut().unwrap();
    policies.push(json!({"id": own}));
    let policies: Vec<Json> = policies.iter().map(|it| json!({"policy": it["id"]})).collect();
    let role = json!({"name": "crowd", "parent": above, "policies": policies});
    let role = admin.post("/roles", &role).await.ok()["id"].clone();
    let account = |place: usize| {
        json!({"email": format!("{place}@example.com"), "role": role,
            "token": format!("static token {place}")})
    };
    let accounts: Vec<Json> = (0..1_000).map(account).collect();
    admin.post("/users?fields=id", &json!(accounts)).await.ok();
    let client = server.anonymous().bearing("static token 999");
    client.say("allowed").await;
    (format!("/roles/{}", role.as_str().unwrap()), client)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_being_deleted_grants_no_permissions() {
    let server = server().await;
    let admin = server.admin().await;
    let (path, client) = crowd(&server, &admin).await;
    let holders = "/users?filter[role][name]=crowd&aggregate[count]=*";

    let deletion = tokio::spawn({
        let request = admin.request("DELETE", &path);
        async move { Answer::to(request).await }
    });
    soon(async {
        while client.get("/items/messages").await.status == 200 {
            tokio::task::yield_now().await;
        }
    })
    .await;

    client.get("/items/messages").await.refused(403, "FORBIDDEN");
    client.post("/items/messages", &json!({"content": "no"})).await.refused(403, "FORBIDDEN");
    let left = admin.get(holders).await.ok()[0]["count"].as_i64().unwrap();
    assert!(left > 500, "{left} accounts still have the role");
    assert_eq!(admin.get(&path).await.ok()["parent"], Json::Null);
    let account = json!({"email": "late@example.com", "role": path.rsplit_once('/').unwrap().1});
    assert_eq!(admin.post("/users", &account).await.status, 400);
    soon(deletion).await.unwrap().nothing();
    admin.get(&path).await.refused(403, "FORBIDDEN");
    assert_eq!(admin.get("/users?filter[email]=999@example.com").await.ok()[0]["role"], Json::Null);
    server.stop().await;
}
