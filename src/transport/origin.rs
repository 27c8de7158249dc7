//! Whether a request comes from a page of this very service.
//!
//! Browsers send cookies along with the requests and upgrades of any page, and tell whose it is in
//! `Origin`. What is refused to pages of others is decided by whoever asks.

use poem::Request;
use poem::http::header;
use poem::http::uri::Authority;

/// Returns whether the `Origin` of a request names this service: the host it was called by, or its
/// public address. Without the header there is no page that could be another site's.
///
/// The scheme counts for the public address only: behind a proxy that has the certificate, this
/// service does not see by which scheme it was called.
#[must_use]
pub fn is_own(request: &Request, public_url: &str) -> bool {
    let Some(origin) = request.headers().get(header::ORIGIN) else { return true };
    let Some((scheme, authority)) = origin.to_str().ok().and_then(split) else { return false };
    let host = request
        .header(header::HOST)
        .or_else(|| request.uri().authority().map(Authority::as_str))
        .map(|host| without_default_port(&scheme, host));
    host.as_ref() == Some(&authority) || split(public_url) == Some((scheme, authority))
}

/// Returns scheme and authority of an address, in small letters and without a default port.
fn split(url: &str) -> Option<(String, String)> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let scheme = scheme.to_ascii_lowercase();
    let authority = without_default_port(&scheme, authority);
    (!authority.is_empty()).then_some((scheme, authority))
}

fn without_default_port(scheme: &str, authority: &str) -> String {
    let default = if scheme == "https" { ":443" } else { ":80" };
    authority.strip_suffix(default).unwrap_or(authority).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use poem::http::HeaderValue;
    use poem::http::Uri;

    use super::*;

    fn request(origin: Option<&'static [u8]>, host: Option<&'static str>) -> Request {
        let mut request = Request::default();
        let headers = request.headers_mut();
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, HeaderValue::from_bytes(origin).unwrap());
        }
        if let Some(host) = host {
            headers.insert(header::HOST, HeaderValue::from_static(host));
        }
        request
    }

    #[test]
    fn only_pages_of_this_service_count_as_its_own() {
        let public_url = "https://chat.example.com/base";
        for (origin, host, own) in [
            (None, "10.0.0.1:8055", true),
            (Some("http://10.0.0.1:8055"), "10.0.0.1:8055", true),
            (Some("https://10.0.0.1:8055"), "10.0.0.1:8055", true),
            (Some("http://TALK.example"), "talk.example", true),
            (Some("http://talk.example"), "Talk.example:80", true),
            (Some("https://chat.example.com"), "10.0.0.1:8055", true),
            (Some("https://CHAT.example.com:443"), "10.0.0.1:8055", true),
            (Some("https://other.org"), "other.org:443", true),
            (Some("http://chat.example.com"), "10.0.0.1:8055", false),
            (Some("http://chat.example.com:443"), "10.0.0.1:8055", false),
            (Some("https://chat.example.com:8055"), "10.0.0.1:8055", false),
            (Some("https://evil.example"), "10.0.0.1:8055", false),
            (Some("https://chat.example.com.evil.example"), "10.0.0.1:8055", false),
            (Some("http://10.0.0.1:8055.evil.example"), "10.0.0.1:8055", false),
            (Some("http://10.0.0.1"), "10.0.0.1:8055", false),
            (Some("null"), "null", false),
            (Some("file://"), "", false),
        ] {
            let request = request(origin.map(str::as_bytes), Some(host));

            assert_eq!(is_own(&request, public_url), own, "{origin:?} {host}");
        }
    }

    #[test]
    fn an_origin_that_is_no_text_is_not_our_own() {
        assert!(!is_own(&request(Some(b"http://a\xff"), Some("a")), "http://a"));
    }

    #[test]
    fn an_unknown_public_address_matches_nothing() {
        assert!(!is_own(&request(Some(b"http://b"), Some("a")), "/"));
        assert!(!is_own(&request(Some(b"http://b"), None), "/"));
    }

    #[test]
    fn the_host_may_stand_in_the_address() {
        let mut request = request(Some(b"http://a"), None);
        *request.uri_mut() = Uri::from_static("http://a/auth/refresh");

        assert!(is_own(&request, "/"));
    }
}
