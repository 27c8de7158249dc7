//! Normalizes paths: those of Directus are case-insensitive and may have a trailing slash.

use std::borrow::Cow;

/// An additional prefix of all paths, used when a front end is served at the root.
const PREFIX: &str = "/directus";
/// Collections with a path of their own. The next segment is `me` or a key. Its case is kept.
const KEYED: [&str; 5] = ["users", "roles", "policies", "permissions", "access"];
/// The following segments are names. Their case is kept.
const NAMED: [&str; 2] = ["items", "chat"];

/// Returns the normalized path.
#[must_use]
pub fn canonical(path: &str) -> Cow<'_, str> {
    let path = match path.strip_suffix('/') {
        Some(shorter) if !shorter.is_empty() => shorter,
        _ => path,
    };
    if !path.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Cow::Borrowed(path);
    }
    let mut segments = path.split('/').map(Cow::Borrowed).collect::<Vec<_>>();
    let lower = |segment: &mut Cow<'_, str>| segment.to_mut().make_ascii_lowercase();
    if let Some(first) = segments.get_mut(1) {
        lower(first);
    }
    let first = segments.get(1).cloned().unwrap_or_default();
    let is_keyed = KEYED.contains(&first.as_ref());
    if !NAMED.contains(&first.as_ref()) {
        for (place, segment) in segments.iter_mut().enumerate().skip(2) {
            if !(is_keyed && place == 2) || segment.eq_ignore_ascii_case("me") {
                lower(segment);
            }
        }
    }
    Cow::Owned(segments.join("/"))
}

/// Returns whether a path is below the prefix.
#[must_use]
pub fn has_prefix(path: &str) -> bool {
    without_prefix(path).is_some()
}

/// Returns the part of a path after the prefix, or `None` if the path is not below it.
#[must_use]
pub fn without_prefix(path: &str) -> Option<&str> {
    let (prefix, rest) = path.split_at_checked(PREFIX.len())?;
    let is_whole = rest.is_empty() || rest.starts_with('/');
    let rest = if is_whole && rest.is_empty() { "/" } else { rest };
    (prefix.eq_ignore_ascii_case(PREFIX) && is_whole).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_route_segments_are_lowercased() {
        let table = [
            ("/", "/"),
            ("/items/messages", "/items/messages"),
            ("/items/messages/", "/items/messages"),
            ("/items/messages//", "/items/messages/"),
            ("/ITEMS/Messages/A", "/items/Messages/A"),
            ("/Auth/LOGIN", "/auth/login"),
            ("/Users/ME", "/users/me"),
            ("/users/A7E1", "/users/A7E1"),
            ("/policies/ME/Globals", "/policies/me/globals"),
            ("/WebSocket/", "/websocket"),
            ("/chat/A.js", "/chat/A.js"),
        ];
        for (path, expected) in table {
            assert_eq!(canonical(path), expected, "{path}");
        }
    }

    #[test]
    fn the_prefix_is_a_whole_segment() {
        assert_eq!(without_prefix("/directus/items"), Some("/items"));
        assert_eq!(without_prefix("/Directus"), Some("/"));
        assert_eq!(without_prefix("/directusx"), None);
        assert_eq!(without_prefix("/items"), None);
        assert_eq!(without_prefix("/directü"), None);
    }
}
