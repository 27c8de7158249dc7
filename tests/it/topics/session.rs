//! The number of connected users, however connections end.

use std::time::Duration;

use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use super::Page;
use super::open;
use crate::support::RawSocket;
use crate::support::Socket;
use crate::support::TestServer;
use crate::support::soon;

fn count(users: usize) -> serde_json::Value {
    json!({"topic": "session", "payload": {"users": users}})
}

#[tokio::test]
async fn everybody_learns_who_comes_and_goes() {
    let server = open().await;
    let mut a = Page::open(&server).await;
    let mut b = Page::open(&server).await;
    assert_eq!((&a.users, &b.users), (&json!(1), &json!(2)));
    a.expect(&count(2)).await;

    let c = Page::open(&server).await;
    assert_eq!(c.users, json!(3));
    a.expect(&count(3)).await;
    b.expect(&count(3)).await;

    // Closed properly, and dropped.
    b.send_message(Message::Close(None)).await;
    a.expect(&count(2)).await;
    drop(c);
    a.expect(&count(1)).await;
    server.stop().await;
}

#[tokio::test]
async fn the_other_socket_does_not_count() {
    let server = open().await;
    let mut page = Page::open(&server).await;

    let _other = Socket::connect(&server).await;
    let second = Page::open(&server).await;

    assert_eq!(second.users, json!(2));
    page.expect(&count(2)).await;
    server.stop().await;
}

#[tokio::test]
async fn whoever_left_the_count_cannot_come_back() {
    let server = open().await;
    let mut page = Page::open(&server).await;
    page.tell("unsubscribe", "session").await;
    page.tell("unsubscribe", "_internal").await;
    page.settled().await;

    let mut other = Page::open(&server).await;
    let third = Page::open(&server).await;
    other.expect(&count(3)).await;
    page.tell("subscribe", "session").await;
    page.settled().await;
    drop(third);
    other.expect(&count(2)).await;

    page.settled().await;
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_is_gone_without_a_word_is_no_ghost() {
    let period = Duration::from_millis(200);
    let server = TestServer::with(|config| config.websockets.heartbeat_period = period).await;
    // It never reads, so it never answers a ping. Its connection stays open.
    let ghost = RawSocket::connect_to(&server, "/_ws").await;
    let mut page = Page::open(&server).await;
    assert_eq!(page.users, json!(2));

    // Reading answers pings, so this one stays.
    page.expect(&count(1)).await;

    page.settled().await;
    drop(ghost);
    server.stop().await;
}

#[tokio::test]
async fn a_crowd_that_comes_at_once_is_told_of_in_few_words() {
    let server = open().await;
    let mut first = Page::open(&server).await;

    let crowd: Vec<_> = (0..100).map(|_| Page::open(&server)).collect();
    let crowd = soon(futures_util::future::join_all(crowd)).await;

    let mut told = 0;
    loop {
        told += 1;
        if first.next().await == count(101) {
            break;
        }
    }
    assert!(told <= 50, "{told} counts for 100 newcomers");
    drop(crowd);
    server.stop().await;
}
