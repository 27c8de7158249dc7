//! The number of connected users, however connections end.

use std::time::Duration;

use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use super::Page;
use super::open;
use crate::support::soon;
use crate::support::{RawSocket, Socket, TestServer};

fn count(users: usize) -> serde_json::Value {
    json!({"topic": "session", "payload": {"users": users}})
}

#[tokio::test]
async fn connects_and_disconnects_update_the_user_count() {
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
async fn connections_of_the_other_endpoint_are_not_counted() {
    let server = open().await;
    let mut page = Page::open(&server).await;

    let _other = Socket::connect(&server).await;
    let second = Page::open(&server).await;

    assert_eq!(second.users, json!(2));
    page.expect(&count(2)).await;
    server.stop().await;
}

#[tokio::test]
async fn unsubscribing_from_the_user_count_is_permanent() {
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
async fn an_unresponsive_client_leaves_the_user_count() {
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
async fn count_updates_of_many_connects_are_coalesced() {
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
    assert!(told <= 50, "{told} count updates for 100 connects");
    drop(crowd);
    server.stop().await;
}
