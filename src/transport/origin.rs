//! The page a request comes from, and whether its cookies count.
//!
//! Browsers attach cookies to the requests and upgrades of any page, and name the origin of the
//! page in `Origin`. The caller decides which requests of foreign pages to reject.

use poem::Request;
use poem::http::header;

use crate::config::{CorsConfig, Origins};
use crate::transport::host;

/// The header in which browsers report the relation between a page and the service it calls.
const FETCH_SITE: &str = "sec-fetch-site";

/// Returns whether the cookies of a request count: it comes from a page of this service, from an
/// origin in `CORS_ORIGIN` (not if that allows all origins), or from no page.
#[must_use]
pub fn may_use_cookies(request: &Request, public_url: &str, cors: &CorsConfig) -> bool {
    if is_own(request, public_url) {
        return true;
    }
    let origin = request.header(header::ORIGIN);
    cors.credentials
        && cors.origins != Origins::Any
        && origin.is_some_and(|origin| cors.origins.contain(origin))
}

/// Returns whether a request comes from a page of this service: `Origin` names the host of the
/// request or the public URL, or the browser reports the same origin (a proxy may have changed the
/// host). A request without `Origin` comes from no page, unless the browser reports one.
///
/// The scheme counts for the public URL only: behind a proxy that terminates TLS, the service does
/// not know the scheme of the request.
#[must_use]
pub fn is_own(request: &Request, public_url: &str) -> bool {
    let site = request.header(FETCH_SITE);
    if site == Some("same-origin") {
        return true;
    }
    let Some(origin) = request.headers().get(header::ORIGIN) else {
        return site.is_none_or(|site| site == "none");
    };
    let Some((scheme, authority)) = origin.to_str().ok().and_then(split) else { return false };
    let host = host::of(request).map(|host| without_default_port(&scheme, host));
    host.as_ref() == Some(&authority) || split(public_url) == Some((scheme, authority))
}

/// Returns scheme and authority of a URL, in lower case and without a default port.
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
    use poem::http::{HeaderValue, Uri};

    use super::*;
    use crate::config::Config;

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
    fn only_origins_of_this_service_are_own() {
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
    fn an_origin_is_foreign_if_there_are_two_host_headers() {
        for hosts in [["a", "b"], ["b", "a"], ["a", "a"]] {
            let mut request = request(Some(b"http://a"), None);
            for host in hosts {
                request.headers_mut().append(header::HOST, HeaderValue::from_static(host));
            }

            assert!(!is_own(&request, "/"), "{hosts:?}");
        }
    }

    #[test]
    fn an_origin_with_invalid_utf8_is_foreign() {
        assert!(!is_own(&request(Some(b"http://a\xff"), Some("a")), "http://a"));
    }

    #[test]
    fn a_relative_public_url_matches_no_origin() {
        assert!(!is_own(&request(Some(b"http://b"), Some("a")), "/"));
        assert!(!is_own(&request(Some(b"http://b"), None), "/"));
    }

    #[test]
    fn sec_fetch_site_decides_where_the_host_does_not() {
        for (origin, site, own) in [
            (None, "none", true),
            (None, "same-origin", true),
            (None, "same-site", false),
            (None, "cross-site", false),
            // A proxy that calls this service by another host name.
            (Some("http://localhost:3000"), "same-origin", true),
            (Some("http://localhost:3000"), "same-site", false),
            (Some("http://localhost:3000"), "none", false),
            // A proxy that serves both as one host, which the browser does not know.
            (Some("http://a"), "cross-site", true),
        ] {
            let mut request = request(origin.map(str::as_bytes), Some("a"));
            request.headers_mut().insert(FETCH_SITE, HeaderValue::from_static(site));

            assert_eq!(is_own(&request, "/"), own, "{origin:?} {site}");
        }
    }

    #[test]
    fn only_own_and_listed_origins_may_use_cookies() {
        let listed = || Origins::Listed(vec!["https://b.example".to_owned()]);
        for (origins, credentials, origin, may) in [
            (Origins::None, true, "https://b.example", false),
            (Origins::None, true, "http://a", true),
            (listed(), true, "https://b.example", true),
            (listed(), true, "https://b.example.evil", false),
            (listed(), true, "null", false),
            (listed(), false, "https://b.example", false),
            (listed(), false, "http://a", true),
            (Origins::Any, true, "https://b.example", false),
            (Origins::Any, true, "http://a", true),
            (Origins::Local, true, "http://localhost:3000", true),
            (Origins::Local, true, "https://b.example", false),
        ] {
            let mut cors = Config::for_tests().browser.cors;
            let told = format!("{origins:?} {credentials} {origin}");
            (cors.origins, cors.credentials) = (origins, credentials);
            let request = request(Some(origin.as_bytes()), Some("a"));

            assert_eq!(may_use_cookies(&request, "/", &cors), may, "{told}");
        }
    }

    #[test]
    fn the_host_may_come_from_an_absolute_target() {
        let mut request = request(Some(b"http://a"), None);
        *request.uri_mut() = Uri::from_static("http://a/auth/refresh");

        assert!(is_own(&request, "/"));
    }
}
