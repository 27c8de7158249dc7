//! Slow regular expressions in rules: the client gets an error, and others are unaffected.

use std::time::Duration;
use std::time::Instant;

use futures_util::future::join_all;
use serde_json::json;

use crate::support::Permission;
use crate::support::TestServer;

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
async fn a_long_text_for_a_pattern_that_looks_around_is_refused_in_words() {
    let (server, answers, longest) = tried("/(?=x?)(a+)+$/", &"a".repeat(60_000)).await;

    for answer in answers {
        answer.refused(422, "UNPROCESSABLE_CONTENT");
        assert!(answer.message().contains("at most 8192 bytes"), "{}", answer.text);
    }
    assert!(longest < Duration::from_secs(2), "{longest:?}");
    server.stop().await;
}

#[tokio::test]
async fn a_pattern_that_takes_too_many_steps_keeps_nobody_waiting_and_says_so() {
    let text = "a".repeat(8_000) + "!";
    let (server, answers, longest) = tried("/(?=x?)(a+)+$/", &text).await;

    for answer in answers {
        assert!([422, 503].contains(&answer.status), "{}", answer.text);
        if answer.status == 422 {
            assert!(answer.message().contains("fits the rule"), "{}", answer.text);
        }
    }
    assert!(longest < Duration::from_secs(2), "{longest:?}");
    server.stop().await;
}

#[tokio::test]
async fn a_pattern_that_looks_nowhere_is_tried_on_any_text() {
    let (server, answers, _) = tried("/^(a+)+$/", &"a".repeat(60_000)).await;

    assert!(answers.iter().all(|answer| answer.status == 200));
    server.stop().await;
}
