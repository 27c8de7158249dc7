//! Duplicate crate versions: each is on the list in `deny.toml`, with a reason.

use std::collections::{BTreeMap, BTreeSet};

const LOCKED: &str = include_str!("../../Cargo.lock");
const LISTED: &str = include_str!("../../deny.toml");

/// Returns the quoted value of a key, if the line has that key.
fn quoted<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(&format!("{key} = \""))?;
    rest.split_once('"').map(|(text, _)| text)
}

/// Returns the numeric parts of a version, for ordering.
fn numbers(version: &str) -> Vec<u64> {
    let plain = version.split(['+', '-']).next().unwrap_or_default();
    plain.split('.').map(|number| number.parse().unwrap()).collect()
}

/// Returns all versions that are not the newest one of their crate.
fn older_versions(lock: &str) -> BTreeSet<String> {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in lock.split("[[package]]\n").skip(1) {
        let mut lines = package.lines();
        let name = lines.next().and_then(|line| quoted(line, "name")).unwrap();
        let version = lines.next().and_then(|line| quoted(line, "version")).unwrap();
        versions.entry(name).or_default().push(version);
    }
    let older = versions.into_iter().flat_map(|(name, mut versions)| {
        versions.sort_by_key(|version| numbers(version));
        versions.pop();
        versions.into_iter().map(move |version| format!("{name}@{version}"))
    });
    older.collect()
}

#[test]
fn duplicate_crates_are_listed_with_a_reason() {
    let skipped = LISTED.split_once("\nskip = [\n").unwrap().1.split_once("\n]").unwrap().0;
    let mut listed = BTreeSet::new();
    for line in skipped.lines() {
        let (Some(entry), Some(reason)) = (quoted(line, "crate"), quoted(line, "reason")) else {
            panic!("crate or reason missing: {line}");
        };
        assert!(reason.len() > 5, "{line}");
        assert!(listed.insert(entry.to_owned()), "listed twice: {entry}");
    }

    assert_eq!(older_versions(LOCKED), listed);
}

#[test]
fn versions_are_compared_numerically() {
    let package = |name: &str, version: &str| {
        format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\nsource = \"x\"\n\n")
    };
    let lock = ["0.9.0", "0.10.0", "0.2.1+spec-1.1.0"].map(|version| package("a", version));

    let older = older_versions(&(lock.concat() + &package("b", "1.0.0")));

    assert_eq!(older.into_iter().collect::<Vec<_>>(), ["a@0.2.1+spec-1.1.0", "a@0.9.0"]);
}

/// A change of `Cargo.toml` can accidentally enable an unused feature of a dependency.
#[test]
fn crates_of_unused_features_are_not_locked() {
    for name in ["p256@0.13", "ed25519-dalek@2", "openssl-sys", "aws-lc-rs", "sea-query-derive"] {
        let (name, version) = name.split_once('@').unwrap_or((name, ""));
        let entry = format!("name = \"{name}\"\nversion = \"{version}");
        assert!(!LOCKED.contains(&entry), "{name} {version}");
    }
}

/// `poem-openapi` enables the features `xml`, `yaml` and `multipart` of `poem`.
#[test]
fn poem_has_the_features_that_are_in_use() {
    let manifest = include_str!("../../Cargo.toml");
    let poem = manifest.lines().find(|line| line.starts_with("poem = ")).unwrap();

    assert!(poem.contains("default-features = false, features = [\"server\", \"static-files\"]"));
}
