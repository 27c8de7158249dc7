//! Request targets with arbitrary text in them.

use std::fmt::Write as _;

/// Percent-encodes each byte of a text.
pub fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        write!(encoded, "%{byte:02x}").unwrap();
        encoded
    })
}

/// Returns a path with a query string of these parameters.
pub fn with_query(path: &str, pairs: &[(String, String)]) -> String {
    let pairs = pairs.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
    format!("{path}?{}", pairs.collect::<Vec<_>>().join("&"))
}
