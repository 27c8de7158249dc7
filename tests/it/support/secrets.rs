//! The secrets that a test used, and all logs and errors meanwhile: when a server stops, no secret
//! may appear in either.
//!
//! Both are recorded per runtime, and each test has its own runtime. Log lines of threads without a
//! runtime are shared by all tests.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::{LazyLock, Mutex, Once};

use serde_json::Value as Json;
use tokio::runtime::{Handle, Id};
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Shorter texts are words or numbers that also occur by chance.
const LENGTH_MIN: usize = 10;

/// JSON fields that hold a secret, at any depth.
const FIELDS: [&str; 9] = [
    "access_token",
    "otp",
    "otpauth_url",
    "password",
    "recovery_codes",
    "refresh_token",
    "secret",
    "tfa_secret",
    "token",
];

static KEPT: LazyLock<Mutex<HashMap<Option<Id>, Kept>>> = LazyLock::new(Mutex::default);
static WATCHING: Once = Once::new();

/// The records of one test.
#[derive(Default)]
struct Kept {
    /// Each secret, and the name of its field.
    secrets: BTreeMap<String, String>,
    /// Log lines and errors.
    told: Vec<u8>,
}

/// Records every log line from now on.
pub fn watch() {
    WATCHING.call_once(|| {
        let all = Targets::new().with_default(Level::INFO).with_target("chinwag", Level::TRACE);
        let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(|| Told);
        tracing_subscriber::registry().with(all).with(lines).init();
    });
}

/// Records a secret with a descriptive name.
pub fn keep(name: &str, secret: &str) {
    if secret.len() >= LENGTH_MIN {
        with(|kept| drop(kept.secrets.insert(secret.to_owned(), name.to_owned())));
    }
}

/// Records every secret in a request or response.
pub fn keep_all(json: &Json) {
    keep_named("", json);
}

fn keep_named(name: &str, json: &Json) {
    match json {
        Json::String(text) if FIELDS.contains(&name) => keep(name, text),
        Json::Array(items) => items.iter().for_each(|item| keep_named(name, item)),
        Json::Object(fields) => fields.iter().for_each(|(name, value)| keep_named(name, value)),
        _ => {}
    }
}

/// Forgets the secrets so far, for tests that send the same texts where no secret is expected.
pub fn forget() {
    with(|kept| kept.secrets.clear());
}

/// Records an error response.
pub fn answered(error: &str) {
    with(|kept| kept.told.extend_from_slice(format!("answered: {error}\n").as_bytes()));
}

/// Returns whether a log line of this runtime contains a text.
pub fn logged(text: &str) -> bool {
    let kept = KEPT.lock().unwrap();
    let told = kept.get(&runtime()).map(|own| String::from_utf8_lossy(&own.told));
    told.is_some_and(|told| told.contains(text))
}

/// Returns the lines, of this runtime or of none, that contain a secret of this runtime.
pub fn told() -> Vec<String> {
    let kept = KEPT.lock().unwrap();
    let Some(own) = kept.get(&runtime()) else { return Vec::new() };
    let told = [Some(own), kept.get(&None)];
    let text: String = told.iter().flatten().map(|of| String::from_utf8_lossy(&of.told)).collect();
    // Indexed by prefix: some tests have thousands of secrets and lines.
    let mut index: HashMap<&[u8], Vec<(&str, &str)>> = HashMap::new();
    for (secret, name) in &own.secrets {
        index.entry(&secret.as_bytes()[..LENGTH_MIN]).or_default().push((secret, name));
    }
    let finding = |line: &str| {
        let bytes = line.as_bytes();
        let named = bytes.windows(LENGTH_MIN).enumerate().find_map(|(at, beginning)| {
            let known = index.get(beginning)?;
            let fits = known.iter().find(|(secret, _)| bytes[at..].starts_with(secret.as_bytes()));
            fits.map(|(_, name)| *name)
        });
        let name = named.or_else(|| has_token(line).then_some("JWT"));
        name.map(|name| format!("{name} is in: {line}"))
    };
    text.lines().filter_map(finding).collect()
}

/// Returns whether a line contains a JWT, also in tests that recorded none: a header and a payload,
/// which are JSON objects.
fn has_token(line: &str) -> bool {
    line.match_indices("eyJ").any(|(at, _)| {
        let mut parts = line[at..].split('.');
        let plain = |part: &str| {
            part.len() > 10 && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        };
        parts.next().is_some_and(plain)
            && parts.next().is_some_and(|part| part.starts_with("eyJ") && plain(part))
    })
}

/// A log writer that records its lines.
struct Told;

impl io::Write for Told {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        with(|kept| kept.told.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn with(change: impl FnOnce(&mut Kept)) {
    change(KEPT.lock().unwrap().entry(runtime()).or_default());
}

fn runtime() -> Option<Id> {
    Handle::try_current().ok().map(|handle| handle.id())
}

#[tokio::test]
async fn a_secret_that_was_told_is_found() {
    watch();
    keep_all(
        &serde_json::json!({"data": {"recovery_codes": ["ABCD-EFGH-IJKL"], "name": "no secret here"}}),
    );
    tracing::info!("no secret here");
    assert!(told().is_empty(), "{:?}", told());

    tracing::info!(code = "ABCD-EFGH-IJKL", "used");
    answered(
        r#"{"errors":[{"message":"eyJhbGciOiJIUzI1NiJ9.eyJpZCI6ImE3ZTE2OWE3In0.x is no good"}]}"#,
    );
    let found = told();
    assert!(found[0].starts_with("recovery_codes is in: "), "{found:?}");
    assert!(found[1].starts_with("JWT is in: answered: "), "{found:?}");
    assert_eq!(found.len(), 2);
}
