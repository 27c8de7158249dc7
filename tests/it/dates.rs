//! Dates when the clock is set back: they never decrease, at any entry point.

use std::time::Duration;

use serde_json::Value as Json;
use serde_json::json;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::support::soon;
use crate::support::{Permission, Socket, TestServer, User};

const HOUR: Duration = Duration::from_hours(1);
const NOON: &str = "2026-01-31T12:00:00.000Z";

async fn list(user: &User, query: &str) -> Vec<(i64, String)> {
    let rows = user.get(&format!("/items/messages?fields=id,date_created&{query}")).await.ok();
    let row = |row: &Json| {
        (row["id"].as_i64().unwrap(), row["date_created"].as_str().unwrap().to_owned())
    };
    rows.as_array().unwrap().iter().map(row).collect()
}

fn is_sorted(dates: &[Json]) -> bool {
    let text = |json: &Json| json.as_str().unwrap().to_owned();
    dates.is_sorted_by_key(text)
}

/// Asserts that sorting by date equals sorting by key, from memory and from the database.
async fn assert_in_order(user: &User, count: usize) {
    let by_key = list(user, "sort=-id").await;
    assert_eq!(by_key.len(), count);
    assert_eq!(list(user, "sort=-date_created").await, by_key);
    let from_disk = "sort=-date_created&filter[id][_gt]=0";
    assert_eq!(list(user, from_disk).await, by_key);
    assert!(by_key.is_sorted_by(|newer, older| newer.1 >= older.1), "{by_key:?}");
}

#[tokio::test]
async fn dates_stay_in_order_when_the_clock_is_set_back() {
    let server = TestServer::at_noon(|_| {}).await;
    let (admin, alice) = (server.admin().await, server.member("alice").await);
    server.allow_public(&[Permission::to("create", "messages")]).await;
    let mut listener = Socket::signed_in(&server, &alice).await;
    let query = json!({"query": {"fields": ["id", "date_created", "date_updated"]}});
    listener.subscribe("s", query).await;
    let first = alice.say("first").await;
    listener.next().await;

    server.clock.set_back(HOUR);
    let second = alice.say("second").await;
    let news = listener.next().await["data"][0].clone();
    assert_eq!((&news["id"], &news["date_created"]), (&json!(second), &json!(NOON)));
    Socket::signed_in(&server, &alice).await.say("by the socket").await;
    let two = json!([{"content": "in a list"}, {"content": "of two"}]);
    alice.post("/items/messages", &two).await.ok();
    let page = format!("ws://{}/_ws", server.address).into_client_request().unwrap();
    let mut page = Socket::open(page).await.unwrap();
    page.send(&json!({"type": "publish", "topic": "chat", "payload": {"text": "by the page"}}))
        .await;
    soon(async { while list(&alice, "").await.len() < 6 {} }).await;
    assert_in_order(&alice, 6).await;

    let edit = json!({"content": "edited"});
    let path = format!("/items/messages/{first}?fields=date_created,date_updated");
    let edited = alice.patch(&path, &edit).await.ok();
    assert_eq!((&edited["date_created"], &edited["date_updated"]), (&json!(NOON), &json!(NOON)));
    let server = server.restart().await;
    let (admin, alice) = (server.signed_in_again(&admin), server.signed_in_again(&alice));
    alice.say("after a restart").await;
    assert_in_order(&alice, 7).await;
    let done = admin.get("/activity?sort=id&fields=timestamp").await.ok();
    let dates: Vec<Json> =
        done.as_array().unwrap().iter().map(|line| line["timestamp"].clone()).collect();
    assert!(is_sorted(&dates), "{dates:?}");

    // The clock has caught up.
    server.clock.advance(HOUR + Duration::from_secs(1));
    let last = alice.say("a second later").await;
    let newest = list(&alice, "sort=-date_created&limit=1").await;
    assert_eq!(newest, [(last, "2026-01-31T12:00:01.000Z".to_owned())]);
    assert_in_order(&alice, 8).await;
    server.stop().await;
}

#[tokio::test]
async fn a_date_in_the_far_future_does_not_affect_new_dates() {
    let server = TestServer::at_noon(|config| config.auth.access_token_ttl = 9_999 * HOUR).await;
    let alice = server.member("alice").await;
    let years = 30 * 365 * 24 * HOUR;
    server.clock.advance(years);
    server.member("bob").await.say("from the future").await;

    server.clock.set_back(years);
    let now = alice.say("of now").await;
    let later = alice.say("a moment later").await;

    let said = list(&alice, "sort=date_created").await;
    assert_eq!(said[..2], [(now, NOON.to_owned()), (later, NOON.to_owned())]);
    server.stop().await;
}

#[tokio::test]
async fn tokens_expire_by_the_system_clock() {
    let server = TestServer::at_noon(|config| config.auth.access_token_ttl = HOUR).await;
    let alice = server.member("alice").await;
    alice.say("noon").await;
    server.clock.set_back(HOUR);
    let bob = server.member("bob").await;
    bob.say("eleven").await;

    server.clock.advance(HOUR + Duration::from_secs(1));

    bob.get("/users/me").await.refused(401, "TOKEN_EXPIRED");
    alice.get("/users/me").await.ok();
    server.stop().await;
}
