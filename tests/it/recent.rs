//! The newest messages come out of memory. They have to be what the database holds: to the byte
//! whenever all writers stand still, and in one order, each once and with one's own writes, while
//! they write, delete and rename each other.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use futures_util::future::join_all;
use serde_json::Value as Json;
use serde_json::json;

use crate::support::Client;
use crate::support::TestServer;
use crate::support::User;

/// How many messages are kept in memory, as `store/recent.rs` has it.
const KEPT: usize = 1000;

/// How often each writer does something in a storm.
const STEPS: usize = 16;

/// The hottest read of all.
const HOTTEST: &str = "limit=10";

/// More than all writers of a storm together make.
const ROOMY: &str = "limit=200";

/// Returns the path of the newest messages with the names of their authors.
fn newest(page: &str) -> String {
    in_order("-date_created", page)
}

fn in_order(sort: &str, page: &str) -> String {
    format!("/items/messages?{page}&sort={sort}&fields=*,user_created.first_name")
}

/// Somebody who writes, and is renamed.
struct Writer {
    user: User,
    tag: &'static str,
}

impl Writer {
    /// Writes, edits, deletes and gets other names, and sees all that at once.
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

    /// Gives the account another name: all that it has written shows it from then on.
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

/// Reads a page, and returns it if it is in order and has each message once.
async fn consistent(client: &Client, page: &str) -> Vec<Json> {
    let rows = client.get(&newest(page)).await.ok();
    let rows = rows.as_array().unwrap().clone();
    let place = |row: &Json| (row["date_created"].as_str().unwrap().to_owned(), row["id"].as_i64());
    for pair in rows.windows(2) {
        assert!(place(&pair[0]) > place(&pair[1]), "out of order: {} {}", pair[0], pair[1]);
    }
    rows
}

/// Asserts that memory gives what the database gives, below, at and beyond what is kept.
async fn compare(readers: &[&User], when: &str) {
    let limits = [1, 10, 50, 200, KEPT - 1, KEPT, KEPT + 1];
    let mut pages: Vec<String> = limits.iter().map(|limit| format!("limit={limit}")).collect();
    pages.extend(["limit=10&offset=995", "limit=7&page=3", "limit=-1"].map(str::to_owned));
    for (page, sort) in pages.iter().flat_map(|page| [(page, "-date_created"), (page, "-id")]) {
        for reader in readers {
            let memory = reader.get(&in_order(sort, page)).await;
            // A filter that fits everything goes to the database.
            let filtered = format!("{page}&filter[id][_gt]=0");
            let database = reader.get(&in_order(sort, &filtered)).await;
            assert_eq!(memory.status, 200, "{page} {when}: {}", memory.text);
            // Not `assert_eq`: thousands of messages would be printed.
            assert!(
                memory.text == database.text,
                "{page} by {sort} {when}: {}",
                difference(&memory.body, &database.body)
            );
        }
    }
}

/// Shows the first message in which two answers differ.
fn difference(memory: &Json, database: &Json) -> String {
    let (memory, database) = (&memory["data"], &database["data"]);
    let lengths = (memory.as_array().map(Vec::len), database.as_array().map(Vec::len));
    let first = (0..2 * KEPT).find(|place| memory[place] != database[place]);
    let first = first.map(|place| format!("{place}: {} and {}", memory[place], database[place]));
    format!("{lengths:?} messages in memory and database, differing at {first:?}")
}

/// Has everybody write at once, while somebody else reads.
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

/// Makes many messages, of which many are of the same instant.
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
async fn the_newest_messages_in_memory_are_those_in_the_database() {
    let server = TestServer::with(|config| config.limits.per_address = None).await;
    let admin = server.admin().await;
    let mut writers = Vec::new();
    for tag in ["ann", "ben", "cleo"] {
        writers.push(Writer { user: server.member(tag).await, tag });
    }
    let readers = [&admin, &writers[0].user];

    storm(&writers, &admin, 0).await;
    compare(&readers, "while these are all there are").await;
    fill(&admin, KEPT + 1250).await;
    storm(&writers, &admin, 1).await;
    compare(&readers, "with more than are kept").await;
    delete_newest(&admin, 900).await;
    compare(&readers, "after most of what was kept went").await;
    storm(&writers, &admin, 2).await;
    compare(&readers, "after writing again").await;
    delete_newest(&admin, 1200).await;
    compare(&readers, "after more than was kept went").await;
    storm(&writers, &admin, 3).await;
    compare(&readers, "after writing into nothing").await;
    fill(&admin, KEPT + 250).await;
    storm(&writers, &admin, 4).await;
    compare(&readers, "after filling up again").await;
    delete_newest(&admin, -1).await;
    compare(&readers, "when nothing is left").await;
    storm(&writers, &admin, 5).await;
    compare(&readers, "after a new beginning").await;

    let path = format!("/users/{}", writers[1].user.id);
    admin.delete(&path).await.nothing();
    compare(&readers, "after an author went").await;
    let rows = consistent(&admin, ROOMY).await;
    assert!(rows.iter().any(|row| row["user_created"].is_null()));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_kept_is_read_anew_at_a_start() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    fill(&admin, KEPT + 250).await;
    let before = admin.get(&newest("limit=1000")).await;

    let server = server.restart().await;
    let admin = server.signed_in_again(&admin);

    assert!(admin.get(&newest("limit=1000")).await.text == before.text);
    compare(&[&admin], "after a restart").await;
    server.stop().await;
}
