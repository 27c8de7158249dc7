//! One rate of created items for each account and address, at any entry point.

use std::num::NonZeroU32;
use std::time::Duration;

use chinwag::config::RateLimit;
use serde_json::Value as Json;
use serde_json::json;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::support::error;
use crate::support::{Answer, Permission, Socket, TestServer, User};
use crate::throttle::HOME;
use crate::throttle::machine;
use crate::throttle::post_from;
use crate::throttle::socket_from;
use crate::throttle::start_with;
use crate::throttle::told_to_wait;

const EXCEEDED: &str = "REQUESTS_EXCEEDED";
const MESSAGES: &str = "/items/messages";

async fn limited(points: u32, seconds: u64) -> TestServer {
    let points = NonZeroU32::new(points).unwrap();
    let quota = RateLimit { points, duration: Duration::from_secs(seconds) };
    start_with(|config| config.limits.items = Some(quota)).await
}

fn messages(count: usize) -> Json {
    json!(vec![json!({"content": "x"}); count])
}

async fn post_as(user: &User, from: &str, body: &Json) -> Answer {
    let request = user.request("POST", MESSAGES).header("x-forwarded-for", from);
    Answer::to(request.json(body)).await
}

async fn page(server: &TestServer, query: &str, from: &str) -> Socket {
    let address = format!("ws://{}/_ws{query}", server.address);
    let mut request = address.into_client_request().unwrap();
    request.headers_mut().insert("x-forwarded-for", from.parse().unwrap());
    let mut socket = Socket::open(request).await.unwrap();
    socket.send(&json!({"type": "unsubscribe", "topic": "session"})).await;
    socket
}

/// Publishes a text, and returns the error frame, if any.
async fn publish(page: &mut Socket) -> Option<Json> {
    page.send(&json!({"type": "publish", "topic": "chat", "payload": {"text": "x"}})).await;
    page.send_text("ping").await;
    loop {
        let text = page.message().await.unwrap().into_text().unwrap();
        if text.as_str() == "ping" {
            return None;
        }
        let frame: Json = serde_json::from_str(&text).unwrap_or_default();
        if frame["status"] == "error" {
            return Some(frame);
        }
    }
}

fn create(data: &Json) -> Json {
    json!({"type": "items", "collection": "messages", "action": "create", "data": data})
}

async fn stored(user: &User) -> Json {
    user.get("/items/messages?aggregate[count]=*").await.ok()[0]["count"].clone()
}

#[tokio::test]
async fn all_entry_points_share_the_item_rate_of_an_account() {
    let server = limited(20, 40).await;
    let alice = server.member("alice").await;
    let mut socket = Socket::signed_in(&server, &alice).await;
    let mut other_socket = Socket::signed_in(&server, &alice).await;
    let mut page = page(&server, &format!("?access_token={}", alice.token), HOME).await;

    post_as(&alice, HOME, &messages(1)[0]).await.ok();
    post_as(&alice, &machine(1), &messages(8)).await.ok();
    let frame = socket.ask(&create(&messages(9))).await;
    assert_eq!(frame["data"].as_array().map(Vec::len), Some(9), "{frame}");
    assert_eq!(publish(&mut page).await, None);
    other_socket.say("the last one").await;

    // The clock is stopped. Every entry point refuses now, and a list as a whole.
    assert_eq!(told_to_wait(&post_as(&alice, &machine(2), &messages(1)[0]).await).as_secs(), 2);
    let refused = post_as(&alice, HOME, &messages(10)).await;
    assert_eq!(told_to_wait(&refused).as_secs(), 20);
    assert_eq!(refused.body["errors"][0]["extensions"]["limit"], 20);
    for socket in [&mut socket, &mut other_socket] {
        for data in [messages(1)[0].clone(), messages(2)] {
            let frame = socket.ask(&create(&data)).await;
            let (area, code, _) = error(&frame);
            assert_eq!((area, code), ("items", EXCEEDED), "{frame}");
        }
    }
    let refused = publish(&mut page).await.expect("an error frame");
    assert_eq!(refused["error"]["code"], EXCEEDED, "{refused}");
    assert_eq!(stored(&alice).await, 20);

    server.clock.advance(Duration::from_secs(4));
    assert_eq!(publish(&mut page).await, None);
    post_as(&alice, HOME, &messages(2)).await.refused(429, EXCEEDED);
    post_as(&alice, HOME, &messages(1)).await.ok();
    assert_eq!(stored(&alice).await, 22);
    server.stop().await;
}

#[tokio::test]
async fn updates_and_deletes_count_for_their_account_only() {
    let server = limited(10, 100).await;
    let (alice, ben) = (server.member("alice").await, server.member("ben").await);
    let keys = post_as(&alice, HOME, &messages(4)).await.ok();
    let keys: Vec<i64> =
        keys.as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect();

    alice.patch(MESSAGES, &json!({"keys": keys, "data": {"content": "y"}})).await.ok();
    alice.delete_many(MESSAGES, &json!(&keys[..2])).await.nothing();
    alice
        .patch(&format!("{MESSAGES}/{}", keys[3]), &json!({"content": "z"}))
        .await
        .refused(429, EXCEEDED);
    alice.delete(&format!("{MESSAGES}/{}", keys[3])).await.refused(429, EXCEEDED);

    ben.say("I was here").await;
    server.stop().await;
}

#[tokio::test]
async fn anonymous_clients_of_one_address_share_a_rate() {
    let server = limited(5, 100).await;
    server
        .allow_public(&[Permission::to("create", "messages"), Permission::to("read", "messages")])
        .await;
    let mut one = page(&server, "", HOME).await;
    let mut other = page(&server, "", HOME).await;
    let mut socket = socket_from(&server, HOME).await;

    assert_eq!(publish(&mut one).await, None);
    assert_eq!(publish(&mut other).await, None);
    socket.say("three").await;
    post_from(&server, HOME, MESSAGES, &messages(2)).await.ok();

    assert!(publish(&mut one).await.is_some());
    assert!(publish(&mut other).await.is_some());
    assert_eq!(error(&socket.ask(&create(&messages(1)[0])).await).1, EXCEEDED);
    told_to_wait(&post_from(&server, HOME, MESSAGES, &messages(1)[0]).await);
    post_from(&server, &machine(1), MESSAGES, &messages(5)).await.ok();
    assert_eq!(publish(&mut page(&server, "", &machine(2)).await).await, None);
    server.stop().await;
}

#[tokio::test]
async fn accounts_of_one_address_share_four_times_the_rate() {
    let server = limited(5, 100).await;
    for (number, name) in ["ann", "ben", "cid", "dan"].into_iter().enumerate() {
        let user = server.member(name).await;
        post_as(&user, HOME, &messages(5)).await.ok();
        post_as(&user, &machine(number), &messages(1)[0]).await.refused(429, EXCEEDED);
    }

    let eve = server.member("eve").await;
    post_as(&eve, HOME, &messages(1)[0]).await.refused(429, EXCEEDED);
    post_as(&eve, &machine(9), &messages(5)).await.ok();
    server.stop().await;
}

#[tokio::test]
async fn a_list_over_the_rate_needs_all_points_and_is_charged_in_full() {
    let server = limited(10, 10).await;
    let alice = server.member("alice").await;

    post_as(&alice, HOME, &messages(30)).await.ok();
    assert_eq!(told_to_wait(&post_as(&alice, HOME, &messages(30)).await).as_secs(), 30);
    assert_eq!(told_to_wait(&post_as(&alice, HOME, &messages(1)[0]).await).as_secs(), 21);

    assert_eq!(stored(&alice).await, 30);
    server.stop().await;
}
