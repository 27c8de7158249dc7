//! `chinwag users export|erase`: exports and erases all personal data of an account.

use std::collections::HashMap;
use std::path::Path;

use chinwag::domain::Error;
use serde_json::Value as Json;
use serde_json::json;
use sqlx::{Connection, Row, SqliteConnection};

use crate::support::soon;
use crate::support::{Answer, Permission, TestServer, User};

const TRACES: [&str; 6] = [
    "alice@example.com",
    "Liddell",
    "first thoughts",
    "second thoughts",
    "to be deleted soon",
    "Alice's own phone",
];

/// Leaves traces of an account everywhere: in rows, in sessions, and in the event log.
async fn live(server: &TestServer) -> User {
    let (admin, alice) = (server.admin().await, server.member("alice").await);
    let path = format!("/users/{}", alice.id);
    admin.patch(&path, &json!({"last_name": "Liddell", "title": "gone"})).await.ok();
    admin.patch(&path, &json!({"title": null, "last_name": "L"})).await.ok();
    let said = alice.say("first thoughts").await;
    let change = json!({"content": "second thoughts"});
    alice.patch(&format!("/items/messages/{said}"), &change).await.ok();
    let deleted = alice.say("to be deleted soon").await;
    alice.delete(&format!("/items/messages/{deleted}")).await.nothing();
    let request = server.anonymous().request("POST", "/auth/login");
    let login = json!({"email": alice.email, "password": alice.password});
    let request = request.header("user-agent", "Alice's own phone").json(&login);
    let token = Answer::to(request).await.ok()["refresh_token"].clone();
    server.anonymous().post("/auth/logout", &json!({"refresh_token": token})).await.nothing();
    let create =
        alice.request("POST", "/items/messages").header("idempotency-key", "a-key-of-hers");
    Answer::to(create.json(&json!({"content": "once"}))).await.ok();
    alice
}

fn holds(database: &Path, text: &str) -> bool {
    let bytes = std::fs::read(database).unwrap();
    bytes.windows(text.len()).any(|part| part == text.as_bytes())
}

#[tokio::test]
async fn an_export_contains_the_data_of_one_account_only() {
    let server = TestServer::start().await;
    let (alice, bob) = (live(&server).await, server.member("bob").await);
    bob.say("what Bob said").await;

    let export = server.app().services().accounts.export("Alice@example.com").await.unwrap();

    assert_eq!(export["account"]["id"], alice.id.as_str());
    assert_eq!(export["account"]["email"], "alice@example.com");
    assert_eq!(export["account"]["password"], "**********");
    assert_eq!(export["sessions"].as_array().unwrap().len(), 1);
    assert_eq!(export["sessions"][0]["seed"], "**********");
    let contents: Vec<&Json> = export["created"]["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| &message["content"])
        .collect();
    assert_eq!(contents, ["second thoughts", "once"]);
    let did = export["activity"].as_array().unwrap();
    assert!(did.iter().any(|line| line["user_agent"] == "Alice's own phone"), "{did:?}");
    let text = export.to_string();
    for trace in TRACES {
        assert!(text.contains(trace), "{trace}");
    }
    for other in ["what Bob said", "bob@example.com", "argon2"] {
        assert!(!text.contains(other), "{other}");
    }
    let nobody = server.app().services().accounts.export("nobody@example.com").await;
    assert!(matches!(nobody, Err(Error::FailedValidation(_))));
    server.stop().await;
}

#[tokio::test]
async fn an_erasure_removes_all_traces_from_the_database() {
    let server = TestServer::start().await;
    let (alice, bob) = (live(&server).await, server.member("bob").await);
    bob.say("what Bob said").await;
    let bobs = bob.say("what Bob had said before").await;
    bob.patch(&format!("/items/messages/{bobs}"), &json!({"content": "later"})).await.ok();
    let database = server.database();

    let erased = server.app().services().accounts.erase(&alice.email, false).await.unwrap();

    assert_eq!(HashMap::from_iter(erased.items), HashMap::from([("messages", 2)]));
    alice.get("/users/me").await.unknown();
    let left = bob.get("/items/messages?fields=content&sort=id").await.ok();
    assert_eq!(left, json!([{"content": "what Bob said"}, {"content": "later"}]));
    let id = alice.id.clone();
    server
        .stop_and(|| {
            assert!(holds(&database, "what Bob had said before"), "the log keeps Bob's messages");
            for trace in TRACES.into_iter().chain(["a-key-of-hers"]) {
                assert!(!holds(&database, trace), "{trace} is still in the database");
            }
        })
        .await;
    drop(id);
}

/// A text of unique characters, and its trigrams as the index stores them: without the characters
/// that a trigram shares with the previous one.
const RARE: &str = "\u{a101}\u{a202}\u{a303}\u{a404} \u{a105}\u{a206}\u{a307}";
const TRIGRAMS: [&str; 3] =
    ["\u{a101}\u{a202}\u{a303}", "\u{a202}\u{a303}\u{a404}", "\u{a105}\u{a206}\u{a307}"];

fn assert_no_trigrams(database: &Path) {
    for file in [database.to_owned(), database.with_extension("db-wal")] {
        let bytes = std::fs::read(&file).unwrap_or_default();
        for trigram in TRIGRAMS {
            let rest = trigram.chars().skip(1).collect::<String>();
            let found = bytes.windows(rest.len()).any(|part| part == rest.as_bytes());
            assert!(!found, "{trigram} is left in {}", file.display());
        }
    }
}

#[tokio::test]
async fn an_erasure_removes_trigrams_from_the_search_index() {
    let server = TestServer::start().await;
    let (alice, bob) = (live(&server).await, server.member("bob").await);
    let database = server.database();
    let count = format!("sqlite://{}", database.display());
    alice.say(RARE).await;
    let said = alice.say("soon edited").await;
    alice.patch(&format!("/items/messages/{said}"), &json!({"content": RARE})).await.ok();
    alice.patch(&format!("/items/messages/{said}"), &json!({"content": "edited"})).await.ok();
    let many = (0..300).map(|number| json!({"content": format!("message {number} of Bob")}));
    bob.post("/items/messages", &many.collect()).await.ok();
    let mut connection = SqliteConnection::connect(&count).await.unwrap();
    soon(async {
        let sql = "select count(*) from chinwag_search_terms where term = ?";
        let mut found = 0_i64;
        while found == 0 {
            let query = sqlx::query(sql).bind(TRIGRAMS[0]);
            found = query.fetch_one(&mut connection).await.unwrap().get(0);
        }
    })
    .await;
    connection.close().await.unwrap();

    server.app().services().accounts.erase(&alice.email, false).await.unwrap();

    assert_no_trigrams(&database);
    let server = server.restart().await;
    let bob = server.signed_in_again(&bob);
    for number in 0..300 {
        bob.say(&format!("later message {number}")).await;
    }
    assert_no_trigrams(&server.database());
    server.stop().await;
}

#[tokio::test]
async fn an_erasure_keeps_anonymous_events_in_the_log() {
    let server = TestServer::start().await;
    let alice = live(&server).await;
    let url = format!("sqlite://{}?mode=ro", server.database().display());
    let count = async || {
        let mut connection = SqliteConnection::connect(&url).await.unwrap();
        let sql = "select count(*), sum(actor = ?1), max(seq) = count(*) from event_log";
        let row = sqlx::query(sql).bind(&alice.id).fetch_one(&mut connection).await.unwrap();
        (row.get::<i64, _>(0), row.get::<Option<i64>, _>(1), row.get::<bool, _>(2))
    };
    let (before, hers, _) = count().await;
    assert!(hers > Some(0));

    server.app().services().accounts.erase(&alice.email, false).await.unwrap();

    let (after, hers, without_gaps) = count().await;
    assert!(after > before && without_gaps);
    assert_eq!(hers, Some(0));
    server.stop().await;
}

#[tokio::test]
async fn erasure_can_keep_messages_and_spares_the_last_administrator() {
    let server = TestServer::start().await;
    let alice = live(&server).await;
    let reader = server.user_with("reader", &[Permission::to("read", "messages")]).await;
    let accounts = &server.app().services().accounts;

    let erased = accounts.erase(&alice.email, true).await.unwrap();

    assert!(erased.items.is_empty());
    let left = reader.get("/items/messages?fields=content,user_created").await.ok();
    assert_eq!(
        left,
        json!([
            {"content": "second thoughts", "user_created": null},
            {"content": "once", "user_created": null},
        ])
    );
    let refused = accounts.erase("admin@example.com", false).await;
    assert!(matches!(refused, Err(Error::Unprocessable(_))), "{refused:?}");
    server.admin().await.get("/users/me").await.ok();
    server.stop().await;
}
