//! The texts of errors, which clients match on, and data that no error may reveal.

use serde_json::json;

use crate::support::{Answer, TestServer};

const ROOT: &str = "Queried in root.";

#[tokio::test]
async fn invalid_queries_are_refused_with_a_reason() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;

    for (query, reason) in [
        ("filter=x", "Invalid JSON for filter object"),
        ("filter=5", "Invalid filter key \"_eq\" on \"messages\""),
        ("filter=null", "\"filter\" must be of type object"),
        ("filter={\"_or\":\"x\"}", "Invalid filter object"),
        ("filter={\"content\":null}", "Invalid filter object"),
        (
            "filter[content][_foo]=1",
            "\"text\" field type does not contain the \"_foo\" filter operator",
        ),
        (
            "filter[id][_contains]=1",
            "\"integer\" field type does not contain the \"_contains\" filter operator",
        ),
        ("filter[_foo]=1", "Invalid filter key \"_foo\" on \"messages\""),
        (
            "filter={\"content\":{\"_eq\":\"\"}}",
            "You can't filter for an empty string in \"_eq\". Use \"_empty\" or \"_nempty\" instead",
        ),
        (
            "filter={\"content\":{\"_eq\":{}}}",
            "The filter value for \"_eq\" has to be a string, number, or boolean",
        ),
        ("filter={\"content\":{\"_in\":[]}}", "\"_in\" has to be an array of values"),
        ("filter={\"content\":{\"_null\":\"yes\"}}", "\"_null\" has to be a boolean"),
        ("filter[id][_eq]=abc", "Invalid numeric value"),
        ("limit=-2", "\"limit\" must be greater than or equal to -1"),
        ("limit=1.5", "\"limit\" must be an integer"),
        ("limit=many", "\"limit\" must be a number"),
        ("meta=x", "\"meta[0]\" must be one of [total_count, filter_count]"),
    ] {
        let answer = alice.get(&format!("/items/messages?{query}")).await;
        let message = format!("Invalid query. {reason}.");
        answer.refused_with(400, "INVALID_QUERY", &message);
        assert_eq!(answer.body["errors"][0]["extensions"]["reason"], reason);
    }
    server.stop().await;
}

#[tokio::test]
async fn forbidden_and_missing_names_give_the_same_error() {
    let server = TestServer::start().await;
    let (admin, alice) = (server.admin().await, server.member("alice").await);
    let no_access = |what: &str| format!("You don't have permission to access {what}");

    for (path, message) in [
        ("/items/nope", no_access(&format!("collection \"nope\" or it does not exist. {ROOT}"))),
        (
            "/items/directus_users",
            no_access(&format!("collection \"directus_users\" or it does not exist. {ROOT}")),
        ),
        (
            "/roles",
            no_access(&format!("collection \"directus_roles\" or it does not exist. {ROOT}")),
        ),
        (
            "/items/messages?fields=nope",
            no_access(&format!(
                "field \"nope\" in collection \"messages\" or it does not exist. {ROOT}"
            )),
        ),
        (
            "/items/messages?fields=nope,nope2",
            no_access(&format!(
                "fields \"nope\", \"nope2\" in collection \"messages\" or they do not exist. {ROOT}"
            )),
        ),
        (
            "/items/messages?fields=user_created.email",
            no_access(
                "field \"email\" in collection \"directus_users\" or it does not exist. Queried in \"user_created\".",
            ),
        ),
        (
            "/items/messages?sort=nope",
            no_access(&format!(
                "field \"nope\" in collection \"messages\" or it does not exist. {ROOT}"
            )),
        ),
        (
            "/items/messages?filter[nope]=1",
            no_access(&format!(
                "field \"nope\" in collection \"messages\" or it does not exist. {ROOT}"
            )),
        ),
    ] {
        alice.get(path).await.refused_with(403, "FORBIDDEN", &message);
    }
    // Administrators reach system collections by their own paths only.
    for name in ["directus_users", "directus_sessions", "sqlite_master", "event_log"] {
        admin.get(&format!("/items/{name}")).await.refused(403, "FORBIDDEN");
    }
    server.stop().await;
}

#[tokio::test]
async fn refused_writes_return_specific_errors() {
    let server = TestServer::start().await;
    let (admin, alice, bob) =
        (server.admin().await, server.member("alice").await, server.member("bob").await);
    let id = alice.say("hers").await;
    let path = format!("/items/messages/{id}");

    bob.patch(&path, &json!({"content": "x"})).await.refused_with(
        403,
        "FORBIDDEN",
        "You don't have permissions to perform \"update\" for the field(s) \"content\" in collection \
         \"messages\" or it does not exist.",
    );
    bob.delete(&path).await.refused_with(
        403,
        "FORBIDDEN",
        "You don't have permission to perform \"delete\" for collection \"messages\" or it does not \
         exist.",
    );
    let taken = admin.post("/items/messages", &json!({"id": id, "content": "x"})).await;
    let words = "Value \"1\" for field \"id\" in collection \"messages\" has to be unique.";
    taken.refused_with(400, "RECORD_NOT_UNIQUE", words);
    assert_eq!(
        taken.body["errors"][0]["extensions"],
        json!({"collection": "messages", "field": "id", "value": "1", "code": "RECORD_NOT_UNIQUE"})
    );
    admin.post("/items/messages", &json!({"id": "x"})).await.refused(403, "FORBIDDEN");
    admin.post("/items/messages", &json!({"id": null})).await.refused(400, "FAILED_VALIDATION");
    admin.post("/users", &json!({"email": "nobody"})).await.refused(400, "FAILED_VALIDATION");
    admin
        .post("/users", &json!({"email": bob.email.to_uppercase()}))
        .await
        .refused(400, "RECORD_NOT_UNIQUE");
    admin.post("/access", &json!({"policy": admin.id})).await.refused(400, "INVALID_FOREIGN_KEY");
    admin.delete(&format!("/users/{}", admin.id)).await.refused(422, "UNPROCESSABLE_CONTENT");
    server.stop().await;
}

#[tokio::test]
async fn errors_for_hostile_input_reveal_no_internals() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;
    let mut answers: Vec<Answer> = Vec::new();
    let hostile = [
        "'",
        "\"",
        "%00",
        "%27%20or%201=1--",
        "%F0%9F%8E%89",
        "%ff",
        "..%2f..%2fetc",
        "{{7*7}}",
        "[]",
    ];
    for text in hostile {
        for path in [
            "/items/{}",
            "/items/messages/{}",
            "/items/messages?sort={}",
            "/{}",
            "/chat/{}",
            "/items/messages?fields={}",
            "/items/messages?filter[{}]=1",
            "/items/messages?search={}",
            "/items/messages?filter[content][_eq]={}",
            "/items/messages?limit={}",
            "/users/{}",
            "/items/messages?filter={}",
            "/items/messages?meta={}",
            "/items/messages?{}={}",
            "/items/messages?filter[id][_in]={}",
        ] {
            answers.push(alice.get(&path.replace("{}", text)).await);
        }
    }
    for body in [
        json!({"content": "a\u{0}b"}),
        json!({"id": 9_007_199_254_740_993_i64}),
        json!({"__proto__": {"x": 1}}),
        json!({"content": {"$ne": null}}),
        json!([[[]]]),
        json!({"user_created": {"id": "x"}}),
        json!({"date_created": "never"}),
    ] {
        answers.push(alice.post("/items/messages", &body).await);
        answers.push(alice.patch("/items/messages", &body).await);
        answers.push(alice.delete_many("/items/messages", &body).await);
        answers.push(alice.search("/items/messages", &body).await);
        answers.push(alice.post("/auth/login", &body).await);
        answers.push(alice.post("/auth/refresh", &body).await);
    }

    let file = server.database();
    let directory = file.parent().unwrap().to_str().unwrap().to_owned();
    for answer in &answers {
        assert!(answer.status < 500, "{} {}", answer.status, answer.text);
        if answer.status < 400 {
            continue;
        }
        let text = answer.text.to_lowercase();
        for word in [
            "sqlite",
            "sqlx",
            "select ",
            "constraint",
            "panicked",
            "src/",
            ".rs",
            "chinwag.db",
            &directory,
        ] {
            assert!(!text.contains(&word.to_lowercase()), "{word} in {}", answer.text);
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_bulk_create_names_the_duplicate_and_creates_nothing() {
    let server = TestServer::start().await;
    let (admin, alice) = (server.admin().await, server.member("alice").await);
    let before = admin.get("/users?aggregate[count]=*").await.ok();

    for (second, third) in
        [("Carol@Example.com", "x@example.com"), (&*alice.email, "x@example.com")]
    {
        let of = |email: &str| json!({"email": email});
        let list = json!([of("carol@example.com"), of(second), of(third)]);
        let refused = admin.post("/users", &list).await;
        let words = format!(
            "Value \"{second}\" for field \"email\" in collection \"directus_users\" has to be unique."
        );
        refused.refused_with(400, "RECORD_NOT_UNIQUE", &words);
        assert_eq!(refused.body["errors"][0]["extensions"]["value"], second);
    }
    // The error does not repeat a secret that is not unique.
    let of = |email: &str| json!({"email": email, "token": "the same token"});
    let list = json!([of("a@example.com"), of("b@example.com")]);
    let refused = admin.post("/users", &list).await;
    refused.refused(400, "RECORD_NOT_UNIQUE");
    assert_eq!(refused.body["errors"][0]["extensions"]["value"], "");

    assert_eq!(admin.get("/users?aggregate[count]=*").await.ok(), before);
    server.stop().await;
}
