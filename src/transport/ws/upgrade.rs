//! The HTTP side of an upgrade: is it one, who shows what, and the answer that makes it so.
//!
//! Reads and writes headers only. Whether credentials are good is for others.

use data_encoding::BASE64;
use poem::Request;
use poem::Response;
use poem::http::HeaderMap;
use poem::http::HeaderValue;
use poem::http::Method;
use poem::http::StatusCode;
use poem::http::header;
use sha1::Digest;
use sha1::Sha1;

/// What RFC 6455 appends to the key before it is hashed.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// The one version of the protocol.
const VERSION: &str = "13";

/// A well-formed request for an upgrade.
#[derive(Debug, PartialEq, Eq)]
pub struct Offer {
    accept: String,
    subprotocol: Option<HeaderValue>,
}

/// Why a request cannot be upgraded.
#[derive(Debug, PartialEq, Eq)]
pub enum Misfit {
    /// It does not ask for it.
    NotAnUpgrade,
    /// It asks for another version of the protocol.
    Version,
    /// It asks in a wrong way.
    Malformed,
}

impl Offer {
    /// Reads the offer of a request.
    ///
    /// # Errors
    /// [`Misfit`].
    pub fn read(method: &Method, headers: &HeaderMap) -> Result<Self, Misfit> {
        if method != Method::GET || !has_token(headers, &header::UPGRADE, "websocket") {
            return Err(Misfit::NotAnUpgrade);
        }
        if !has_token(headers, &header::CONNECTION, "upgrade") {
            return Err(Misfit::Malformed);
        }
        if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != VERSION) {
            return Err(Misfit::Version);
        }
        let key = headers.get(header::SEC_WEBSOCKET_KEY).ok_or(Misfit::Malformed)?.as_bytes();
        if BASE64.decode(key).map(|nonce| nonce.len()) != Ok(16) {
            return Err(Misfit::Malformed);
        }
        let subprotocol = tokens(headers, &header::SEC_WEBSOCKET_PROTOCOL)
            .next()
            .and_then(|first| HeaderValue::from_str(first).ok());
        Ok(Self { accept: accept(key), subprotocol })
    }

    /// Returns the answer after which the connection speaks WebSocket.
    #[must_use]
    pub fn accept(self) -> Response {
        let mut response = Response::builder()
            .status(StatusCode::SWITCHING_PROTOCOLS)
            .header(header::CONNECTION, "Upgrade")
            .header(header::UPGRADE, "websocket")
            .header(header::SEC_WEBSOCKET_ACCEPT, self.accept)
            .finish();
        if let Some(subprotocol) = self.subprotocol {
            response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, subprotocol);
        }
        response
    }
}

impl Misfit {
    /// Returns the answer to such a request, where that is not simply that nothing is there.
    #[must_use]
    pub fn respond(&self) -> Response {
        match self {
            Self::Version => Response::builder()
                .status(StatusCode::UPGRADE_REQUIRED)
                .header(header::SEC_WEBSOCKET_VERSION, VERSION)
                .header(header::UPGRADE, "websocket")
                .header(header::CONNECTION, "Upgrade")
                .finish(),
            Self::NotAnUpgrade => StatusCode::NOT_FOUND.into(),
            Self::Malformed => StatusCode::BAD_REQUEST.into(),
        }
    }
}

/// Returns the token in the address of a request; an empty one counts as none.
#[must_use]
pub fn address_token(request: &Request) -> Option<String> {
    let parameters = request.params::<Vec<(String, String)>>().ok()?;
    parameters
        .into_iter()
        .find_map(|(name, value)| (name == "access_token").then_some(value))
        .filter(|token| !token.is_empty())
}

/// Returns the value of a cookie; an empty one counts as none.
#[must_use]
pub fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| key.trim() == name)
        .map(|(_, value)| value.trim().trim_matches('"').to_owned())
        .filter(|value| !value.is_empty())
}

/// Returns whether a request comes from a page of this very service, or from no page at all.
///
/// Browsers send cookies along with the upgrades of any page, and tell whose it is in `Origin`;
/// what is no browser sends none.
#[must_use]
pub fn is_same_origin(headers: &HeaderMap, public_url: &str) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let Some((scheme, authority)) = origin.to_str().ok().and_then(split_origin) else {
        return false;
    };
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .map(|host| without_default_port(&scheme, host));
    host.as_ref() == Some(&authority) || split_origin(public_url) == Some((scheme, authority))
}

/// Returns scheme and authority of an address, in small letters and without a default port.
fn split_origin(url: &str) -> Option<(String, String)> {
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

fn accept(key: &[u8]) -> String {
    let mut hash = Sha1::new();
    hash.update(key);
    hash.update(GUID);
    BASE64.encode(&hash.finalize())
}

fn tokens<'a>(
    headers: &'a HeaderMap,
    name: &header::HeaderName,
) -> impl Iterator<Item = &'a str> + use<'a> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty())
}

fn has_token(headers: &HeaderMap, name: &header::HeaderName, expected: &str) -> bool {
    tokens(headers, name).any(|token| token.eq_ignore_ascii_case(expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name = header::HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    const GOOD: [(&str, &str); 4] = [
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "WebSocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    fn with(name: &'static str, value: &'static str) -> HeaderMap {
        let mut pairs = GOOD.to_vec();
        pairs.retain(|(key, _)| *key != name);
        pairs.push((name, value));
        headers(&pairs)
    }

    #[test]
    fn the_sample_of_the_rfc_is_accepted() {
        let offer = Offer::read(&Method::GET, &headers(&GOOD)).unwrap();

        let response = offer.accept();

        assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
        let accepted = response.header(header::SEC_WEBSOCKET_ACCEPT);
        assert_eq!(accepted, Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        assert_eq!(response.header(header::SEC_WEBSOCKET_PROTOCOL), None);
        assert_eq!(response.header(header::SEC_WEBSOCKET_EXTENSIONS), None);
    }

    #[test]
    fn the_first_subprotocol_is_echoed() {
        let offered = with("sec-websocket-protocol", "chat, superchat");

        let response = Offer::read(&Method::GET, &offered).unwrap().accept();

        assert_eq!(response.header(header::SEC_WEBSOCKET_PROTOCOL), Some("chat"));
    }

    #[test]
    fn what_is_no_proper_upgrade_is_told_apart() {
        for (headers, misfit) in [
            (headers(&[]), Misfit::NotAnUpgrade),
            (with("upgrade", "h2c"), Misfit::NotAnUpgrade),
            (with("connection", "keep-alive"), Misfit::Malformed),
            (with("sec-websocket-version", "8"), Misfit::Version),
            (with("sec-websocket-key", "short"), Misfit::Malformed),
            (with("sec-websocket-key", "c2hvcnQ="), Misfit::Malformed),
        ] {
            assert_eq!(Offer::read(&Method::GET, &headers), Err(misfit));
        }
        assert_eq!(Offer::read(&Method::POST, &headers(&GOOD)), Err(Misfit::NotAnUpgrade));
    }

    #[test]
    fn a_wrong_version_is_told_the_right_one() {
        let response = Misfit::Version.respond();

        assert_eq!(response.status(), StatusCode::UPGRADE_REQUIRED);
        assert_eq!(response.header(header::SEC_WEBSOCKET_VERSION), Some("13"));
    }

    #[test]
    fn the_token_in_the_address_is_decoded() {
        let token = |uri: &'static str| {
            address_token(&Request::builder().uri(uri.parse().unwrap()).finish())
        };

        assert_eq!(token("/websocket?a=1&access_token=x%2By&access_token=z"), Some("x+y".into()));
        assert_eq!(token("/websocket?access_token="), None);
        assert_eq!(token("/websocket"), None);
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let jar = headers(&[("cookie", "a=b; directus_session_token=eyJ.x=y"), ("cookie", "c=d")]);

        assert_eq!(cookie(&jar, "directus_session_token").as_deref(), Some("eyJ.x=y"));
        assert_eq!(cookie(&jar, "c").as_deref(), Some("d"));
        assert_eq!(cookie(&jar, "session_token"), None);
        assert_eq!(cookie(&headers(&[("cookie", "a=")]), "a"), None);
    }

    #[test]
    fn only_pages_of_this_service_count_as_the_same_origin() {
        let url = "https://chat.example.com/base";
        for (origin, host, same) in [
            (None, "10.0.0.1:8055", true),
            (Some("http://10.0.0.1:8055"), "10.0.0.1:8055", true),
            (Some("https://chat.example.com"), "10.0.0.1:8055", true),
            (Some("https://CHAT.example.com:443"), "10.0.0.1:8055", true),
            (Some("https://other.org"), "other.org:443", true),
            (Some("http://chat.example.com"), "10.0.0.1:8055", false),
            (Some("https://evil.example"), "10.0.0.1:8055", false),
            (Some("https://chat.example.com.evil.example"), "10.0.0.1:8055", false),
            (Some("http://10.0.0.1"), "10.0.0.1:8055", false),
            (Some("null"), "null", false),
            (Some("file://"), "", false),
        ] {
            let mut pairs = vec![("host", host)];
            pairs.extend(origin.map(|origin| ("origin", origin)));

            assert_eq!(is_same_origin(&headers(&pairs), url), same, "{origin:?} {host}");
        }
    }

    #[test]
    fn an_unknown_public_address_matches_nothing() {
        let page = headers(&[("host", "a"), ("origin", "http://b")]);

        assert!(!is_same_origin(&page, "/"));
    }
}
