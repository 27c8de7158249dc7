//! Limits of costly queries: their time is bounded, and they never take all connections.

use std::path::Path;
use std::time::Duration;

use chinwag::config::StoreConfig;
use futures_util::future::join_all;
use serde_json::Value as Json;
use serde_json::json;
use sqlx::{Connection, SqliteConnection};

use crate::support::soon;
use crate::support::{Socket, TestServer, User};

const MINUTE: Duration = Duration::from_mins(1);

/// Returns a server and its administrator. It has enough messages that [`costly`] takes longer than
/// any test waits.
async fn crowded(readers: u32, timeout: Duration) -> (TestServer, User) {
    crowded_with(|config| {
        config.readers = readers;
        config.query_timeout = timeout;
    })
    .await
}

async fn crowded_with(bend: impl FnOnce(&mut StoreConfig)) -> (TestServer, User) {
    let server = TestServer::with(|config| bend(&mut config.store)).await;
    let mut database =
        SqliteConnection::connect(&format!("sqlite:{}", server.database().display()))
            .await
            .unwrap();
    sqlx::query(
        "insert into messages (id, content, date_created) \
         with recursive n(i) as (select 1000 union all select i + 1 from n where i < 100000) \
         select i, 'message ' || i || printf('%.200c', 'm'), 0 from n",
    )
    .execute(&mut database)
    .await
    .unwrap();
    database.close().await.unwrap();
    let admin = server.admin().await;
    (server, admin)
}

/// Returns a query of hundreds of conditions. Each condition scans every text.
fn costly() -> Json {
    let conditions: Vec<Json> = (0..400)
        .map(|word| json!({"content": {"_icontains": format!("nowhere {word}")}}))
        .collect();
    json!({"query": {"filter": {"_or": conditions}, "aggregate": {"count": "*"}}})
}

/// A small query that the in-memory cache cannot answer.
const QUICK: &str = "/items/messages?filter[id][_eq]=1000&fields=id";

#[tokio::test]
async fn slow_queries_are_aborted_and_their_connection_is_reused() {
    let (server, admin) = crowded(1, Duration::from_millis(50)).await;

    let refused = admin.search("/items/messages", &costly()).await;

    refused.refused_with(
        503,
        "SERVICE_UNAVAILABLE",
        "Service \"database\" is unavailable. The query takes longer than 50 ms. Use fewer \
         conditions, a narrower filter, or a smaller limit or offset.",
    );
    assert_eq!(refused.header("retry-after"), "");
    for _ in 0..3 {
        assert_eq!(admin.get(QUICK).await.ok(), json!([{"id": 1000}]));
        admin.search("/items/messages", &costly()).await.refused(503, "SERVICE_UNAVAILABLE");
    }
    server.stop().await;
}

#[tokio::test]
async fn query_timeouts_apply_to_websockets_and_bulk_updates() {
    let (server, admin) = crowded(1, Duration::from_millis(50)).await;
    let mut socket = Socket::signed_in(&server, &admin).await;
    let query = costly()["query"].clone();

    let read = json!({"type": "items", "collection": "messages", "action": "read", "query": query});
    assert_eq!(socket.ask(&read).await["error"]["code"], "SERVICE_UNAVAILABLE");
    let first = socket.subscribe("s", json!({"query": {"filter": query["filter"]}})).await;
    assert_eq!(first["error"]["code"], "SERVICE_UNAVAILABLE", "{first}");
    let by_query = json!({"query": {"filter": query["filter"]}, "data": {"content": "x"}});
    admin.patch("/items/messages", &by_query).await.refused(503, "SERVICE_UNAVAILABLE");

    assert_eq!(admin.get(QUICK).await.ok(), json!([{"id": 1000}]));
    socket.quiet().await;
    server.stop().await;
}

#[tokio::test]
async fn a_subscription_ends_if_its_query_times_out() {
    let (server, admin) = crowded(2, Duration::from_millis(50)).await;
    let mut socket = Socket::signed_in(&server, &admin).await;
    let filter = json!({"_or": [costly()["query"]["filter"], {"content": "fits"}]});
    let query = json!({"fields": ["content"], "filter": filter, "meta": "filter_count"});
    let usual = json!({"event": "create", "query": {"fields": ["content"]}});
    assert_eq!(socket.subscribe("usual", usual).await["event"], "init");
    let counting = json!({"event": "create", "query": query});
    assert_eq!(socket.subscribe("counting", counting).await["event"], "init");

    admin.say("fits").await;

    socket.expect_event("create", "fits").await;
    let ended = socket.next().await;
    assert_eq!((&ended["event"], &ended["uid"]), (&json!("error"), &json!("counting")));
    assert_eq!(ended["error"]["code"], "SERVICE_UNAVAILABLE");
    admin.say("later").await;
    socket.expect_event("create", "later").await;
    socket.quiet().await;
    server.stop().await;
}

#[tokio::test]
async fn queries_are_cancelled_when_their_socket_closes() {
    let (server, admin) = crowded(1, MINUTE).await;
    let mut socket = Socket::signed_in(&server, &admin).await;
    let read = json!({"type": "items", "collection": "messages", "action": "read",
        "query": costly()["query"]});

    socket.send(&read).await;
    // The query is still running, and would be for long.
    tokio::time::timeout(Duration::from_millis(300), socket.next()).await.unwrap_err();
    drop(socket);

    // The only connection is free again long before that query would have finished.
    assert_eq!(admin.get(QUICK).await.ok(), json!([{"id": 1000}]));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_queries_leave_connections_for_others_and_sign_in() {
    let (server, admin) = crowded(2, MINUTE).await;
    let costly_ones: Vec<_> = (0..4)
        .map(|_| {
            let admin = (*admin).clone();
            tokio::spawn(async move { admin.search("/items/messages", &costly()).await })
        })
        .collect();

    let quick = join_all((0..5).map(|_| admin.get(QUICK))).await;
    let again = server.admin().await;

    for answer in quick {
        assert_eq!(answer.ok(), json!([{"id": 1000}]));
    }
    again.get("/users/me?fields=id").await.ok();
    let mut refused = 0;
    for one in costly_ones {
        if one.is_finished() {
            soon(one).await.unwrap().refused(503, "SERVICE_UNAVAILABLE");
            refused += 1;
        } else {
            one.abort();
        }
    }
    assert!(refused > 0, "no slow query was refused");
    server.stop().await;
}

const MEBIBYTE: u64 = 1 << 20;

fn length(file: &Path) -> u64 {
    std::fs::metadata(file).map_or(0, |file| file.len())
}

async fn shorter(file: &Path, bytes: u64) {
    soon(async {
        while length(file) > bytes {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn overlapping_reads_do_not_grow_the_write_ahead_log() {
    let (server, admin) = crowded_with(|config| {
        config.readers = 8;
        config.query_timeout = MINUTE;
        config.wal_bytes_max = 1 << 20;
    })
    .await;
    let log = server.database().with_extension("db-wal");
    shorter(&log, MEBIBYTE).await;
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let admin = (*admin).clone();
            tokio::spawn(async move {
                loop {
                    admin.search("/items/messages", &costly()).await;
                }
            })
        })
        .collect();

    let text = "m".repeat(20_000);
    let list: Json = (0..10).map(|_| json!({"content": text})).collect();
    let mut longest = 0;
    for _ in 0..90 {
        admin.post("/items/messages?fields=id", &list).await.ok();
        longest = longest.max(length(&log));
    }
    for reader in &readers {
        reader.abort();
    }

    // Each list takes half a megabyte of the log, all of them 45.
    assert!(longest < 32 * MEBIBYTE, "{longest}");
    shorter(&log, MEBIBYTE / 2).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_external_reader_does_not_block_the_service() {
    let (server, admin) = crowded_with(|config| config.wal_bytes_max = 1 << 20).await;
    let log = server.database().with_extension("db-wal");
    let file = format!("sqlite:{}", server.database().display());
    let mut other = SqliteConnection::connect(&file).await.unwrap();
    let mut snapshot = other.begin().await.unwrap();
    sqlx::query("select count(*) from directus_users").fetch_one(&mut *snapshot).await.unwrap();
    let text = "m".repeat(10_000);
    let list: Json = (0..10).map(|_| json!({"content": text})).collect();

    // The log keeps growing for as long as that reader is open.
    while length(&log) < 4 * MEBIBYTE {
        admin.post("/items/messages?fields=id", &list).await.ok();
        assert_eq!(admin.get(QUICK).await.ok(), json!([{"id": 1000}]));
        admin.get("/items/messages?aggregate[count]=*").await.ok();
    }

    server.stop().await;
}
