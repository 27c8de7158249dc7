//! The names of authors, as the list of messages shows them.

use serde_json::json;

use super::Page;
use super::line;
use super::open;
use super::request;
use crate::support::{Permission, TestServer};

#[tokio::test]
async fn accounts_show_first_names_and_guests_connection_ids() {
    let server = open().await;
    let alice = server.member("Alice").await;
    let mut guest = Page::chatting(&server).await;
    let login = json!({"email": alice.email, "password": alice.password, "mode": "session"});
    let answer = server.anonymous().post("/auth/login", &login).await;
    let cookie = answer.cookie("directus_session_token").unwrap().split(';').next().unwrap();
    let mut with_cookie = request(&server, "");
    with_cookie.headers_mut().insert("cookie", cookie.parse().unwrap());
    let with_token = request(&server, &format!("?access_token={}&more=1", alice.token));

    let mut expected = Vec::new();
    for request in [with_token, with_cookie] {
        let mut page = Page::open_as(request).await;
        page.publish("it is me").await;
        expected.push(line("Alice", "it is me"));
        assert_eq!(guest.list().await, expected);
    }
    guest.publish("and me").await;
    expected.push(line(&guest.name, "and me"));
    assert_eq!(guest.list().await, expected);
    server.stop().await;
}

#[tokio::test]
async fn name_changes_update_the_list_at_once() {
    let server = open().await;
    let (admin, bob) = (server.admin().await, server.member("Bob").await);
    bob.say("hello").await;
    let mut page = Page::chatting(&server).await;
    let account = format!("/users/{}", bob.id);

    admin.patch(&account, &json!({"first_name": "Robert"})).await.ok();
    assert_eq!(page.list().await, [line("Robert", "hello")]);
    admin.patch(&account, &json!({"first_name": null})).await.ok();
    assert_eq!(page.list().await, [line(&bob.id, "hello")]);
    admin.delete(&account).await.nothing();
    assert_eq!(page.list().await, [line("Guest", "hello")]);
    server.stop().await;
}

#[tokio::test]
async fn guests_keep_separate_names_under_a_shared_account() {
    let server = TestServer::with(|config| {
        config.bootstrap.demo = true;
    })
    .await;
    let (mut a, mut b) = (Page::chatting(&server).await, Page::chatting(&server).await);

    a.publish("a").await;
    b.list().await;
    b.publish("b").await;
    let list = [line(&a.name, "a"), line(&b.name, "b")];
    assert_eq!(b.list().await, list);

    // Elsewhere the messages have the account's name.
    let url = "/items/messages?fields=content,user_created.first_name";
    let rows = server.anonymous().get(url).await.ok();
    let guest = json!({"first_name": "Guest"});
    assert_eq!(
        rows,
        json!([{"content": "a", "user_created": guest}, {"content": "b", "user_created": guest}])
    );
    server.anonymous().say("by REST").await;
    assert_eq!(b.list().await[2], line("Guest", "by REST"));
    server.stop().await;
}

#[tokio::test]
async fn clients_cannot_set_the_guest_name() {
    let server = open().await;
    let guest = Page::open(&server).await;
    let forged = json!({"content": "forged", "guest": guest.name});

    for client in [server.anonymous(), (*server.admin().await).clone()] {
        client.post("/items/messages", &forged).await.refused(400, "INVALID_PAYLOAD");
    }
    server.stop().await;
}

#[tokio::test]
async fn unreadable_names_are_hidden() {
    let server = TestServer::start().await;
    let alice = server.member("Alice").await;
    alice.say("hello").await;
    let read = |fields: &[&str]| Permission::to("read", "messages").fields(fields);
    let keys = server.user_with("keys", &[read(&["id", "content", "user_created"])]).await;
    let texts = server.user_with("texts", &[read(&["id", "content"])]).await;

    for (reader, name) in [(keys, alice.id.as_str()), (texts, "Guest")] {
        let request = request(&server, &format!("?access_token={}", reader.token));
        let page = Page::open_as(request).await;
        assert_eq!(page.history, Some(json!([{"text": "hello", "user": name}])));
    }
    server.stop().await;
}
