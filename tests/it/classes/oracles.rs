//! Hidden fields cannot be probed by queries or subscriptions: classes 4 and 5.
//!
//! Each query is sent twice, with a different value in the hidden field. If both responses are
//! identical to the last byte, they reveal nothing about the value.

use serde_json::Value as Json;
use serde_json::json;

use crate::classes::address::with_query;
use crate::support::{Answer, Permission, Socket, TestServer, User};

/// The alternating values of the hidden fields.
const SECRETS: [&str; 2] = ["alpha-secret", "omega-hidden"];

/// Queries about two hidden fields: `content` of messages and `email` of their authors.
fn questions() -> Vec<Json> {
    let mut questions = Vec::new();
    for test in [
        json!({"_eq": "alpha-secret"}),
        json!({"_neq": "alpha-secret"}),
        json!({"_in": ["alpha-secret"]}),
        json!({"_nin": ["alpha-secret"]}),
        json!({"_lt": "b"}),
        json!({"_gte": "b"}),
        json!({"_between": ["a", "b"]}),
        json!({"_contains": "alpha"}),
        json!({"_ncontains": "alpha"}),
        json!({"_icontains": "ALPHA"}),
        json!({"_starts_with": "a"}),
        json!({"_nends_with": "t"}),
        json!({"_null": true}),
        json!({"_nempty": true}),
    ] {
        questions.push(json!({"filter": {"content": test}}));
        questions.push(json!({"filter": {"user_created": {"email": test}}}));
        questions.push(json!({"filter": {"_or": [{"id": 1}, {"content": test}]}}));
        questions.push(json!({"filter": {"_and": [{"_or": [{"content": {"_or": [test]}}]}]}}));
        questions.push(json!({"deep": {"user_created": {"_filter": {"email": test}}},
            "fields": ["id", "user_created.id"]}));
        questions.push(json!({"aggregate": {"count": "*"}, "filter": {"content": test}}));
        questions.push(json!({"meta": "*", "limit": 0, "filter": {"content": test}}));
    }
    for (name, value) in [
        ("sort", json!("content")),
        ("sort", json!(["-content"])),
        ("sort", json!("user_created.email")),
        ("search", json!("alpha")),
        ("search", json!("secret")),
        ("fields", json!("content")),
        ("fields", json!("*,content")),
        ("fields", json!("*.*")),
        ("fields", json!("user_created.email")),
        ("fields", json!("user_created.*")),
        ("alias", json!({"a": "content"})),
        ("groupBy", json!(["content"])),
        ("groupBy", json!(["year(content)"])),
        ("aggregate", json!({"min": "content"})),
        ("aggregate", json!({"max": "content"})),
        ("aggregate", json!({"count": "content"})),
        ("aggregate", json!({"countDistinct": "content"})),
        ("export", json!("csv")),
        ("export", json!("json")),
        ("filter", json!({"length(content)": {"_gt": 3}})),
        ("filter", json!({"year(content)": 2026})),
        ("filter", json!({"CONTENT": {"_contains": "alpha"}})),
        ("filter", json!({"content ": {"_contains": "alpha"}})),
        ("filter", json!({"\"content\"": {"_contains": "alpha"}})),
        ("filter", json!({"messages.content": {"_contains": "alpha"}})),
        ("filter", json!({"id": {"_eq": "$CURRENT_USER.email"}})),
        ("filter", json!({"user_created": {"policies": {"_some": {"policy": {"name": "x"}}}}})),
    ] {
        questions.push(json!({name: value}));
    }
    questions.push(json!({"alias": {"a": "content"}, "fields": ["a"]}));
    questions.push(json!({"alias": {"a": "content"}, "sort": "a"}));
    questions.push(json!({"alias": {"a": "content"}, "filter": {"a": {"_contains": "alpha"}}}));
    questions.push(json!({"groupBy": ["id"], "aggregate": {"max": "content"}}));
    questions.push(json!({"aggregate": {"count": "*"}, "sort": "content"}));
    questions.push(json!({"aggregate": {"count": "*"}, "search": "alpha"}));
    questions
        .push(json!({"deep": {"user_created": {"_sort": "email"}}, "fields": "user_created.id"}));
    questions
        .push(json!({"deep": {"user_created": {"_search": "alpha"}}, "fields": "user_created.id"}));
    questions.push(json!({"deep": {"user_created": {"_alias": {"a": "email"}}},
        "fields": "user_created.a"}));
    questions
}

struct World {
    server: TestServer,
    admin: User,
    author: User,
    reader: User,
    socket: Socket,
}

impl World {
    /// Creates an account that reads keys, and may change items with fields that it cannot read.
    async fn new() -> Self {
        // The test may take longer than a heartbeat.
        let server = TestServer::with(|config| {
            config.websockets.heartbeat = false;
            config.limits.per_address = None;
        })
        .await;
        let rights = [
            Permission::to("read", "messages").fields(&["id", "user_created"]),
            Permission::to("update", "messages").fields(&["content"]),
            Permission::to("delete", "messages").on(json!({"id": {"_gt": 1000}})),
            Permission::to("read", "directus_users").fields(&["id"]),
        ];
        let reader = server.user_with("reader", &rights).await;
        let (admin, author) = (server.admin().await, server.member("author").await);
        author.say("first").await;
        author.say("something else").await;
        let socket = Socket::signed_in(&server, &reader).await;
        Self { server, admin, author, reader, socket }
    }

    async fn hide(&self, secret: &str) {
        self.admin.patch("/items/messages/1", &json!({"content": secret})).await.ok();
        let address = json!({"email": format!("{secret}@example.com")});
        self.admin.patch(&format!("/users/{}", self.author.id), &address).await.ok();
    }

    /// Sends a query at every entry point, and returns all responses.
    async fn ask(&mut self, question: &Json) -> Vec<String> {
        let path = "/items/messages";
        let said = |answer: Answer| format!("{} {}", answer.status, answer.text);
        let mut answers = vec![said(self.reader.search(path, &json!({"query": question})).await)];
        for path in [
            with_query(path, &in_brackets(question)),
            with_query(path, &as_json(question)),
            with_query(&format!("{path}/1"), &as_json(question)),
        ] {
            answers.push(said(self.reader.get(&path).await));
        }
        if question.get("filter").is_some() || question.get("search").is_some() {
            let change = json!({"query": question, "data": {"content": "overwritten"}});
            let refused = self.reader.patch(path, &change).await;
            assert!(
                refused.status != 200 || refused.ok() == json!([]),
                "{question}: {}",
                refused.text
            );
            answers.push(said(refused));
            let delete = json!({"query": question});
            answers.push(said(self.reader.delete_many(path, &delete).await));
        }
        let read = json!({"type": "items", "collection": "messages", "action": "read",
            "query": question});
        answers.push(self.socket.ask(&read).await.to_string());
        for event in [Json::Null, json!("update"), json!("delete")] {
            let mut frame = json!({"query": question});
            if !event.is_null() {
                frame["event"] = event;
            }
            answers.push(self.socket.subscribe("s", frame).await.to_string());
        }
        self.socket.ask(&json!({"type": "unsubscribe", "uid": "s"})).await;
        answers
    }
}

/// Encodes a query as a query string, with brackets.
fn in_brackets(query: &Json) -> Vec<(String, String)> {
    fn walk(name: String, json: &Json, pairs: &mut Vec<(String, String)>) {
        match json {
            Json::Object(entries) => {
                for (key, json) in entries {
                    walk(format!("{name}[{key}]"), json, pairs);
                }
            }
            Json::Array(entries) => {
                for (place, json) in entries.iter().enumerate() {
                    walk(format!("{name}[{place}]"), json, pairs);
                }
            }
            Json::String(text) => pairs.push((name, text.clone())),
            other => pairs.push((name, other.to_string())),
        }
    }
    let mut pairs = Vec::new();
    for (name, json) in query.as_object().unwrap() {
        walk(name.clone(), json, &mut pairs);
    }
    pairs
}

/// Encodes a query as a query string, each parameter as JSON.
fn as_json(query: &Json) -> Vec<(String, String)> {
    let text = |json: &Json| json.as_str().map_or_else(|| json.to_string(), str::to_owned);
    query.as_object().unwrap().iter().map(|(name, json)| (name.clone(), text(json))).collect()
}

/// Class 5: no filter, sort order, search, aggregate, alias, depth or export reveals hidden data at
/// any entry point, and no update or delete selects items by it.
#[tokio::test]
async fn class_5_no_query_reveals_hidden_data() {
    let mut world = World::new().await;

    let mut told = Vec::new();
    for question in questions() {
        let mut answers = Vec::new();
        for secret in SECRETS {
            world.hide(secret).await;
            answers.push(world.ask(&question).await);
            let content = world.admin.get("/items/messages/1?fields=content").await.ok();
            assert_eq!(content, json!({"content": secret}), "{question} changed the item");
        }
        for (way, (first, second)) in answers[0].iter().zip(&answers[1]).enumerate() {
            if first != second {
                told.push(format!("{question}, way {way}: {first} / {second}"));
            }
        }
        for answer in answers.iter().flatten() {
            // An error may repeat the text of the query itself.
            let asked = question.to_string();
            let names = SECRETS.iter().any(|secret| answer.contains(secret));
            assert!(!names || asked.contains("alpha-secret"), "{question}: {answer}");
        }
    }

    assert!(told.is_empty(), "{told:#?}");
    world.server.stop().await;
}

/// Class 4: whatever the query, live events contain only rows and fields that the account may read.
#[tokio::test]
async fn class_4_events_contain_only_readable_data() {
    let mut world = World::new().await;
    let own = json!({"user_created": {"_eq": "$CURRENT_USER"}});
    let rights = [Permission::to("read", "messages").on(own)];
    let stranger = world.server.user_with("stranger", &rights).await;
    let mut strange = Socket::signed_in(&world.server, &stranger).await;
    let mut begun = 0;
    for (place, query) in [
        json!({}),
        json!({"fields": "*"}),
        json!({"fields": "*.*"}),
        json!({"fields": "*.*.*"}),
        json!({"fields": ["id", "user_created.*"]}),
        json!({"fields": ["id"], "limit": -1, "meta": "*"}),
        json!({"fields": ["id"], "sort": "-id", "limit": 1}),
        json!({"alias": {"a": "user_created"}, "fields": ["id", "a"]}),
    ]
    .into_iter()
    .enumerate()
    {
        for event in [None, Some("create"), Some("update"), Some("delete")] {
            for item in [None, Some(1)] {
                let uid = format!("{place} {event:?} {item:?}");
                let mut frame = json!({"query": query});
                if let Some(event) = event {
                    frame["event"] = json!(event);
                }
                if let Some(item) = item {
                    frame["item"] = json!(item);
                }
                let first = world.socket.subscribe(&uid, frame.clone()).await;
                begun += usize::from(first["status"] != "error" && first["event"] != "error");
                assert!(!first.to_string().contains("secret"), "{first}");
                strange.subscribe(&uid, frame).await;
            }
        }
    }
    assert!(begun > 20, "{begun}");

    world.hide("alpha-secret").await;
    let author = world.server.member("other").await;
    let third = author.say("alpha-secret").await;
    let path = format!("/items/messages/{third}");
    author.patch(&path, &json!({"content": "alpha-secret 2"})).await.ok();
    author.delete(&path).await.nothing();
    world.admin.delete("/items/messages/1").await.nothing();
    // The witness receives the last change after all earlier subscribers have received the others.
    let mut witness = Socket::signed_in(&world.server, &world.admin).await;
    witness.subscribe("w", json!({"event": "create"})).await;
    let mark = world.admin.say("mark").await;
    while witness.next().await["data"][0]["id"] != mark {}

    let mut heard = 0;
    for (name, socket) in [("reader", &mut world.socket), ("stranger", &mut strange)] {
        socket.send(&json!({"type": "ping", "uid": "end"})).await;
        loop {
            let frame = socket.next().await;
            if frame["uid"] == "end" {
                break;
            }
            let text = frame.to_string();
            for hidden in ["secret", "example.com", "argon2", "something else", "content"] {
                assert!(!text.contains(hidden), "{name} received {hidden}: {text}");
            }
            if name == "stranger" {
                // The other account may see none of these events, not even a key.
                let data = &frame["data"];
                assert!(data.is_null() || *data == json!([]), "{text}");
            }
            heard += 1;
        }
    }
    assert!(heard > 20, "{heard}");
    world.server.stop().await;
}
