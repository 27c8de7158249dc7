//! Slow regular expressions in rules: the client gets an error, and others are unaffected.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;

use crate::support::{Permission, TestServer};

/// Tests a text against a rule with this pattern, eight times at once. Returns the responses, and
/// the largest delay of another account's reads.
async fn tried(pattern: &str, text: &str) -> (TestServer, Vec<crate::support::Answer>, Duration) {
    let server = TestServer::with(|config| config.limits.per_address = None).await;
    let rule = json!({"content": {"_regex": pattern}});
    let permissions =
        [Permission::to("create", "messages").validation(rule), Permission::to("read", "messages")];
    let writer = server.user_with("writer", &permissions).await;
    let other = server.member("alice").await;
    other.say("hello").await;
    let begin = Instant::now();
    other.get("/items/messages").await.ok();
    let alone = begin.elapsed();

    let body = json!({"content": text});
    let flood = join_all((0..8).map(|_| writer.post("/items/messages", &body)));
    tokio::pin!(flood);
    let mut longest = Duration::ZERO;
    let answers = loop {
        let begin = Instant::now();
        tokio::select! {
            answers = &mut flood => break answers,
            answer = other.get("/items/messages") => { answer.ok(); }
        }
        longest = longest.max(begin.elapsed());
    };
    (server, answers, longest.saturating_sub(alone))
}

#[tokio::test]
async fn long_texts_are_refused_for_lookaround_patterns() {
    let (server, answers, longest) = tried("/(?=x?)(a+)+$/", &"a".repeat(60_000)).await;

    for answer in answers {
        answer.refused(422, "UNPROCESSABLE_CONTENT");
        assert!(answer.message().contains("at most 8192 bytes"), "{}", answer.text);
    }
    assert!(longest < Duration::from_secs(2), "{longest:?}");
    server.stop().await;
}

#[tokio::test]
async fn slow_patterns_are_aborted_without_delaying_others() {
    let text = "a".repeat(8_000) + "!";
    let (server, answers, longest) = tried("/(?=x?)(a+)+$/", &text).await;

    for answer in answers {
        assert!([422, 503].contains(&answer.status), "{}", answer.text);
        if answer.status == 422 {
            assert!(
                answer.message().contains("cannot be checked against its rule"),
                "{}",
                answer.text
            );
        }
    }
    assert!(longest < Duration::from_secs(2), "{longest:?}");
    server.stop().await;
}

#[tokio::test]
async fn patterns_without_lookaround_accept_long_texts() {
    let (server, answers, _) = tried("/^(a+)+$/", &"a".repeat(60_000)).await;

    assert!(answers.iter().all(|answer| answer.status == 200));
    server.stop().await;
}
