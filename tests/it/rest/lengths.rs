//! Every field has a maximum length, at each entry point that writes it.

use chinwag::model::collection::Special;
use chinwag::model::schema;
use chinwag::model::{Collection, Field, Kind, Length};
use serde_json::Value as Json;
use serde_json::json;

use crate::support::error;
use crate::support::{Answer, Socket, TestServer, User};

/// Returns the fields that a client may set, each with a value one character too long.
fn too_long(collection: &'static Collection) -> Vec<(&'static Field, Json)> {
    let long = |field: &'static Field| match (field.length, field.kind) {
        (Length::Most(most), Kind::Text | Kind::Secret) => Some(json!("x".repeat(most + 1))),
        (Length::Most(most), Kind::Json) => match field.name {
            "fields" | "tags" | "ip_access" => Some(json!(["x".repeat(most)])),
            _ => Some(json!({"x": "x".repeat(most)})),
        },
        _ => None,
    };
    let settable = collection.fields.iter().filter(|field| field.special != Special::Managed);
    settable.filter_map(|field| Some((field, long(field)?))).collect()
}

fn refused(answer: &Answer, field: &Field) {
    let name = field.name;
    assert_eq!((answer.status, answer.code()), (400, "VALUE_TOO_LONG"), "{name}: {}", answer.text);
    let extensions = &answer.body["errors"][0]["extensions"];
    assert_eq!(extensions["field"], name);
    let most = field.length_max(0);
    assert_eq!(extensions["max_length"], most);
    assert!(answer.message().contains(&format!("at most {most} characters")), "{}", answer.text);
    assert!(answer.text.len() < 1000, "the value is not repeated");
}

#[tokio::test]
async fn overlong_values_are_refused_by_every_resource() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let role = admin.post("/roles", &json!({"name": "Some"})).await.ok()["id"].clone();
    let policy = admin.post("/policies", &json!({"name": "Some"})).await.ok()["id"].clone();
    let permission = json!({"policy": policy, "collection": "messages", "action": "read"});
    let permission = admin.post("/permissions", &permission).await.ok()["id"].clone();
    let path =
        |resource: &str, key: &Json| format!("/{resource}/{}", key.to_string().trim_matches('"'));

    for (collection, resource, one) in [
        (&schema::USERS, "users", format!("/users/{}", admin.id)),
        (&schema::USERS, "users", "/users/me".to_owned()),
        (&schema::ROLES, "roles", path("roles", &role)),
        (&schema::POLICIES, "policies", path("policies", &policy)),
        (&schema::PERMISSIONS, "permissions", path("permissions", &permission)),
        (&schema::SETTINGS, "", "/settings".to_owned()),
    ] {
        let fields = too_long(collection);
        assert!(fields.len() > 2, "{collection:?}");
        for (field, value) in fields {
            refused(&admin.patch(&one, &json!({field.name: value})).await, field);
            if !resource.is_empty() {
                let item = json!({"name": "Other", field.name: value});
                refused(&admin.post(&format!("/{resource}"), &item).await, field);
                refused(&admin.post(&format!("/{resource}"), &json!([item])).await, field);
            }
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn overlong_names_are_refused_when_accounts_are_created() {
    let server = TestServer::with(|config| config.bootstrap.demo = true).await;
    let field = schema::users::first_name.field();
    let name = "x".repeat(256);

    let account = json!({"email": "n@example.com", "password": "correct horse battery",
        "first_name": name});
    refused(&server.anonymous().post("/users/register", &account).await, field);
    let accounts = &server.app().services().accounts;
    let made = accounts.create("n@example.com", Some(&name), None, None).await.unwrap_err();
    assert!(matches!(made, chinwag::domain::Error::ValueTooLong(_)), "{made}");
    server.stop().await;
}

#[tokio::test]
async fn names_are_trimmed_and_lose_invisible_characters() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;
    let named = async |name: &str| {
        alice.patch("/users/me", &json!({"first_name": name})).await.ok()["first_name"].clone()
    };

    assert_eq!(named("  Zoë\n").await, "Zoë");
    assert_eq!(named("Ad\u{200b}min\u{202e}").await, "Admin");
    assert_eq!(named(" \u{3164}\t").await, Json::Null);
    assert_eq!(named(&"é".repeat(255)).await, "é".repeat(255));
    server.stop().await;
}

#[tokio::test]
async fn an_oversized_list_error_names_a_working_limit() {
    let server = TestServer::with(|config| {
        config.query.answer_bytes_max = 100_000;
        config.websockets.answer_bytes_max = 50_000;
    })
    .await;
    let alice = server.member("alice").await;
    let messages = vec![json!({"content": "\u{1}".repeat(2_000) + "x"}); 50];
    for _ in 0..2 {
        alice.post("/items/messages?fields=id", &json!(messages)).await.ok();
    }
    let mut socket = Socket::signed_in(&server, &alice).await;
    let limit_in = |message: &str| -> usize {
        let (_, limit) = message.split_once("limit=").expect(message);
        limit.split(' ').next().unwrap().parse().unwrap()
    };

    let list = |limit: usize| format!("/items/messages?limit={limit}&sort=id");
    let refused = alice.get(&list(100)).await;
    refused.refused(403, "LIMIT_EXCEEDED");
    let limit = limit_in(refused.message());
    assert_eq!(alice.get(&list(limit)).await.ok().as_array().unwrap().len(), limit);
    alice.get(&list(limit + 1)).await.refused(403, "LIMIT_EXCEEDED");

    let read = |limit: usize| {
        let query = json!({"limit": limit, "sort": ["id"]});
        json!({"type": "items", "action": "read", "collection": "messages", "query": query})
    };
    let refused = socket.ask(&read(100)).await;
    let (_, code, message) = error(&refused);
    assert_eq!(code, "LIMIT_EXCEEDED", "{refused}");
    let limit = limit_in(message);
    assert_eq!(socket.ask(&read(limit)).await["data"].as_array().unwrap().len(), limit);
    assert_eq!(error(&socket.ask(&read(limit + 1)).await).1, "LIMIT_EXCEEDED");
    server.stop().await;
}

/// An earlier version accepted names of any length.
#[tokio::test]
async fn one_oversized_row_blocks_no_list_or_subscription() {
    let server = TestServer::with(|config| config.websockets.answer_bytes_max = 64 * 1024).await;
    let (alice, bob) = (server.member("alice").await, server.member("bob").await);
    let messages: Vec<Json> =
        (1..=9).map(|number| json!({"content": format!("{number}")})).collect();
    alice.post("/items/messages", &json!(messages)).await.ok();
    lengthen(&server, &alice, &"N".repeat(20_000)).await;
    let query = json!({"fields": ["id", "content", "user_created.first_name"], "sort": ["-id"]});

    let list = bob.search("/items/messages", &json!({"query": query})).await.ok();
    assert_eq!(list.as_array().unwrap().len(), 9);
    let mut socket = Socket::signed_in(&server, &bob).await;
    let init = socket.subscribe("chat", json!({"query": query})).await;
    assert_eq!((&init["event"], &init["truncated"]), (&json!("init"), &json!(true)));
    let shown = init["data"].as_array().unwrap();
    let ids: Vec<i64> = shown.iter().map(|row| row["id"].as_i64().unwrap()).collect();
    assert_eq!(ids, [9, 8, 7]);
    bob.say("and on").await;
    socket.expect_event("create", "and on").await;

    // An item that is too long by itself is reduced to its key, and the rest is included.
    lengthen(&server, &alice, &"N".repeat(70_000)).await;
    let init = socket.subscribe("chat", json!({"query": query})).await;
    let shown = init["data"].as_array().unwrap();
    assert_eq!((shown.len(), &init["truncated"]), (10, &json!(true)));
    assert_eq!(shown[1], json!({"id": 9}));
    assert_eq!(shown[0]["content"], "and on");
    let one = json!({"item": 9, "query": {"fields": query["fields"]}});
    assert_eq!(socket.subscribe("one", one).await["data"], json!({"id": 9}));
    let small = socket.subscribe("small", json!({"query": {"fields": ["id"]}})).await;
    assert!(small.get("truncated").is_none(), "{small}");
    server.stop().await;
}

/// Sets an overlong name, as an earlier version would have.
async fn lengthen(server: &TestServer, user: &User, name: &str) {
    use chinwag::model::Key;
    use chinwag::store::{Mutation, Precondition, Write};

    let set = vec![schema::users::first_name.to(name)];
    let keys = vec![Key::Uuid(user.id.parse().unwrap())];
    let ops = vec![Mutation::Update {
        collection: &schema::USERS,
        keys,
        set,
        precondition: Precondition::None,
    }];
    let write = Write { actor: None, at: server.clock.now(), ops };
    server.app().services().committer.commit(write).await.unwrap();
}
