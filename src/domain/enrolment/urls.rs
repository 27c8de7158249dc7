//! Allowed pages for links in mails: only those that the operator has listed.
//!
//! Otherwise, a request could make this service mail a link that sends the recipient's token to a
//! foreign site.

use url::Url;

use crate::domain::Error;

/// Maximum length of an address in bytes.
const BYTES_MAX: usize = 2048;

/// Returns the address if its page is on the list. It may have a query or fragment of its own.
///
/// # Errors
/// [`Error::InvalidPayload`], which names the refused purpose.
pub(super) fn allowed<'a>(
    url: Option<&'a str>,
    list: &[Url],
    purpose: &str,
) -> Result<Option<&'a str>, Error> {
    let Some(text) = url else { return Ok(None) };
    let is_allowed = text.len() <= BYTES_MAX
        && Url::parse(text).is_ok_and(|url| list.iter().any(|entry| is_same_page(&url, entry)));
    if is_allowed {
        return Ok(Some(text));
    }
    // Truncated: the address may be very long.
    let shown: String = text.chars().take(100).collect();
    Err(Error::payload(format!("URL \"{shown}\" can't be used to {purpose}")))
}

fn is_same_page(url: &Url, entry: &Url) -> bool {
    url.scheme() == entry.scheme()
        && url.host() == entry.host()
        && url.port_or_known_default() == entry.port_or_known_default()
        && url.path() == entry.path()
        && url.username().is_empty()
        && url.password().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_allowed(url: &str) -> bool {
        let list = ["https://chat.example.com/welcome", "http://localhost:3000"]
            .map(|entry| Url::parse(entry).unwrap());
        allowed(Some(url), &list, "reset passwords").is_ok()
    }

    #[test]
    fn listed_pages_are_allowed_in_any_spelling() {
        for url in [
            "https://chat.example.com/welcome",
            "https://chat.example.com:443/welcome",
            "HTTPS://CHAT.example.com/a/../welcome",
            "https://chat.example.com/welcome?lang=eo#form",
            "http://localhost:3000",
            "http://localhost:3000/",
        ] {
            assert!(is_allowed(url), "{url}");
        }
        assert_eq!(allowed(None, &[], "reset passwords").unwrap(), None);
    }

    #[test]
    fn other_urls_are_refused() {
        let long = format!("https://chat.example.com/welcome?{}", "x".repeat(3000));
        for url in [
            "",
            "/welcome",
            "//chat.example.com/welcome",
            "http://chat.example.com/welcome",
            "https://chat.example.com:8443/welcome",
            "https://chat.example.com/welcome/",
            "https://chat.example.com/",
            "https://chat.example.com.evil.example/welcome",
            "https://evil.example/welcome",
            "https://evil.example\\@chat.example.com/welcome",
            "https://chat.example.com@evil.example/welcome",
            "https://user:secret@chat.example.com/welcome",
            "javascript://chat.example.com/welcome%0aalert(1)",
            "https://chat.example.com/welcome/../evil",
            "http://localhost:3001/",
            &long,
        ] {
            assert!(!is_allowed(url), "{url}");
        }
    }

    #[test]
    fn a_refusal_quotes_a_truncated_url() {
        let long = "x".repeat(5000);

        let refused = allowed(Some(&long), &[], "reset passwords");

        let Err(Error::InvalidPayload(reason)) = refused else { panic!("{refused:?}") };
        assert!(reason.ends_with("x\" can't be used to reset passwords"), "{reason}");
        assert!(reason.len() < 200);
    }
}
