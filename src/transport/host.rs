//! The `Host` header, which names the service a request is for (RFC 9110 §7.2, RFC 9112 §3.2).

use std::net::Ipv6Addr;

use poem::Request;
use poem::http::header;
use poem::http::uri::Authority;
use poem::http::{HeaderValue, Version};

/// Returns whether a request has exactly the one valid `Host` header that its version requires.
#[must_use]
pub fn is_valid(request: &Request) -> bool {
    let mut lines = request.headers().get_all(header::HOST).iter();
    match (lines.next(), lines.next()) {
        (None, _) => request.version() != Version::HTTP_11,
        (Some(line), None) => is_host(line),
        (Some(_), Some(_)) => false,
    }
}

/// Returns the host and port a request is for: from its target, if it contains them, otherwise from
/// the one `Host` header.
#[must_use]
pub fn of(request: &Request) -> Option<&str> {
    if let Some(authority) = request.uri().authority() {
        return Some(authority.as_str());
    }
    let mut lines = request.headers().get_all(header::HOST).iter();
    let line = lines.next().filter(|line| is_host(line))?;
    if lines.next().is_some() { None } else { line.to_str().ok() }
}

/// Returns whether a value is a host with an optional port.
fn is_host(value: &HeaderValue) -> bool {
    let Ok(authority) = Authority::try_from(value.as_bytes()) else { return false };
    let port = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
    let is_port = port.is_empty() || port == ":" || authority.port_u16().is_some();
    let literal = authority.host().strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_literal = literal.is_none_or(|literal| literal.parse::<Ipv6Addr>().is_ok());
    !authority.host().is_empty() && is_port && is_literal && !authority.as_str().contains('@')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(version: Version, hosts: &[&'static str]) -> Request {
        let mut request = Request::builder().version(version).finish();
        for host in hosts {
            request.headers_mut().append(header::HOST, HeaderValue::from_static(host));
        }
        request
    }

    #[test]
    fn a_request_needs_exactly_one_valid_host() {
        for (hosts, valid) in [
            (&["chat.example"][..], true),
            (&["chat.example:8055"], true),
            (&["chat.example:"], true),
            (&["my_container:80"], true),
            (&["192.0.2.1:8055"], true),
            (&["[2001:db8::1]:8055"], true),
            (&["[::1]"], true),
            (&[], false),
            (&[""], false),
            (&[":80"], false),
            (&["a:b"], false),
            (&["a:80:80"], false),
            (&["a:99999"], false),
            (&["a b"], false),
            (&["a/b"], false),
            (&["http://a"], false),
            (&["user@a"], false),
            (&["[::1"], false),
            (&["[zz]"], false),
            (&["a,b"], true),
            (&["a", "a"], false),
            (&["a", "b"], false),
        ] {
            let request = request(Version::HTTP_11, hosts);

            assert_eq!(is_valid(&request), valid, "{hosts:?}");
            assert_eq!(of(&request).is_some(), valid, "{hosts:?}");
        }
        // HTTP/1.0 does not require it.
        assert!(is_valid(&request(Version::HTTP_10, &[])));
        assert!(!is_valid(&request(Version::HTTP_10, &["a", "a"])));
    }

    #[test]
    fn the_host_of_the_target_precedes_the_header() {
        let mut request = request(Version::HTTP_11, &["b"]);
        *request.uri_mut() = "http://a/x".parse().unwrap();

        assert_eq!(of(&request), Some("a"));
    }
}
