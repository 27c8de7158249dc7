//! JSON with lone surrogates, as JavaScript writes a text that was cut within an emoji.
//!
//! `JSON.parse` accepts `"\\ud800"`, and encoding the resulting text as UTF-8 yields U+FFFD.
//! `serde_json` rejects it, since a Rust string cannot contain it. Rejected input is parsed a
//! second time here, so valid input costs nothing extra.
//!
//! A byte order mark before the JSON is skipped, as RFC 8259 (§8.1) allows: some editors and
//! libraries write one.

use std::borrow::Cow;

use serde::de::DeserializeOwned;

/// U+FEFF in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Parses JSON, with U+FFFD in place of lone surrogates.
///
/// # Errors
/// The error of `serde_json` for invalid JSON.
pub fn from_slice<T: DeserializeOwned>(json: &[u8]) -> serde_json::Result<T> {
    let json = without_mark(json);
    serde_json::from_slice(json).or_else(|error| match mend(json) {
        Cow::Borrowed(_) => Err(error),
        Cow::Owned(mended) => serde_json::from_slice(&mended),
    })
}

/// Replaces each lone surrogate with an escape of U+FFFD, which is equally long, and removes a byte
/// order mark.
#[must_use]
pub fn mend(json: &[u8]) -> Cow<'_, [u8]> {
    let json = without_mark(json);
    let mut mended = Cow::Borrowed(json);
    let mut place = 0;
    // In valid JSON, backslashes occur only within strings.
    while let Some(found) = json[place..].iter().position(|byte| *byte == b'\\') {
        let escape = place + found;
        place = match unit(json, escape) {
            Some(0xD800..=0xDBFF) if matches!(unit(json, escape + 6), Some(0xDC00..=0xDFFF)) => {
                escape + 12
            }
            Some(0xD800..=0xDFFF) => {
                mended.to_mut()[escape + 2..escape + 6].copy_from_slice(b"fffd");
                escape + 6
            }
            Some(_) => escape + 6,
            None => json.len().min(escape + 2),
        };
    }
    mended
}

fn without_mark(json: &[u8]) -> &[u8] {
    json.strip_prefix(BYTE_ORDER_MARK).unwrap_or(json)
}

/// Returns the code unit of the `\uXXXX` escape at an offset, if there is one.
fn unit(json: &[u8], place: usize) -> Option<u32> {
    let digits = json.get(place..place + 6)?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |value, digit| Some(value * 16 + char::from(*digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use serde_json::Value as Json;
    use serde_json::json;

    use super::*;

    #[test]
    fn lone_surrogates_become_replacement_characters() {
        for (text, read) in [
            (r#""\ud83d""#, "\u{fffd}"),
            (r#""a\udca9b""#, "a\u{fffd}b"),
            (r#""\uD83D\uD83D\uDCA9""#, "\u{fffd}💩"),
            (r#""\udca9\ud83d""#, "\u{fffd}\u{fffd}"),
            (r#""\ud83d\n""#, "\u{fffd}\n"),
            (r#""\ud83d\\udca9""#, "\u{fffd}\\udca9"),
        ] {
            assert_eq!(from_slice::<Json>(text.as_bytes()).unwrap(), json!(read), "{text}");
        }
    }

    #[test]
    fn one_leading_byte_order_mark_is_skipped() {
        let marked = |text: &str| from_slice::<Json>(text.as_bytes()).ok();

        assert_eq!(marked("\u{feff}{\"a\":\"\u{feff}\"}"), Some(json!({"a": "\u{feff}"})));
        assert_eq!(marked("\u{feff}[\"\\ud83d\"]"), Some(json!(["\u{fffd}"])));
        for refused in ["\u{feff}", "\u{feff}\u{feff}{}", " \u{feff}{}", "{}\u{feff}"] {
            assert_eq!(marked(refused), None, "{refused:?}");
        }
        assert_eq!(*mend("\u{feff}{}".as_bytes()), *b"{}");
    }

    #[test]
    fn valid_json_is_unchanged_and_invalid_json_is_rejected() {
        for whole in [r#""💩\ud83d\udca9""#, r#""\\ud83d""#, r#"["\u0041", "\\"]"#, "{}", ""] {
            assert!(matches!(mend(whole.as_bytes()), Cow::Borrowed(_)), "{whole}");
        }
        for none in [r#""\ud83d"#, r#""\ud83""#, r"\ud83d", r#""\ud83d" x"#, "\\", r#""\"#] {
            assert!(from_slice::<Json>(none.as_bytes()).is_err(), "{none}");
        }
    }
}
