//! Pages to return to after a sign-in: pages of this service, and pages listed in the settings. Any
//! other target would be an open redirect. In cookie mode, a foreign page could even receive
//! visitors with a session.

use url::Url;

use crate::domain::Error;

/// Maximum length of an address in bytes.
const BYTES_MAX: usize = 2048;

/// Returns the page to redirect to, parsed as browsers parse it, or `None` if none is requested.
/// The result is the URL that was checked, never the original text.
///
/// # Errors
/// [`Error::InvalidPayload`] for any other target.
pub(super) fn allowed(
    redirect: Option<&str>,
    home: &Url,
    list: &[Url],
) -> Result<Option<Url>, Error> {
    let Some(text) = redirect.filter(|text| !text.is_empty()) else { return Ok(None) };
    let is_text = text.len() <= BYTES_MAX && !text.chars().any(char::is_control);
    let url = if text.starts_with('/') { home.join(text) } else { Url::parse(text) };
    let url = url.ok().filter(|_| is_text).filter(|url| is_allowed(url, home, list));
    url.map(Some).ok_or_else(|| {
        let shown: String = text.chars().filter(|c| !c.is_control()).take(100).collect();
        Error::payload(format!("URL \"{shown}\" can't be used to redirect after login"))
    })
}

fn is_allowed(url: &Url, home: &Url, list: &[Url]) -> bool {
    let is_page = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none();
    let is_listed = |entry: &Url| url.origin() == entry.origin() && url.path() == entry.path();
    is_page && (url.origin() == home.origin() || list.iter().any(is_listed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(redirect: &str) -> Option<String> {
        let home = Url::parse("https://chat.example.com/sub/").unwrap();
        let list = ["https://app.example.com/welcome", "http://localhost:3000"]
            .map(|entry| Url::parse(entry).unwrap());
        let found = allowed(Some(redirect), &home, &list).ok()?;
        Some(found.unwrap().into())
    }

    #[test]
    fn own_and_listed_pages_are_allowed() {
        for (asked, found) in [
            ("https://chat.example.com/", "https://chat.example.com/"),
            ("https://CHAT.example.com:443/a?b#c", "https://chat.example.com/a?b#c"),
            ("/", "https://chat.example.com/"),
            ("/sub/room?x=1#y", "https://chat.example.com/sub/room?x=1#y"),
            ("https://app.example.com/welcome?lang=eo", "https://app.example.com/welcome?lang=eo"),
            ("http://localhost:3000", "http://localhost:3000/"),
        ] {
            assert_eq!(ask(asked).as_deref(), Some(found), "{asked}");
        }
        let home = Url::parse("https://chat.example.com/").unwrap();
        assert_eq!(allowed(None, &home, &[]).unwrap(), None);
        assert_eq!(allowed(Some(""), &home, &[]).unwrap(), None);
    }

    #[test]
    fn other_urls_are_refused() {
        let long = format!("/{}", "x".repeat(3000));
        for asked in [
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            "\\\\evil.example",
            "https:evil.example",
            "https:/evil.example",
            "https://evil.example/",
            "https://evil.example/?https://chat.example.com/",
            "https://chat.example.com.evil.example/",
            "https://chat.example.com@evil.example/",
            "https://evil.example\\@chat.example.com/",
            "https://user@chat.example.com/",
            "https://:secret@chat.example.com/",
            "http://chat.example.com/",
            "https://chat.example.com:8443/",
            "https://app.example.com/",
            "https://app.example.com/welcome/",
            "https://app.example.com/welcome/../evil",
            "https://app.example.com/WELCOME",
            "http://localhost:3001/",
            "javascript:alert(1)",
            "javascript://chat.example.com/%0aalert(1)",
            "data:text/html,x",
            "ftp://chat.example.com/",
            "chat.example.com",
            "room",
            "https://chat.example.com/\r\nSet-Cookie: x=y",
            &long,
        ] {
            assert_eq!(ask(asked), None, "{asked:?}");
        }
    }
}
