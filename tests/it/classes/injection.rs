//! Hostile text in every parameter of every operation of the `OpenAPI` document: class 16.
//!
//! The text is never executed: no response is a server error or shows internals, and a comparison
//! of the whole database shows no unwanted change.

use reqwest::RequestBuilder;
use serde_json::Value as Json;
use serde_json::json;

use crate::classes::address::encoded;
use crate::classes::address::with_query;
use crate::classes::document::Operation;
use crate::classes::document::operations;
use crate::classes::dump::assert_unchanged;
use crate::classes::dump::dump;
use crate::classes::hostile::check;
use crate::classes::hostile::hostile;
use crate::classes::hostile::inside;
use crate::support::secrets;
use crate::support::{Answer, TestServer};

/// Returns whether the operation ends sessions of the caller, which every account may do.
fn ends_own_sessions(operation: &Operation) -> bool {
    operation.method == "DELETE" && operation.path.starts_with("/users/me/sessions")
}

/// Class 16: every path, query and header parameter. The requests are an administrator's, so that
/// none is refused for missing permissions. Changes address hostile keys.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn class_16_hostile_parameters_change_and_reveal_nothing() {
    let server = TestServer::start().await;
    let (admin, member) = (server.admin().await, server.member("member").await);
    member.say("a message").await;
    let inside = inside(&server);
    let before = dump(&server).await;
    let mut asked = 0;

    for operation in operations() {
        // With a key such as `.` the path becomes that of signing out everywhere, which is valid.
        if ends_own_sessions(&operation) {
            continue;
        }
        let known = operation.path_with("messages", "1");
        for text in hostile() {
            let what = format!("{} {} {text:.40}", operation.method, operation.path);
            let send = async |path: &str, query: &[(String, String)], body: Option<Json>| {
                let request = admin.request(&operation.method, &with_query(path, query));
                let request = match body {
                    Some(body) => request.json(&body),
                    None => request,
                };
                check(&Answer::to(request).await, &inside, &what);
            };
            // In the path: neither such a key nor such a collection exists.
            let hostile_path = operation.path_with(&encoded(&text), &encoded(&text));
            if operation.path.contains('{') {
                send(&hostile_path, &[], Some(json!({"content": "hit", "name": "hit"}))).await;
                asked += 1;
            }
            if !operation.only_reads() {
                continue;
            }
            for name in &operation.query {
                let mut spellings =
                    vec![name.clone(), format!("{name}[]"), format!("{name}[{text}]")];
                match name.as_str() {
                    "filter" => spellings.extend(
                        [
                            "[content][_eq]",
                            "[content][_contains]",
                            "[id][_in]",
                            "[_or][0][content][_icontains]",
                            "[user_created][email][_starts_with]",
                            "[date_created][_gt]",
                            "[year(date_created)][_eq]",
                        ]
                        .map(|rest| format!("filter{rest}"))
                        .into_iter()
                        .chain([format!("filter[content][{text}]")]),
                    ),
                    "aggregate" => spellings.push("aggregate[count]".to_owned()),
                    "alias" => spellings.push("alias[a]".to_owned()),
                    "deep" => spellings.extend(
                        ["_filter", "_sort", "_limit", "_search", "_alias"]
                            .map(|rest| format!("deep[user_created][{rest}]")),
                    ),
                    _ => {}
                }
                if operation.path == "/server/health" {
                    // Without a `check` administrators get all checks, and their names contain the
                    // name of the database.
                    spellings.truncate(1);
                }
                for spelling in spellings {
                    send(&known, &[(spelling, text.clone())], None).await;
                    asked += 1;
                }
            }
            for name in &operation.body {
                for value in [json!(text), json!([text]), json!({ text.clone(): text })] {
                    send(&known, &[], Some(json!({name: value}))).await;
                    asked += 1;
                }
            }
        }
    }
    assert!(asked > 5_000, "{asked}");
    assert_unchanged(&server, &before, "the requests").await;
    server.stop().await;
}

/// Class 16: headers, and requests without a sign-in.
#[tokio::test]
async fn class_16_hostile_headers_change_and_reveal_nothing() {
    let server = TestServer::start().await;
    server.admin().await.say("a message").await;
    let inside = inside(&server);
    let before = dump(&server).await;
    let anybody = server.anonymous();
    let check_one = async |request: RequestBuilder, what: &str| {
        check(&Answer::to(request).await, &inside, what);
    };

    for text in hostile() {
        let bytes: Vec<u8> = text.bytes().filter(|byte| *byte >= 32 && *byte != 127).collect();
        for name in [
            "authorization",
            "cookie",
            "content-type",
            "origin",
            "x-forwarded-for",
            "x-request-id",
            "user-agent",
            "accept",
            "if-none-match",
            "accept-encoding",
            "referer",
            "forwarded",
        ] {
            let values = [
                bytes.clone(),
                [b"Bearer ", &*bytes].concat(),
                [b"directus_session_token=", &*bytes].concat(),
            ];
            for value in values {
                let what = format!("{name}: {text:.40}");
                check_one(anybody.request("GET", "/items/messages").header(name, &*value), &what)
                    .await;
                let login = json!({"email": "nobody@example.com", "password": "wrong"});
                let request = anybody.request("POST", "/auth/login").header(name, &*value);
                check_one(request.body(login.to_string()), &what).await;
            }
        }
        for (path, body) in [
            ("/auth/login", json!({"email": text, "password": text, "mode": text, "otp": text})),
            ("/auth/login", json!({"email": "admin@example.com", "password": text})),
            ("/auth/login", json!({"email": format!("admin@example.com{text}"), "password": text})),
            ("/auth/refresh", json!({"refresh_token": text, "mode": "json"})),
            ("/auth/refresh", json!({"mode": text})),
            ("/auth/logout", json!({"refresh_token": text, "mode": "json"})),
            ("/utils/hash/verify", json!({"string": text, "hash": text})),
            ("/utils/hash/generate", json!({"string": [text]})),
        ] {
            check_one(anybody.request("POST", path).json(&body), &format!("{path} {text:.40}"))
                .await;
        }
        check_one(anybody.request("GET", &format!("/{}", encoded(&text))), &text).await;
    }
    assert_unchanged(&server, &before, "the requests").await;
    server.stop().await;
}

/// Class 16: hostile values and names in request bodies. Requests without permission change
/// nothing. An administrator's requests store the text itself, and break nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn class_16_hostile_bodies_are_stored_as_text_or_refused() {
    let server = TestServer::with(|config| config.limits.per_address = None).await;
    let (admin, roleless) = (server.admin().await, server.user_without_role("roleless").await);
    let inside = inside(&server);
    admin.say("a message").await;
    let before = dump(&server).await;
    let changing: Vec<Operation> = operations()
        .into_iter()
        .filter(|operation| !operation.only_reads() && !operation.path.starts_with("/auth"))
        .filter(|operation| !ends_own_sessions(operation))
        // A successful response is a hash, which the check does not allow. The headers test sends
        // invalid input instead.
        .filter(|operation| operation.path != "/utils/hash/generate")
        .collect();

    for who in [&roleless, &admin] {
        for (number, operation) in changing.iter().enumerate() {
            // An administrator could lock themselves out, which is allowed.
            if who.id == admin.id && (operation.path == "/users/me" || operation.method != "POST") {
                continue;
            }
            let path = operation.path_with("messages", "1");
            for (place, text) in hostile().into_iter().enumerate() {
                let what = format!("{} {} {text:.40}", operation.method, operation.path);
                let names = operation.body.iter().cloned().chain([text.clone()]);
                // Each text is a plain value of one half of the names, and a nested name and value
                // of the other half. Every combination would take a tenth of the time of the whole
                // test suite.
                for (at, name) in names.enumerate() {
                    let body = if (number + place + at).is_multiple_of(2) {
                        json!({&name: text})
                    } else {
                        json!([{&name: {&text: [text]}}])
                    };
                    let answer = who.send_json(&operation.method, &path, &body).await;
                    check(&answer, &inside, &format!("{what} in {name:.40}"));
                }
            }
        }
        if who.id == roleless.id {
            assert_unchanged(&server, &before, "the requests").await;
        }
    }

    for text in hostile() {
        let made = admin.post("/items/messages", &json!({"content": text})).await;
        if text.contains('\0') {
            made.refused(400, "INVALID_PAYLOAD");
        } else {
            assert_eq!(made.ok()["content"], text.as_str());
            let query =
                json!({"query": {"filter": {"content": {"_eq": text}}, "fields": "content"}});
            let found = admin.search("/items/messages", &query).await;
            if !text.starts_with('$') {
                assert_eq!(found.ok()[0]["content"], text.as_str());
            }
        }
    }
    let after = dump(&server).await;
    assert_eq!(after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
    assert_eq!(after["directus_sessions"], before["directus_sessions"]);
    // Each text was sent as a password and as a field name, and errors repeat field names.
    secrets::forget();
    server.stop().await;
}
