//! Credentials on a request to an identity, by asking `domain::auth`.
//!
//! It knows where a token may stand and which place counts; whether the token is any good is not
//! decided here.

use poem::Request;
use poem::http::HeaderMap;
use poem::http::Method;
use poem::http::header;

use crate::config::TrustProxy;
use crate::domain::Error;
use crate::domain::auth::Identity;
use crate::domain::auth::Origin;
use crate::transport::Context;
use crate::transport::address;
use crate::transport::cookies;
use crate::transport::error::Refusal;
use crate::transport::origin;
use crate::transport::rest::query_string;

/// Returns who sends this request: whoever the token in its address, its `Authorization` header or
/// its session cookie belongs to, or the public if there is none.
///
/// # Errors
/// A token that is no good never counts as the public: [`Error::InvalidCredentials`],
/// [`Error::InvalidToken`], [`Error::TokenExpired`]. [`Error::InvalidPayload`] for a token in the
/// address and another in the header; [`Refusal::ForeignPage`] for a change that a page of another
/// site asks for with a cookie.
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

/// Returns the identity that a request's credentials prove, or the public: credentials that are
/// expired, revoked, malformed or contradictory count as none.
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

/// Returns nothing if a request that a cookie speaks for comes from a page of this very service, of
/// one that the settings name, or from no page at all.
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

/// Returns where a request comes from.
#[must_use]
pub fn origin(request: &Request, trust: &TrustProxy) -> Origin {
    Origin::new(address::of(request, trust), request.header(header::USER_AGENT))
}

/// Returns whether a method is one that changes things.
#[must_use]
pub fn is_change(method: &Method) -> bool {
    !matches!(method.as_str(), "GET" | "HEAD" | "OPTIONS" | "SEARCH")
}

/// Returns the token of `Authorization: Bearer …`; another scheme, or no token, counts as nothing.
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
    fn the_scheme_is_bearer_in_any_case_and_nothing_else() {
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
