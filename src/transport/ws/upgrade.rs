//! The HTTP part of an upgrade: validation, the access token, and the response.
//!
//! Reads and writes headers only. Credentials are verified elsewhere.

use data_encoding::BASE64;
use poem::http::header;
use poem::http::{HeaderMap, HeaderValue, Method, StatusCode};
use poem::{Request, Response};
use sha1::{Digest, Sha1};

/// The GUID that RFC 6455 appends to the key before hashing.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// The only version of the protocol.
const VERSION: &str = "13";

/// A valid upgrade request.
#[derive(Debug, PartialEq, Eq)]
pub struct Offer {
    accept: String,
    subprotocol: Option<HeaderValue>,
}

/// Reasons to reject an upgrade.
#[derive(Debug, PartialEq, Eq)]
pub enum Misfit {
    /// The request is not an upgrade.
    NotAnUpgrade,
    /// The protocol version is not supported.
    Version,
    /// The upgrade is malformed.
    Malformed,
}

impl Offer {
    /// Parses an upgrade request.
    ///
    /// # Errors
    /// [`Misfit`] if the request cannot be upgraded.
    pub fn read(method: &Method, headers: &HeaderMap) -> Result<Self, Misfit> {
        if method != Method::GET || !has_token(headers, &header::UPGRADE, "websocket") {
            return Err(Misfit::NotAnUpgrade);
        }
        // Required in HTTP/1.1, and again by RFC 6455 (4.2.1).
        let has_host = headers.contains_key(header::HOST);
        // A body would precede the first frame.
        let has_body = headers.contains_key(header::TRANSFER_ENCODING)
            || headers.get(header::CONTENT_LENGTH).is_some_and(|length| length != "0");
        if !has_host || has_body || !has_token(headers, &header::CONNECTION, "upgrade") {
            return Err(Misfit::Malformed);
        }
        if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != VERSION) {
            return Err(Misfit::Version);
        }
        let mut keys = headers.get_all(header::SEC_WEBSOCKET_KEY).iter();
        let (Some(key), None) = (keys.next(), keys.next()) else {
            return Err(Misfit::Malformed);
        };
        let key = key.as_bytes();
        if BASE64.decode(key).map(|nonce| nonce.len()) != Ok(16) {
            return Err(Misfit::Malformed);
        }
        let subprotocol = tokens(headers, &header::SEC_WEBSOCKET_PROTOCOL)
            .next()
            .and_then(|first| HeaderValue::from_str(first).ok());
        Ok(Self { accept: accept(key), subprotocol })
    }

    /// Returns the response that switches the connection to WebSocket.
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
    /// Returns the response that rejects the request. Callers that know the path answer
    /// [`Misfit::NotAnUpgrade`] themselves.
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

/// Returns the token in the query of a request. An empty token counts as none.
#[must_use]
pub fn address_token(request: &Request) -> Option<String> {
    let parameters = request.params::<Vec<(String, String)>>().ok()?;
    parameters
        .into_iter()
        .find_map(|(name, value)| (name == "access_token").then_some(value))
        .filter(|token| !token.is_empty())
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

    const GOOD: [(&str, &str); 5] = [
        ("host", "chat.example"),
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
    fn the_sample_handshake_of_the_rfc_is_accepted() {
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
    fn invalid_upgrades_are_distinguished() {
        for (headers, misfit) in [
            (headers(&[]), Misfit::NotAnUpgrade),
            (with("upgrade", "h2c"), Misfit::NotAnUpgrade),
            (with("connection", "keep-alive"), Misfit::Malformed),
            (headers(&GOOD[1..]), Misfit::Malformed),
            (with("content-length", "5"), Misfit::Malformed),
            (with("transfer-encoding", "chunked"), Misfit::Malformed),
            (with("sec-websocket-version", "8"), Misfit::Version),
            (with("sec-websocket-key", "short"), Misfit::Malformed),
            (with("sec-websocket-key", "c2hvcnQ="), Misfit::Malformed),
            (headers(&[&GOOD[..], &GOOD[4..]].concat()), Misfit::Malformed),
        ] {
            assert_eq!(Offer::read(&Method::GET, &headers), Err(misfit));
        }
        assert_eq!(Offer::read(&Method::POST, &headers(&GOOD)), Err(Misfit::NotAnUpgrade));
    }

    #[test]
    fn a_wrong_version_response_names_the_supported_one() {
        let response = Misfit::Version.respond();

        assert_eq!(response.status(), StatusCode::UPGRADE_REQUIRED);
        assert_eq!(response.header(header::SEC_WEBSOCKET_VERSION), Some("13"));
    }

    #[test]
    fn the_token_in_the_url_is_decoded() {
        let token = |uri: &'static str| {
            address_token(&Request::builder().uri(uri.parse().unwrap()).finish())
        };

        assert_eq!(token("/websocket?a=1&access_token=x%2By&access_token=z"), Some("x+y".into()));
        assert_eq!(token("/websocket?access_token="), None);
        assert_eq!(token("/websocket"), None);
    }
}
