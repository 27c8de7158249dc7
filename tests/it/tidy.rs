//! Architecture rules: allowed imports, and the modules that may grant rights.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The layers, each with those that it may import. All may import `BASICS`.
const MAY_SEE: [(&str, &[&str]); 13] = [
    ("main", &["cli"]),
    ("cli", &["app", "transport", "domain", "store", "telemetry"]),
    ("lib", &[]),
    ("app", &["transport", "domain", "store", "bus", "mail", "providers", "query", "model"]),
    ("transport", &["domain", "query", "model"]),
    ("domain", &["store", "bus", "mail", "providers", "query", "model"]),
    ("store", &["query", "model"]),
    ("bus", &["query", "model"]),
    ("mail", &[]),
    ("providers", &[]),
    ("query", &["model"]),
    ("model", &[]),
    ("telemetry", &[]),
];

/// The modules below all layers.
const BASICS: [&str; 4] = ["clock", "config", "signatures", "text"];

/// The modules of the domain, each with the siblings that it may import. All may import `error`,
/// which every module reports, and the quotas.
const DOMAIN_MAY_SEE: [(&str, &[&str]); 19] = [
    ("jobs", &[]),
    (
        "subscriptions",
        &[
            "delivery",
            "items",
            "auth",
            "settings",
            "committer",
            "admission",
            "client_quota",
            "permissions",
            "row_cache",
        ],
    ),
    (
        "enrolment",
        &[
            "items",
            "accounts",
            "auth",
            "mails",
            "settings",
            "committer",
            "permissions",
            "row_cache",
        ],
    ),
    ("mails", &["auth", "settings", "committer", "row_cache"]),
    (
        "items",
        &["auth", "settings", "committer", "admission", "memory", "permissions", "row_cache"],
    ),
    ("accounts", &["auth", "settings", "committer", "permissions", "row_cache"]),
    ("auth", &["settings", "committer", "admission", "bounded_map", "permissions", "row_cache"]),
    ("settings", &["row_cache"]),
    ("committer", &["admission", "permissions", "row_cache"]),
    ("admission", &["bounded_map", "token_bucket"]),
    ("permissions", &["row_cache"]),
    ("row_cache", &[]),
    ("client_quota", &[]),
    ("memory", &[]),
    ("quota", &[]),
    ("token_bucket", &["bounded_map"]),
    ("bounded_map", &[]),
    ("delivery", &[]),
    ("error", &[]),
];

/// The modules below all modules of the domain.
const DOMAIN_BASICS: [&str; 2] = ["error", "quota"];

/// Returns the files in a folder of the project and in its subfolders.
fn files(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found
}

/// Returns the source files, relative to `src`, with their text.
fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let found: Vec<_> = files("src")
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            (path.strip_prefix(&root).unwrap().to_owned(), text)
        })
        .collect();
    assert!(found.len() > 50, "the sources are where this test looks");
    found
}

/// Returns the paths after `crate::` in a text, or after the name of the crate in those of the
/// program, as lists of module names.
fn imports(text: &str) -> Vec<Vec<&str>> {
    ["crate::", "chinwag::"]
        .into_iter()
        .flat_map(|root| text.match_indices(root))
        .map(|(at, root)| {
            let path = &text[at + root.len()..];
            let end = path.find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
            path[..end.unwrap_or(path.len())].split("::").collect()
        })
        .collect()
}

fn first(path: &Path) -> String {
    let first = path.components().next().unwrap();
    first.as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
}

#[test]
fn imports_point_down() {
    let may_see: BTreeMap<&str, &[&str]> = MAY_SEE.into();
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let layer = first(&path);
        if BASICS.contains(&layer.as_str()) {
            continue;
        }
        let allowed = may_see.get(layer.as_str()).unwrap_or_else(|| panic!("no layer {layer}"));
        for import in imports(&text) {
            let seen = import[0];
            let is_module = may_see.contains_key(seen);
            if is_module && seen != layer && !allowed.contains(&seen) {
                wrong.push(format!("{}: crate::{}", path.display(), import.join("::")));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn imports_point_down_within_the_domain() {
    let may_see: BTreeMap<&str, &[&str]> = DOMAIN_MAY_SEE.into();
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let Ok(inner) = path.strip_prefix("domain") else { continue };
        let module = first(inner);
        if module == "mod" {
            // It assembles all of them.
            continue;
        }
        let allowed = may_see.get(module.as_str()).unwrap_or_else(|| panic!("no module {module}"));
        for import in imports(&text) {
            if let ["domain", seen, ..] = import[..]
                && seen != module
                && may_see.contains_key(seen)
                && !DOMAIN_BASICS.contains(&seen)
                && !allowed.contains(&seen)
            {
                wrong.push(format!("{}: crate::{}", path.display(), import.join("::")));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The folders whose files import each other without a cycle. A folder in them counts as one file.
const ACYCLIC: [&str; 2] = ["delivery", "subscriptions"];

#[test]
fn files_of_realtime_import_without_cycles() {
    for folder in ACYCLIC {
        let mut imported: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (path, text) in sources() {
            let Ok(inner) = path.strip_prefix(Path::new("domain").join(folder)) else { continue };
            let file = first(inner);
            let imports = imports(&text).into_iter().filter_map(|import| match import[..] {
                ["domain", within, seen, ..] if within == folder => Some(seen.to_owned()),
                _ => None,
            });
            let others = imports.filter(|seen| *seen != file);
            imported.entry(file.clone()).or_default().extend(others);
        }
        // `mod.rs` re-exports: an import through it would hide which file is meant.
        let files: BTreeSet<String> = imported.keys().cloned().collect();
        assert!(files.len() > 2, "the files of {folder} are where this test looks");
        for (file, seen) in &imported {
            let hidden: Vec<_> = seen.difference(&files).collect();
            assert!(hidden.is_empty(), "{folder}/{file} imports {hidden:?} through mod.rs");
        }
        // Removes the files without imports, until none is left.
        while !imported.is_empty() {
            let left: BTreeSet<String> = imported.keys().cloned().collect();
            let before = imported.len();
            imported.retain(|_, seen| seen.iter().any(|other| left.contains(other)));
            assert!(imported.len() < before, "{folder}: these import each other: {imported:#?}");
        }
    }
}

#[test]
fn only_permissions_grant_scopes() {
    let granting: Vec<PathBuf> = sources()
        .into_iter()
        .filter(|(_, text)| {
            let code = text.split("#[cfg(test)]").next().unwrap();
            code.contains("Scope::grant(")
        })
        .map(|(path, _)| path)
        .collect();

    assert!(!granting.is_empty());
    assert!(granting.iter().all(|path| path.starts_with("domain/permissions")), "{granting:?}");
}

#[test]
fn only_the_store_speaks_sql() {
    for (path, text) in sources() {
        if first(&path) != "store" {
            for word in ["sqlx::", "sea_query"] {
                assert!(!text.contains(word), "{} uses {word}", path.display());
            }
        }
    }
}

/// A misspelt name would be a value that is silently null, see `model/column.rs`.
#[test]
fn fields_known_to_the_program_are_columns() {
    for (path, text) in sources() {
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        if ["model", "query", "store", "domain"].contains(&first(&path).as_str()) {
            assert!(!code.contains(".field(\""), "{} names a field", path.display());
        }
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    for (path, text) in sources() {
        assert!(text.starts_with("//! "), "{} has no header", path.display());
    }
}

#[test]
fn migrations_have_numbers_of_their_own_and_are_all_embedded() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let embedded = sources()
        .into_iter()
        .find(|(path, _)| path.ends_with("store/migrate.rs"))
        .map(|(_, text)| text)
        .unwrap();

    let number = |name: &str| name.split('_').next().unwrap().parse::<u16>().unwrap();
    assert!(names.is_sorted_by(|one, next| number(one) < number(next)), "{names:?}");
    for name in &names {
        assert!(embedded.contains(name.as_str()), "{name} is not embedded");
    }
}

/// The patterns of sentences without nouns, each with the most of them per 1,000 lines of comments.
/// Comments of well-known projects stay below these numbers.
const PATTERNS: [(&str, &[&[&str]], usize); 4] = [
    ("what", &[&["what"], &["whatever"]], 5),
    ("who", &[&["who"], &["whoever"], &["whom"]], 8),
    ("somebody", &[&["somebody"], &["nobody"], &["anybody"], &["everybody"]], 3),
    ("so many", &[&["so", "many"], &["so", "much"], &["so", "long"]], 1),
];

/// Returns the lines of prose of a file: comments of code, and Markdown outside code blocks.
fn prose(path: &Path, text: &str) -> Vec<String> {
    let markers: &[&str] = match path.extension().and_then(|extension| extension.to_str()) {
        Some("rs") => &["//"],
        Some("js" | "mjs") => &["//", "/*", "*"],
        Some("md") => &[""],
        _ => return Vec::new(),
    };
    let is_markdown = markers == [""];
    let mut is_code = false;
    let mut lines = Vec::new();
    for line in text.lines().map(str::trim) {
        if is_markdown && line.starts_with("```") {
            is_code = !is_code;
        } else if !is_code
            && !line.is_empty()
            && markers.iter().any(|marker| line.starts_with(marker))
        {
            lines.push(line.to_lowercase());
        }
    }
    lines
}

/// Counts the occurrences of sequences of words in a line. A question may ask "what" and "who", and
/// code in backticks is no prose.
fn occurrences(line: &str, sequences: &[&[&str]]) -> usize {
    if line.ends_with('?') {
        return 0;
    }
    let words: Vec<&str> = line
        .split('`')
        .step_by(2)
        .flat_map(|text| text.split(|c: char| !c.is_alphanumeric()))
        .filter(|word| !word.is_empty())
        .collect();
    let count = |sequence: &&[&str]| {
        words.windows(sequence.len()).filter(|window| window == sequence).count()
    };
    sequences.iter().map(count).sum()
}

#[test]
fn sentences_have_nouns() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut documents = files("docs");
    documents.extend(["README.md", "ARCHITECTURE.md"].map(|name| root.join(name)));
    let areas = [
        ("src", files("src")),
        ("tests", ["tests/it", "tests/e2e/tests", "tests/e2e/lib"].map(files).concat()),
        ("web", files("web")),
        ("documents", documents),
    ];
    let mut faults = Vec::new();
    for (area, files) in areas {
        let texts = files.iter().filter_map(|path| Some((path, fs::read_to_string(path).ok()?)));
        let lines: Vec<String> = texts.flat_map(|(path, text)| prose(path, &text)).collect();
        assert!(lines.len() > 100, "{area} has only {} lines of prose", lines.len());
        for (name, sequences, most) in PATTERNS {
            let count: usize = lines.iter().map(|line| occurrences(line, sequences)).sum();
            if count * 1000 > most * lines.len() {
                faults.push(format!("{area}: {count} × “{name}” in {} lines", lines.len()));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}
