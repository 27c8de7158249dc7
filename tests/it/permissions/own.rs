//! Policies attached to single accounts: they are read together with the account, and take effect
//! and end at once.

use serde_json::Value as Json;
use serde_json::json;
use sqlx::{Connection, SqliteConnection};

use crate::support::{Permission, Socket, TestServer, User};

const LIST: &str = "/items/messages?filter[id][_gt]=0&fields=content";

async fn policy(admin: &User) -> Json {
    admin.policy("readers", &[Permission::to("read", "messages")]).await
}

async fn attach(admin: &User, user: &User, policy: &Json) -> String {
    let access = json!({"user": user.id, "policy": policy});
    let access = admin.post("/access?fields=id", &access).await.ok();
    format!("/access/{}", access["id"].as_str().unwrap())
}

async fn reads(user: &User) -> bool {
    let answer = user.get(LIST).await;
    assert!([200, 403].contains(&answer.status), "{}", answer.text);
    answer.status == 200
}

#[tokio::test]
async fn account_policies_apply_and_end_with_the_next_request() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let alice = server.user_without_role("alice").await;
    let bob = server.user_without_role("bob").await;
    let policy = policy(&admin).await;
    let rights = async || (reads(&alice).await, reads(&bob).await);
    assert_eq!(rights().await, (false, false));

    let access = attach(&admin, &alice, &policy).await;
    assert_eq!(rights().await, (true, false));
    admin.patch(&access, &json!({"user": bob.id})).await.ok();
    assert_eq!(rights().await, (false, true));
    let both = attach(&admin, &alice, &policy).await;
    assert_eq!(rights().await, (true, true));
    // A row that becomes one of the public applies to accounts without a role.
    admin.patch(&both, &json!({"user": null})).await.ok();
    admin.delete(&access).await.nothing();
    assert_eq!(rights().await, (true, true));
    admin.patch(&both, &json!({"user": bob.id})).await.ok();
    assert_eq!(rights().await, (false, true));
    admin.delete(&both).await.nothing();
    assert_eq!(rights().await, (false, false));
    server.stop().await;
}

#[tokio::test]
async fn account_policies_affect_only_the_sockets_of_the_account() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let alice = server.user_without_role("alice").await;
    let bob = server.user_without_role("bob").await;
    let policy = policy(&admin).await;
    let access = attach(&admin, &alice, &policy).await;
    attach(&admin, &bob, &policy).await;
    let mut sockets =
        [Socket::signed_in(&server, &alice).await, Socket::signed_in(&server, &bob).await];
    for socket in &mut sockets {
        let query = json!({"query": {"fields": ["content"]}});
        assert_eq!(socket.subscribe("s", query).await["event"], "init");
    }
    admin.say("for both").await;
    for socket in &mut sockets {
        socket.expect_event("create", "for both").await;
    }

    admin.delete(&access).await.nothing();
    admin.say("for Bob").await;

    let [mut of_alice, mut of_bob] = sockets;
    assert_eq!(of_alice.next().await["error"]["code"], "FORBIDDEN");
    of_bob.expect_event("create", "for Bob").await;
    of_alice.quiet().await;
    of_bob.quiet().await;
    server.stop().await;
}

#[tokio::test]
async fn recreated_policies_and_accounts_do_not_regain_access() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let alice = server.user_without_role("alice").await;
    let id = policy(&admin).await;
    attach(&admin, &alice, &id).await;
    assert!(reads(&alice).await);

    admin.delete(&format!("/policies/{}", id.as_str().unwrap())).await.nothing();
    assert!(!reads(&alice).await);
    admin.post("/policies", &json!({"id": id, "name": "anew"})).await.ok();
    admin.grant(&id, &[Permission::to("read", "messages")]).await;
    assert!(!reads(&alice).await);

    attach(&admin, &alice, &id).await;
    assert!(reads(&alice).await);
    admin.delete(&format!("/users/{}", alice.id)).await.nothing();
    let account = json!({"id": alice.id, "email": alice.email, "password": alice.password});
    admin.post("/users", &account).await.ok();
    let alice = User::sign_in(&server.anonymous(), &alice.id, &alice.email, &alice.password).await;
    assert!(!reads(&alice).await);
    server.stop().await;
}

/// There may be one such row per account. An unreadable one shows which requests read it.
#[tokio::test]
async fn account_policies_are_not_read_on_changes_or_at_startup() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let alice = server.user_without_role("alice").await;
    let bob = server.user_with("bob", &[Permission::to("create", "messages")]).await;
    let policy = policy(&admin).await;
    attach(&admin, &alice, &policy).await;
    let url = format!("sqlite:{}", server.database().display());
    let mut database = SqliteConnection::connect(&url).await.unwrap();
    sqlx::raw_sql(
        "pragma foreign_keys = off; \
         update directus_access set policy = 'no key' where \"user\" is not null",
    )
    .execute(&mut database)
    .await
    .unwrap();
    database.close().await.unwrap();

    assert!(!reads(&bob).await);
    let role = admin.get(&format!("/users/{}?fields=role", bob.id)).await.ok()["role"].clone();
    admin.post("/access", &json!({"role": role, "policy": policy})).await.ok();
    assert!(reads(&bob).await);
    let account = json!({"email": "carol@example.com", "password": "carol's password",
        "policies": [{"policy": policy}]});
    let id = admin.post("/users", &account).await.ok()["id"].as_str().unwrap().to_owned();
    let carol =
        User::sign_in(&server.anonymous(), &id, "carol@example.com", "carol's password").await;
    assert!(reads(&carol).await);

    let server = server.restart().await;
    assert!(reads(&server.signed_in_again(&carol)).await);
    assert_eq!(server.signed_in_again(&alice).get(LIST).await.status, 500);
    server.stop().await;
}
