//! Resolves the credentials of a request to an identity, through `domain::auth`.
//!
//! Defines where a token may be sent and which one counts. The domain verifies tokens.

use poem::Request;
use poem::http::header;
use poem::http::{HeaderMap, Method};

use crate::config::TrustProxy;
use crate::domain::Error;
use crate::domain::auth::{ClientInfo, Identity};
use crate::transport::Context;
use crate::transport::address;
use crate::transport::cookies;
use crate::transport::error::Refusal;
use crate::transport::origin;
use crate::transport::rest::query_string;

/// Returns the identity of the token in the query, the `Authorization` header or the session
/// cookie, or the public without a token.
///
/// # Errors
/// An invalid token never counts as the public: [`Error::InvalidCredentials`],
/// [`Error::InvalidToken`], [`Error::TokenExpired`]. [`Error::InvalidPayload`] for tokens in both
/// the query and the header; [`Refusal::ForeignPage`] for a change with a cookie from a page of
/// another site.
pub async fn recognise(context: &Context, request: &Request) -> Result<Identity, Refusal> {
    let headers = request.headers();
    let query = query_string::find(request.uri().query(), "access_token");
    let auth = &context.services.auth;
    let from = address::of(request, &context.config.server.trust_proxy);
    match (query.filter(|token| !token.is_empty()), bearer(headers)) {
        (Some(_), Some(_)) => Err(Refusal::from(Error::payload(
            "The request uses more than one method for including an access token",
        ))),
        (Some(token), None) => Ok(auth.recognise(&token, from).await?),
        (None, Some(token)) => Ok(auth.recognise(token, from).await?),
        (None, None) => {
            let cookie = &context.config.auth.session_cookie;
            let Some(token) = cookies::find(headers, &cookie.name) else {
                return Ok(auth.public(from));
            };
            if is_change(request.method()) {
                require_trusted_page(context, request)?;
            }
            auth.recognise(token, from).await.map_err(|error| match error {
                Error::InvalidCredentials | Error::InvalidToken | Error::TokenExpired => {
                    Refusal::BadCookie(error, cookies::empty(cookie))
                }
                other => Refusal::Domain(other),
            })
        }
    }
}

/// Returns the identity of the credentials in a request, or the public. Expired, revoked, malformed
/// or contradictory credentials count as none.
///
/// # Errors
/// Only when the store fails or is too busy.
pub async fn recognise_or_public(
    context: &Context,
    request: &Request,
) -> Result<Identity, Refusal> {
    match recognise(context, request).await {
        Err(
            Refusal::BadCookie(..)
            | Refusal::ForeignPage
            | Refusal::Domain(
                Error::InvalidCredentials
                | Error::InvalidToken
                | Error::TokenExpired
                | Error::InvalidPayload { .. }
                | Error::RequestsExceeded { .. },
            ),
        ) => {
            let from = address::of(request, &context.config.server.trust_proxy);
            Ok(context.services.auth.public(from))
        }
        identity => identity,
    }
}

/// Checks that a request with a cookie comes from a page of this service or of a configured origin,
/// or from no page.
///
/// # Errors
/// [`Refusal::ForeignPage`] if a page of another site sent it.
pub fn require_trusted_page(context: &Context, request: &Request) -> Result<(), Refusal> {
    let config = &context.config;
    if origin::may_use_cookies(request, &config.server.public_url, &config.browser.cors) {
        Ok(())
    } else {
        Err(Refusal::ForeignPage)
    }
}

/// Returns the address and the user agent of the client.
#[must_use]
pub fn client_info(request: &Request, trust: &TrustProxy) -> ClientInfo {
    ClientInfo::new(address::of(request, trust), request.header(header::USER_AGENT))
}

/// Returns whether requests with a method may change data.
#[must_use]
pub fn is_change(method: &Method) -> bool {
    !matches!(method.as_str(), "GET" | "HEAD" | "OPTIONS" | "SEARCH")
}

/// Returns the token of `Authorization: Bearer …`. Another scheme or an empty token counts as none.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use poem::http::HeaderValue;

    use super::*;

    #[test]
    fn only_the_bearer_scheme_is_accepted_in_any_case() {
        let table = [
            ("Bearer abc", Some("abc")),
            ("bEaReR  abc ", Some("abc")),
            ("Bearer", None),
            ("Bearer ", None),
            ("Basic YTpi", None),
            ("abc", None),
        ];
        for (value, token) in table {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, HeaderValue::from_static(value));
            assert_eq!(bearer(&headers), token, "{value}");
        }
    }
}
