//! Hostile text, and strings that no response to it may contain.

use crate::support::{Answer, TestServer};

/// Texts with a special meaning in a database, a search, a template, a shell, a path, or a parser.
pub fn hostile() -> Vec<String> {
    let mut texts: Vec<String> = [
        "' or 1=1 --",
        "'; drop table messages; --",
        "\" or \"\"=\"",
        "1) union select password, token from directus_users --",
        "content\" = '' or \"id",
        "\"unbalanced NEAR(a b) AND NOT *",
        "content:x OR id:*",
        "{\"$gt\":\"\"}",
        "[\"a\",{\"_or\":",
        "a\0b",
        "{{1337*1337}}${1337*1337}<%= 1337*1337 %>",
        "%s%n%x `id` $(id)",
        "../../../../etc/passwd",
        "..%2f..%2f%00",
        "a\r\nset-cookie: injected=1",
        "\u{202e}\u{2066}\u{feff}\u{200b}ｓｅｌｅｃｔ\u{10ffff}",
        "99999999999999999999999999",
        "-9223372036854775809",
        "1e999",
        "__proto__",
        "$CURRENT_USER.password",
        "$NOW(-1 day); --",
        "1337*1337",
    ]
    .map(str::to_owned)
    .into();
    texts.push("a".repeat(5_000));
    texts
}

/// Strings that no response may contain: database terms, Rust terms, and paths of this machine.
pub fn inside(server: &TestServer) -> Vec<String> {
    let mut words: Vec<String> = [
        "sqlite",
        "sqlx",
        "syntax error",
        "near \"",
        "no such ",
        "unrecognized token",
        "fts5",
        "panicked",
        "backtrace",
        ".rs:",
        "$argon2",
        "root:x:",
        "1787569",
    ]
    .map(str::to_owned)
    .into();
    words.push(server.database().parent().unwrap().display().to_string());
    words
}

/// Checks one response.
#[track_caller]
pub fn check(answer: &Answer, inside: &[String], what: &str) {
    assert!(answer.status < 500, "{what}: {} {}", answer.status, answer.text);
    check_text(&answer.text, inside, what);
    for (name, value) in &answer.headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        assert!(name != "set-cookie" || !value.contains("injected"), "{what}: {name}: {value}");
    }
    if answer.status >= 400 {
        assert!(!answer.code().is_empty(), "{what}: no code in {}", answer.text);
        assert!(!answer.message().is_empty(), "{what}: no message in {}", answer.text);
    }
}

#[track_caller]
pub fn check_text(text: &str, inside: &[String], what: &str) {
    let lower = text.to_lowercase();
    for word in inside {
        assert!(!lower.contains(&word.to_lowercase()), "{what} reveals {word}: {text}");
    }
}
