//! Comma-separated lists, parsed alike in queries, documents and settings.

/// Splits a text at its commas, without trimming the pieces. A trailing comma is allowed: a blank
/// piece after the last comma is omitted.
pub fn pieces(text: &str) -> impl Iterator<Item = &str> {
    match text.rsplit_once(',') {
        Some((before, last)) if last.trim().is_empty() => before.split(','),
        _ => text.split(','),
    }
}

/// Returns the [`pieces`] of a text, trimmed and without empty ones.
pub fn names(text: &str) -> impl Iterator<Item = &str> {
    pieces(text).map(str::trim).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trailing_comma_adds_no_item() {
        for (text, expected) in [
            ("", &[""][..]),
            (" ", &[" "]),
            ("a", &["a"]),
            ("a,", &["a"]),
            ("a, ", &["a"]),
            ("a, b ,", &["a", " b "]),
            ("a,,b", &["a", "", "b"]),
            ("a,,", &["a", ""]),
            (",a", &["", "a"]),
            (",", &[""]),
        ] {
            assert_eq!(pieces(text).collect::<Vec<_>>(), expected, "{text:?}");
        }
    }

    #[test]
    fn names_are_trimmed() {
        for (text, expected) in
            [("", &[][..]), (",", &[]), (" a ,b,", &["a", "b"]), ("a,, b", &["a", "b"])]
        {
            assert_eq!(names(text).collect::<Vec<_>>(), expected, "{text:?}");
        }
    }
}
