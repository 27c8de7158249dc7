//! A connection gets no data that it may not read, and may not publish without permission.

use serde_json::Value as Json;
use serde_json::json;

use super::Page;
use super::line;
use super::request;
use crate::support::error;
use crate::support::{Permission, TestServer, User};

async fn open_as(server: &TestServer, user: &User) -> Page {
    let mut page = Page::open_as(request(server, &format!("?access_token={}", user.token))).await;
    page.tell("unsubscribe", "session").await;
    page.tell("subscribe", "chat").await;
    page.settled().await;
    page
}

#[tokio::test]
async fn the_chat_requires_permissions() {
    let server = TestServer::start().await;
    let member = server.member("Alice").await;
    member.say("among members").await;
    let mut page = Page::chatting(&server).await;
    assert_eq!(page.history, None);

    page.publish("let me in").await;
    let refused = page.next().await;

    assert_eq!(error(&refused).0, "publish");
    assert_eq!(error(&refused).1, "FORBIDDEN");
    assert_eq!(refused.get("topic"), None);
    member.say("still among members").await;
    page.settled().await;
    server.stop().await;
}

#[tokio::test]
async fn a_write_only_client_receives_no_messages() {
    let server = TestServer::start().await;
    server.allow_public(&[Permission::to("create", "messages")]).await;
    let mut page = Page::chatting(&server).await;

    page.publish("into the box").await;
    page.settled().await;

    let admin = server.admin().await;
    let rows = admin.get("/items/messages?fields=content").await.ok();
    assert_eq!(rows, json!([{"content": "into the box"}]));
    server.stop().await;
}

#[tokio::test]
async fn permission_changes_apply_to_open_connections() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    admin.say("here all along").await;
    let mut page = Page::chatting(&server).await;
    let public = "/access?filter[role][_null]=true&filter[user][_null]=true&fields=policy";
    let policy = admin.get(public).await.ok()[0]["policy"].clone();

    let given = admin.grant(&policy, &[Permission::to("read", "messages")]).await;
    assert_eq!(page.texts().await, ["here all along"]);
    let Json::Number(id) = &given[0] else { panic!("{given:?}") };
    admin.delete(&format!("/permissions/{id}")).await.nothing();
    assert_eq!(page.texts().await, [""; 0]);

    admin.say("not for them").await;
    page.settled().await;
    server.stop().await;
}

#[tokio::test]
async fn each_account_gets_the_list_that_it_may_read() {
    let server = TestServer::start().await;
    let own = json!({"user_created": {"_eq": "$CURRENT_USER"}});
    let rights = [
        Permission::to("read", "messages").on(own),
        Permission::to("create", "messages"),
        Permission::to("read", "directus_users"),
    ];
    let (ann, ben) =
        (server.user_with("Ann", &rights).await, server.user_with("Ben", &rights).await);
    let all = server.member("All").await;
    let (mut of_ann, mut of_ben) = (open_as(&server, &ann).await, open_as(&server, &ben).await);
    let mut of_all = open_as(&server, &all).await;

    ann.say("one").await;
    of_all.list().await;
    of_ben.publish("two").await;

    assert_eq!(of_ann.list().await, [line("Ann", "one")]);
    assert_eq!(of_ben.list().await, [line("Ben", "two")]);
    assert_eq!(of_all.list().await, [line("Ann", "one"), line("Ben", "two")]);
    of_ann.settled().await;
    server.stop().await;
}
