//! Ordering: every subscriber gets every event once and in one order under concurrent writes, and a
//! subscription that begins during writes has neither gaps nor duplicates.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::Value as Json;
use serde_json::json;

use crate::support::{Client, Permission, Socket, TestServer, User};

const WRITERS: usize = 10;
const EACH: usize = 50;

/// Creates messages over REST and sockets at the same time.
async fn storm(server: &TestServer, user: &User) {
    let rest = join_all((0..WRITERS / 2).map(|writer| say_over_rest(user, writer)));
    let sockets =
        join_all((WRITERS / 2..WRITERS).map(|writer| say_over_socket(server, user, writer)));
    tokio::join!(rest, sockets);
}

async fn say_over_rest(user: &User, writer: usize) {
    for number in 0..EACH {
        user.say(&format!("{writer}.{number}")).await;
    }
}

async fn say_over_socket(server: &TestServer, user: &User, writer: usize) {
    let mut socket = Socket::signed_in(server, user).await;
    for number in 0..EACH {
        let data = json!({"content": format!("{writer}.{number}")});
        let create =
            json!({"type": "items", "collection": "messages", "action": "create", "data": data});
        socket.send(&create).await;
    }
    for _ in 0..EACH {
        assert!(socket.next().await.get("data").is_some());
    }
}

/// Receives every message of a storm.
async fn hear_all(mut socket: Socket) -> Vec<Json> {
    let mut heard = Vec::new();
    while heard.len() < WRITERS * EACH {
        let frame = socket.next().await;
        assert_eq!(frame["data"].as_array().unwrap().len(), 1);
        heard.push(frame["data"][0].clone());
    }
    socket.quiet().await;
    heard
}

/// Subscribes repeatedly during a storm, the last time until its end, and returns whether any
/// snapshot contained some of the messages but not all.
async fn come_late(server: &TestServer, user: &User, which: usize) -> bool {
    const TIMES: usize = 8;
    let all = i64::try_from(WRITERS * EACH).unwrap();
    // Some share a view, others have their own.
    let narrow = json!({"limit": -1, "fields": ["id"], "filter": {"id": {"_gt": 0}}});
    let query = if which.is_multiple_of(2) { json!({"limit": -1}) } else { narrow };
    let mut midst = false;
    for time in 0..TIMES {
        let mut socket = Socket::signed_in(server, user).await;
        let init = socket.subscribe(&format!("{which}.{time}"), json!({"query": query})).await;
        let mut ids: Vec<i64> = init["data"].as_array().unwrap().iter().map(id).collect();
        let present = i64::try_from(ids.len()).unwrap();
        midst |= present > 0 && present < all;
        let last = if time == TIMES - 1 { all } else { all.min(present + 20) };
        while ids.last().copied().unwrap_or(0) < last {
            let frame = socket.next().await;
            assert_eq!(frame["event"], "create");
            ids.push(id(&frame["data"][0]));
        }
        assert_each_once(&ids, last, &format!("{present} in the snapshot"));
    }
    midst
}

/// Alternates between two accounts, with a new sign-in after each response, until the storm ends.
/// Returns the ids received meanwhile.
async fn turn(mut socket: Socket, users: [&User; 2]) -> Vec<i64> {
    let (mut ids, mut sign_ins) = (Vec::new(), 0);
    loop {
        let frame = socket.next().await;
        if frame["data"][0]["content"] == "the end" {
            assert!(sign_ins > 10, "{sign_ins} sign-ins are too few to prove anything");
            return ids;
        }
        match frame["type"].as_str() {
            Some("subscription") => ids.push(id(&frame["data"][0])),
            Some("ping") => {}
            _ => assert_eq!(frame["status"], "ok"),
        }
        if frame["type"] == "auth" || ids.len() == 1 {
            let token = &users[sign_ins % 2].token;
            socket.send(&json!({"type": "auth", "access_token": token})).await;
            sign_ins += 1;
        }
    }
}

fn id(item: &Json) -> i64 {
    item["id"].as_i64().unwrap()
}

/// Asserts that `ids` has every id up to `last`, in order and without duplicates.
fn assert_each_once(ids: &[i64], last: i64, what: &str) {
    let missing: Vec<i64> = (1..=last).filter(|id| !ids.contains(id)).collect();
    let out_of_order: Vec<_> = ids.windows(2).filter(|pair| pair[1] <= pair[0]).collect();
    assert!(
        missing.is_empty() && out_of_order.is_empty() && ids.last() == Some(&last),
        "{what}: lost {missing:?}, repeated or out of order: {out_of_order:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_subscriber_receives_all_creates_in_id_order() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;
    let mut subscribers = Vec::new();
    for _ in 0..5 {
        let mut socket = Socket::signed_in(&server, &alice).await;
        socket.subscribe("s", json!({"event": "create"})).await;
        subscribers.push(socket);
    }

    let (heard, ()) =
        tokio::join!(join_all(subscribers.into_iter().map(hear_all)), storm(&server, &alice));

    let stored = alice.get("/items/messages?limit=-1").await.ok();
    let ids: Vec<i64> = stored.as_array().unwrap().iter().map(id).collect();
    assert_each_once(&ids, i64::try_from(WRITERS * EACH).unwrap(), "stored");
    for heard in &heard {
        assert_eq!(json!(heard), stored);
    }
    // The messages of one writer are in the order of their writes.
    for writer in 0..WRITERS {
        let of_writer = heard[0].iter().filter_map(|item| {
            item["content"].as_str()?.strip_prefix(&format!("{writer}."))?.parse::<usize>().ok()
        });
        assert!(of_writer.eq(0..EACH), "{writer}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn subscribing_during_writes_loses_and_repeats_no_event() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;

    let late = join_all((0..6).map(|which| come_late(&server, &alice, which)));
    let (midst, ()) = tokio::join!(late, storm(&server, &alice));

    assert!(midst.contains(&true), "no subscription began during the writes");
    server.stop().await;
}

/// Creates, updates and deletes messages.
async fn live(client: &Client) {
    for _ in 0..20 {
        let id = client.say("new").await;
        let path = format!("/items/messages/{id}");
        client.patch(&path, &json!({"content": "changed"})).await.ok();
        client.delete(&path).await.nothing();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_events_of_an_item_arrive_in_commit_order() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;
    let mut socket = Socket::signed_in(&server, &alice).await;
    socket.subscribe("s", json!({})).await;

    join_all((0..5).map(|_| live(&alice))).await;

    let mut present = BTreeSet::new();
    let mut changed = BTreeSet::new();
    for _ in 0..300 {
        let frame = socket.next().await;
        let data = &frame["data"][0];
        match frame["event"].as_str().unwrap() {
            "create" => assert!(present.insert(id(data))),
            "update" => assert!(present.contains(&id(data)) && changed.insert(id(data))),
            "delete" => {
                let key: i64 = data.to_string().replace('"', "").parse().unwrap();
                assert!(present.remove(&key) && changed.remove(&key));
            }
            other => panic!("{other}"),
        }
    }
    assert!(present.is_empty());
    socket.quiet().await;
    server.stop().await;
}

/// Subscribes again under the same `uid`, twice after each event, until the storm ends. Returns the
/// ids received meanwhile.
async fn repeat(mut socket: Socket, subscribe: Json) -> Vec<i64> {
    let mut ids = Vec::new();
    loop {
        let frame = socket.next().await;
        match frame["event"].as_str() {
            Some("init") => {}
            Some("create") if frame["data"][0]["content"] == "the end" => return ids,
            Some("create") => {
                ids.push(id(&frame["data"][0]));
                // All events are live: none was missed.
                assert!(frame.get("replayed").is_none(), "{frame}");
                for _ in 0..2 {
                    socket.send(&subscribe).await;
                }
            }
            _ => panic!("{frame}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn resubscribing_during_writes_loses_and_repeats_no_event() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;
    let mut sockets = Vec::new();
    for filter in [json!({}), costly()] {
        for _ in 0..3 {
            let mut socket = Socket::signed_in(&server, &alice).await;
            let subscribe = json!({"type": "subscribe", "collection": "messages", "uid": "s",
                "event": "create", "query": {"filter": filter}});
            // Twice, as the SDK does on a new connection.
            for _ in 0..2 {
                assert_eq!(socket.ask(&subscribe).await["event"], "init");
            }
            sockets.push((socket, subscribe));
        }
    }

    let repeating =
        join_all(sockets.into_iter().map(|(socket, subscribe)| repeat(socket, subscribe)));
    let weather = async {
        storm(&server, &alice).await;
        alice.say("the end").await;
    };
    let (heard, ()) = tokio::join!(repeating, weather);

    for (number, ids) in heard.iter().enumerate() {
        assert_each_once(
            ids,
            i64::try_from(WRITERS * EACH).unwrap(),
            &format!("received by {number}"),
        );
    }
    server.stop().await;
}

/// Returns a filter that matches every item, and is so costly that its view gets its own queue.
fn costly() -> Json {
    let parts: Vec<_> = (0..40)
        .map(|number| json!({"content": {"_ncontains": format!("never said {number}")}}))
        .collect();
    json!({"_and": parts})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn switching_accounts_during_writes_loses_and_repeats_no_event() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;
    // Both accounts read different fields, so each sign-in moves the subscription to another view.
    let permissions = [Permission::to("read", "messages").fields(&["id", "content"])];
    let reader = server.user_with("reader", &permissions).await;
    let mut sockets = Vec::new();
    for filter in [json!({}), json!({}), costly(), costly()] {
        let mut socket = Socket::signed_in(&server, &alice).await;
        let query = json!({"filter": filter});
        socket.subscribe("s", json!({"event": "create", "query": query})).await;
        sockets.push(socket);
    }

    let turning = join_all(sockets.into_iter().map(|socket| turn(socket, [&reader, &alice])));
    let weather = async {
        storm(&server, &alice).await;
        alice.say("the end").await;
    };
    let (heard, ()) = tokio::join!(turning, weather);

    for ids in heard {
        assert_each_once(&ids, i64::try_from(WRITERS * EACH).unwrap(), "received");
    }
    server.stop().await;
}
