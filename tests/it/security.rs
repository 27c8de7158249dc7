//! `docs/security.md` names the test of each claim: these tests have to exist.

use std::fs;
use std::path::Path;

const DOCUMENT: &str = include_str!("../../docs/security.md");

/// Returns the texts between backquotes, in order.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Returns the source of a file that the document names, below `tests/it` or `src`.
fn source(file: &str) -> Option<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    ["tests/it", "src"]
        .iter()
        .find_map(|folder| fs::read_to_string(root.join(folder).join(file)).ok())
}

/// Returns whether a text is the name of a test: lowercase words joined by underscores.
fn is_test(text: &str) -> bool {
    text.matches('_').count() >= 2
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

#[test]
fn every_documented_test_exists() {
    let mut file: Option<(&str, String)> = None;
    let (mut checked, mut wrong) = (0, Vec::new());
    for text in quoted(DOCUMENT) {
        if !text.contains(' ') && Path::new(text).extension().is_some_and(|end| end == "rs") {
            match source(text.trim_start_matches("tests/it/")) {
                Some(source) => file = Some((text, source)),
                None => wrong.push(format!("no such file: {text}")),
            }
        } else if is_test(text) {
            checked += 1;
            match &file {
                Some((_, source)) if source.contains(&format!("fn {text}()")) => {}
                Some((file, _)) => wrong.push(format!("{file} has no test {text}")),
                None => wrong.push(format!("no file precedes the test {text}")),
            }
        }
    }

    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(checked > 100, "only {checked} tests are named");
}

#[test]
fn every_documented_e2e_file_exists() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/tests");
    let mut checked = 0;
    for place in DOCUMENT.split("e2e `").skip(1) {
        // A list: e2e `a`, `b`.
        let mut rest = place;
        loop {
            let (name, after) = rest.split_once('`').unwrap();
            let exists = folder.join(format!("{name}.test.mjs")).exists();
            assert!(exists, "no such e2e test: {name}");
            checked += 1;
            match after.strip_prefix(", `") {
                Some(next) => rest = next,
                None => break,
            }
        }
    }
    assert!(checked >= 5, "only {checked} files are named");
}

#[test]
fn every_class_has_a_section() {
    for number in [1, 2, 3, 9, 10, 11, 12, 13, 21] {
        assert!(DOCUMENT.contains(&format!("\n### {number}. ")), "class {number}");
    }
}
