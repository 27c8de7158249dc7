//! The list of the newest messages: its delivery, and its agreement with the other APIs.

use serde_json::json;

use super::Page;
use super::line;
use super::lines;
use super::open;
use super::open_with;
use super::request;
use crate::support::{Socket, TestServer};

#[tokio::test]
async fn a_message_reaches_its_author_and_all_subscribers() {
    let server = open().await;
    let (mut author, mut other) = (Page::chatting(&server).await, Page::chatting(&server).await);
    let mut deaf = Page::open(&server).await;

    author.publish("first").await;
    let first = line(&author.name, "first");
    assert_eq!(author.list().await, std::slice::from_ref(&first));
    assert_eq!(other.list().await, std::slice::from_ref(&first));

    other.publish("second").await;
    let list = [first, line(&other.name, "second")];
    assert_eq!(author.list().await, list);
    assert_eq!(other.list().await, list);
    deaf.settled().await;
    server.stop().await;
}

#[tokio::test]
async fn an_unsubscribed_page_gets_the_list_only_after_publishing() {
    let server = open().await;
    let (mut page, mut other) = (Page::chatting(&server).await, Page::chatting(&server).await);
    page.tell("unsubscribe", "chat").await;
    page.settled().await;

    other.publish("unheard").await;
    other.texts().await;
    page.settled().await;
    page.publish("my own").await;

    assert_eq!(page.texts().await, ["unheard", "my own"]);
    page.settled().await;
    server.stop().await;
}

#[tokio::test]
async fn a_new_page_gets_the_history_without_gaps_or_duplicates() {
    let server = open().await;
    let mut early = Page::chatting(&server).await;
    assert_eq!(early.history, None);
    early.publish("before").await;
    early.texts().await;

    let mut late = Page::open(&server).await;
    assert_eq!(late.history.as_ref().map(lines), Some(vec![line(&early.name, "before")]));

    // Between the history and the subscription there are neither gaps nor duplicates.
    early.publish("in between").await;
    early.texts().await;
    late.tell("unsubscribe", "session").await;
    late.tell("subscribe", "chat").await;
    assert_eq!(late.texts().await, ["before", "in between"]);
    late.tell("subscribe", "chat").await;
    late.settled().await;
    server.stop().await;
}

#[tokio::test]
async fn the_chat_list_matches_the_messages_table() {
    let server = open().await;
    let admin = server.admin().await;
    let mut page = Page::chatting(&server).await;
    let mut socket = Socket::connect(&server).await;
    socket.subscribe("s", json!({"query": {"fields": ["content"]}})).await;

    page.publish("by topic").await;
    page.texts().await;
    socket.expect_event("create", "by topic").await;
    let rows = admin.get("/items/messages?fields=content,guest,user_created").await.ok();
    let row = json!([{"content": "by topic", "guest": page.name, "user_created": null}]);
    assert_eq!(rows, row);

    let id = admin.say("by REST").await;
    assert_eq!(page.list().await[1], line("Admin", "by REST"));
    admin.patch(&format!("/items/messages/{id}"), &json!({"content": "changed"})).await.ok();
    assert_eq!(page.texts().await, ["by topic", "changed"]);
    admin.delete_many("/items/messages", &json!([1, id])).await.nothing();
    assert_eq!(page.texts().await, [""; 0]);
    socket.expect_event("create", "by REST").await;
    let create = json!({"type": "items", "collection": "messages", "action": "create",
        "data": {"content": "by socket"}});
    socket.send(&create).await;
    assert_eq!(page.list().await, [line("Guest", "by socket")]);
    server.stop().await;
}

#[tokio::test]
async fn changes_without_visible_effect_send_no_list() {
    let server = open().await;
    let admin = server.admin().await;
    let id = admin.say("as it was").await;
    let mut page = Page::chatting(&server).await;

    admin.patch(&format!("/items/messages/{id}"), &json!({"content": "as it was"})).await.ok();
    // A sign-in changes the author's account, but no visible field.
    server.admin().await;
    page.settled().await;
    admin.say("news").await;

    assert_eq!(page.texts().await, ["as it was", "news"]);
    server.stop().await;
}

#[tokio::test]
async fn the_list_survives_a_restart() {
    let server = open().await;
    let mut page = Page::chatting(&server).await;
    page.publish("kept").await;
    let list = page.list().await;

    drop(page);
    while server.app().services().hub.peers() > 0 {
        tokio::task::yield_now().await;
    }
    let server = server.restart().await;

    let page = Page::open(&server).await;
    assert_eq!(page.history.as_ref().map(lines), Some(list));
    server.stop().await;
}

#[tokio::test]
async fn concurrent_messages_all_appear_in_the_list() {
    let server = open().await;
    let (mut a, mut b) = (Page::chatting(&server).await, Page::chatting(&server).await);

    for number in 0..10 {
        a.publish(&format!("a{number}")).await;
        b.publish(&format!("b{number}")).await;
    }

    let mut list = Vec::new();
    while list.len() < 20 {
        list = a.texts().await;
    }
    for from in ["a", "b"] {
        let own = list.iter().filter(|text| text.starts_with(from));
        let expected: Vec<String> = (0..10).map(|number| format!("{from}{number}")).collect();
        assert!(own.eq(expected.iter()), "{list:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn the_chat_default_setting_subscribes_every_page() {
    let server = open_with(|config| config.topics.chat_default = true).await;
    let mut page = Page::open(&server).await;
    page.tell("unsubscribe", "session").await;
    page.settled().await;
    let mut tired = Page::open(&server).await;
    tired.tell("unsubscribe", "chat").await;
    tired.settled().await;

    server.admin().await.say("to all").await;

    assert_eq!(page.texts().await, ["to all"]);
    tired.settled().await;
    tired.tell("subscribe", "chat").await;
    assert_eq!(tired.texts().await, ["to all"]);
    server.stop().await;
}

/// Connects as a page in a browser with this `Origin`, without a subscription to `chat`.
async fn browser(server: &TestServer, browser: &str, origin: Option<&str>) -> Page {
    let mut request = request(server, "");
    request.headers_mut().insert("user-agent", browser.parse().unwrap());
    if let Some(origin) = origin {
        request.headers_mut().insert("origin", origin.parse().unwrap());
    }
    let mut page = Page::open_as(request).await;
    page.tell("unsubscribe", "session").await;
    page.settled().await;
    page
}

#[tokio::test]
async fn a_reconnecting_page_keeps_its_chat_subscription() {
    const HERE: Option<&str> = Some("https://chat.example.com");
    let server = open().await;
    let mut page = browser(&server, "Firefox", HERE).await;
    page.tell("subscribe", "chat").await;
    page.settled().await;
    let mut tired = browser(&server, "Safari", HERE).await;
    tired.tell("subscribe", "chat").await;
    tired.tell("unsubscribe", "chat").await;
    tired.settled().await;

    drop((page, tired));
    while server.app().services().hub.peers() > 0 {
        tokio::task::yield_now().await;
    }
    let server = server.restart().await;
    let mut page = browser(&server, "Firefox", HERE).await;
    let mut others = [
        browser(&server, "Safari", HERE).await,
        browser(&server, "Chrome", HERE).await,
        browser(&server, "Firefox", Some("https://other.example.com")).await,
        browser(&server, "Firefox", None).await,
    ];
    server.admin().await.say("after the restart").await;

    assert_eq!(page.texts().await, ["after the restart"]);
    for other in &mut others {
        other.settled().await;
    }
    server.stop().await;
}

#[tokio::test]
async fn a_message_without_visible_text_is_refused() {
    let server = open().await;
    let (mut author, mut other) = (Page::chatting(&server).await, Page::chatting(&server).await);

    for text in ["", " \t\r\n", "\u{a0}", "\u{200b}\u{feff}", "\u{3164}"] {
        author.publish(text).await;
        let answer = author.next().await;
        assert_eq!(answer["error"]["code"], "FAILED_VALIDATION", "{text:?}: {answer}");
    }
    author.publish("said").await;

    let said = [line(&author.name, "said")];
    assert_eq!(author.list().await, said);
    assert_eq!(other.list().await, said);
    server.stop().await;
}
