//! Case-insensitive comparison, in any script and either normal form: in searches, in filters that
//! ask for it, and for email addresses.

use serde_json::Value as Json;
use serde_json::json;
use sqlx::{Connection, SqliteConnection};

use crate::support::{Socket, TestServer, User};

async fn ids(user: &User, query: Json) -> Json {
    let answer = user.search("/items/messages", &json!({"query": query})).await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.text);
    let rows = answer.body["data"].as_array().unwrap();
    rows.iter().map(|row| row["id"].clone()).collect()
}

#[tokio::test]
async fn text_search_ignores_case_and_normalization_form() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;
    let mut socket = Socket::signed_in(&server, &alice).await;
    for (text, words) in [
        (
            "Привет, Übermorgen in ΑΘΗΝΑΣ",
            &["привет", "ÜBERMORGEN", "u\u{308}berm", "αθηνας", "ΝΑΣ"][..],
        ),
        ("eine große STRAẞE", &["GROSSE", "straße", "strasse", "ẞ"]),
        ("Cafe\u{301} Ångström", &["café", "CAFÉ", "ångström", "\u{212b}"]),
        ("\u{212a}elvin's ﬁnd", &["kelvin", "FIND"]),
        ("İstanbul ısı", &["i\u{307}stan", "ısı"]),
        ("天气不错", &["天气", "不"]),
    ] {
        let id = alice.say(text).await;
        for word in words {
            let found = ids(&alice, json!({"search": word, "fields": ["id"]})).await;
            assert_eq!(found, json!([id]), "{word} in {text}");
            let filter = json!({"content": {"_icontains": word}});
            let found = ids(&alice, json!({"filter": filter, "fields": ["id"]})).await;
            assert_eq!(found, json!([id]), "{word} in {text}");
            // Memory finds the same as the database.
            let query = json!({"filter": filter, "fields": ["id"]});
            socket.subscribe("s", json!({"event": "update", "query": query})).await;
            let same = json!({"content": text});
            alice.patch(&format!("/items/messages/{id}"), &json!({"content": "else"})).await.ok();
            alice.patch(&format!("/items/messages/{id}"), &same).await.ok();
            assert_eq!(socket.next().await["data"], json!([{"id": id}]), "{word} in {text}");
        }
    }
    for (operator, word, expected) in [
        ("_istarts_with", "ПРИВЕТ", json!([1])),
        ("_iends_with", "αθηνας", json!([1])),
        ("_nistarts_with", "EINE GROSSE", json!([1, 3, 4, 5, 6])),
        ("_niends_with", "FIND", json!([1, 2, 3, 5, 6])),
        ("_contains", "café", json!([])),
        ("_icontains", "istanbul", json!([])),
    ] {
        let query = json!({"filter": {"content": {operator: word}}, "fields": ["id"]});
        assert_eq!(ids(&alice, query).await, expected, "{operator} {word}");
    }
    server.stop().await;
}

#[tokio::test]
async fn accounts_are_found_by_name_in_any_case() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let alice = server.member("alice").await;
    alice.patch("/users/me", &json!({"first_name": "Özge", "last_name": "Ильин"})).await;

    for word in ["özge", "O\u{308}ZGE", "ИЛЬИН"] {
        let body = json!({"query": {"search": word, "fields": ["id"]}});
        assert_eq!(admin.search("/users", &body).await.ok(), json!([{"id": alice.id}]), "{word}");
    }
    server.stop().await;
}

async fn signs_in(server: &TestServer, email: &str, password: &str) -> bool {
    let body = json!({"email": email, "password": password});
    server.anonymous().post("/auth/login", &body).await.status == 200
}

#[tokio::test]
async fn email_addresses_are_compared_without_case() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let password = "correct horse battery";
    for (email, same) in [
        ("Eve@Example.com", ["eve@example.com", "EVE@EXAMPLE.COM", "Eve@Example.com"]),
        (
            "Ünal@bücher.example",
            ["ünal@BÜCHER.example", "U\u{308}NAL@bu\u{308}cher.example", "Ünal@bücher.example"],
        ),
        ("kim@example.com", ["KIM@example.com", "\u{212a}im@example.com", "kim@example.com"]),
        (
            "иван@пример.example",
            ["ИВАН@пример.example", "Иван@ПРИМЕР.example", "иван@пример.example"],
        ),
    ] {
        let account = json!({"email": email, "password": password});
        admin.post("/users", &account).await.ok();

        for same in same {
            assert!(signs_in(&server, same, password).await, "{same}");
            let again = json!({"email": same, "password": password});
            admin.post("/users", &again).await.refused(400, "RECORD_NOT_UNIQUE");
            let two = json!([{"email": "one@example.com"}, again]);
            admin.post("/users", &two).await.refused(400, "RECORD_NOT_UNIQUE");
            let other = json!({"email": same});
            let refused = admin.patch(&format!("/users/{}", admin.id), &other).await;
            refused.refused(400, "RECORD_NOT_UNIQUE");
        }
    }
    let two = json!([{"email": "ä@example.com"}, {"email": "Ä@example.com"}]);
    admin.post("/users", &two).await.refused(400, "RECORD_NOT_UNIQUE");
    let made = admin.post("/users", &two[0]).await.ok();
    let same = admin.patch(&format!("/users/{}", made["id"].as_str().unwrap()), &two[1]).await;
    assert_eq!(same.ok()["email"], "Ä@example.com");
    server.stop().await;
}

/// An earlier version accepted both addresses.
#[tokio::test]
async fn accounts_whose_addresses_differ_in_case_stay_distinct() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    for (email, password) in
        [("ä@example.com", "the first password"), ("x@example.com", "the second one")]
    {
        admin.post("/users", &json!({"email": email, "password": password})).await.ok();
    }
    let file = format!("sqlite:{}", server.database().display());
    let mut database = SqliteConnection::connect(&file).await.unwrap();
    sqlx::query("update directus_users set email = 'Ä@example.com' where email = 'x@example.com'")
        .execute(&mut database)
        .await
        .unwrap();
    database.close().await.unwrap();

    assert!(signs_in(&server, "ä@example.com", "the first password").await);
    assert!(signs_in(&server, "Ä@example.com", "the second one").await);
    let found = admin.get("/users?filter[email][_icontains]=%C3%A4@&fields=id").await.ok();
    for account in found.as_array().unwrap() {
        let path = format!("/users/{}", account["id"].as_str().unwrap());
        let read = admin.get(&path).await.ok();
        admin.patch(&path, &json!({"email": read["email"], "title": "still here"})).await.ok();
    }
    assert_eq!(found.as_array().unwrap().len(), 2);
    server.stop().await;
}
