//! The cache of the newest messages. Its responses equal those of the database to the byte whenever
//! no write is in progress. During concurrent creates, deletes and renames they stay in one order,
//! without duplicates, and include the client's own writes.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use serde_json::Value as Json;
use serde_json::json;

use crate::support::{Client, TestServer, User};

/// Number of messages in the cache, as in `store/recent.rs`.
const KEPT: usize = 1000;

/// Number of actions of each writer in a storm.
const STEPS: usize = 16;

/// The most frequent read.
const HOTTEST: &str = "limit=10";

/// More than all messages of a storm.
const ROOMY: &str = "limit=200";

/// Returns the path of the newest messages with the names of their authors.
fn newest(page: &str) -> String {
    in_order("-date_created", page)
}

fn in_order(sort: &str, page: &str) -> String {
    format!("/items/messages?{page}&sort={sort}&fields=*,user_created.first_name")
}

/// An account that writes and is renamed.
struct Writer {
    user: User,
    tag: &'static str,
}

impl Writer {
    /// Creates, updates and deletes messages and renames the account, and expects each change in
    /// the next read.
    async fn storm(&self, admin: &User, round: usize) {
        for step in 0..STEPS {
            let id = self.user.say(&format!("{} {round}.{step}", self.tag)).await;
            let path = format!("/items/messages/{id}");
            let mut content = format!("{} {round}.{step}", self.tag);
            match step % 4 {
                0 => {
                    content = format!("{} edited {round}.{step}", self.tag);
                    self.user.patch(&path, &json!({"content": content})).await.ok();
                }
                1 => self.user.delete(&path).await.nothing(),
                2 => self.rename(admin, &format!("{} {round}.{step}", self.tag)).await,
                _ => {}
            }
            let shown = consistent(&self.user, ROOMY).await;
            let own = shown.iter().find(|row| row["id"] == id).map(|row| row["content"].clone());
            let expected = if step % 4 == 1 { None } else { Some(json!(content)) };
            assert_eq!(own, expected, "{id} of {}", self.tag);
        }
    }

    /// Renames the account, and expects the new name on all its messages.
    async fn rename(&self, admin: &User, name: &str) {
        let path = format!("/users/{}", self.user.id);
        admin.patch(&path, &json!({"first_name": name})).await.ok();
        for row in consistent(&self.user, ROOMY).await {
            if row["content"].as_str().unwrap().starts_with(self.tag) {
                assert_eq!(row["user_created"]["first_name"], name, "{row}");
            }
        }
    }
}

/// Reads a page, asserts that it is in order and without duplicates, and returns it.
async fn consistent(client: &Client, page: &str) -> Vec<Json> {
    let rows = client.get(&newest(page)).await.ok();
    let rows = rows.as_array().unwrap().clone();
    let place = |row: &Json| (row["date_created"].as_str().unwrap().to_owned(), row["id"].as_i64());
    for pair in rows.windows(2) {
        assert!(place(&pair[0]) > place(&pair[1]), "out of order: {} {}", pair[0], pair[1]);
    }
    rows
}

/// Asserts that memory and database give the same pages: below, at and beyond the cache size.
async fn compare(readers: &[&User], when: &str) {
    let limits = [1, 10, 50, 200, KEPT - 1, KEPT, KEPT + 1];
    let mut pages: Vec<String> = limits.iter().map(|limit| format!("limit={limit}")).collect();
    pages.extend(["limit=10&offset=995", "limit=7&page=3", "limit=-1"].map(str::to_owned));
    for (page, sort) in pages.iter().flat_map(|page| [(page, "-date_created"), (page, "-id")]) {
        for reader in readers {
            let memory = reader.get(&in_order(sort, page)).await;
            // A filter that matches everything bypasses the cache.
            let filtered = format!("{page}&filter[id][_gt]=0");
            let database = reader.get(&in_order(sort, &filtered)).await;
            assert_eq!(memory.status, 200, "{page} {when}: {}", memory.text);
            // `assert_eq` would print thousands of messages.
            assert!(
                memory.text == database.text,
                "{page} by {sort} {when}: {}",
                difference(&memory.body, &database.body)
            );
        }
    }
}

/// Returns the first difference between two responses.
fn difference(memory: &Json, database: &Json) -> String {
    let (memory, database) = (&memory["data"], &database["data"]);
    let lengths = (memory.as_array().map(Vec::len), database.as_array().map(Vec::len));
    let first = (0..2 * KEPT).find(|place| memory[place] != database[place]);
    let first = first.map(|place| format!("{place}: {} and {}", memory[place], database[place]));
    format!("{lengths:?} messages in memory and database, differing at {first:?}")
}

/// Runs all writers at once, beside a reader.
async fn storm(writers: &[Writer], admin: &User, round: usize) {
    let over = AtomicBool::new(false);
    let reading = async {
        let mut read = 0;
        while !over.load(Ordering::SeqCst) {
            consistent(admin, HOTTEST).await;
            read += 1;
        }
        assert!(read > 0);
    };
    let writing = async {
        join_all(writers.iter().map(|writer| writer.storm(admin, round))).await;
        over.store(true, Ordering::SeqCst);
    };
    tokio::join!(reading, writing);
}

/// Creates many messages. Messages of one request share an instant.
async fn fill(admin: &User, count: usize) {
    let rows: Vec<Json> =
        (0..250).map(|place| json!({"content": format!("fill {place}")})).collect();
    for _ in 0..count.div_ceil(rows.len()) {
        admin.post("/items/messages", &json!(rows)).await.ok();
    }
}

async fn delete_newest(admin: &User, count: i64) {
    let query = json!({"query": {"sort": ["-date_created"], "limit": count}});
    admin.delete_many("/items/messages", &query).await.nothing();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cached_messages_match_the_database() {
    let server = TestServer::with(|config| {
        config.limits.per_address = None;
        config.query.batch_max = 10_000;
    })
    .await;
    let admin = server.admin().await;
    let mut writers = Vec::new();
    for tag in ["ann", "ben", "cleo"] {
        writers.push(Writer { user: server.member(tag).await, tag });
    }
    let readers = [&admin, &writers[0].user];

    storm(&writers, &admin, 0).await;
    compare(&readers, "with fewer messages than the cache holds").await;
    fill(&admin, KEPT + 1250).await;
    storm(&writers, &admin, 1).await;
    compare(&readers, "with more messages than the cache holds").await;
    delete_newest(&admin, 900).await;
    compare(&readers, "after the deletion of most cached messages").await;
    storm(&writers, &admin, 2).await;
    compare(&readers, "after writing again").await;
    delete_newest(&admin, 1200).await;
    compare(&readers, "after the deletion of more messages than are cached").await;
    storm(&writers, &admin, 3).await;
    compare(&readers, "after writes to an almost empty cache").await;
    fill(&admin, KEPT + 250).await;
    storm(&writers, &admin, 4).await;
    compare(&readers, "after refilling the cache").await;
    delete_newest(&admin, -1).await;
    compare(&readers, "without any messages").await;
    storm(&writers, &admin, 5).await;
    compare(&readers, "after writes to an empty collection").await;

    let path = format!("/users/{}", writers[1].user.id);
    admin.delete(&path).await.nothing();
    compare(&readers, "after the deletion of an author").await;
    let rows = consistent(&admin, ROOMY).await;
    assert!(rows.iter().any(|row| row["user_created"].is_null()));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_message_cache_is_loaded_at_startup() {
    let server = TestServer::with(|config| config.query.batch_max = 10_000).await;
    let admin = server.admin().await;
    // The greatest key of all is that of the oldest message, which is not in memory.
    admin.post("/items/messages", &json!({"id": 1_000_000, "content": "old"})).await.ok();
    fill(&admin, KEPT + 250).await;
    compare(&[&admin], "with an old message of the greatest key").await;
    let before = admin.get(&newest("limit=1000")).await;

    let server = server.restart().await;
    let admin = server.signed_in_again(&admin);

    assert!(admin.get(&newest("limit=1000")).await.text == before.text);
    compare(&[&admin], "after a restart").await;
    server.stop().await;
}
