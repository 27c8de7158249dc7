//! Errors in responses: maps failures to a status, a code (`codes`), and a message.
//!
//! REST responds with [`respond`], and sockets put [`wire`] into frames. Messages follow Directus
//! wherever it defines one.

pub mod codes;
#[cfg(test)]
mod tests;
mod words;

use std::time::Duration;

use poem::Response;
use poem::http::header;
use poem::http::{HeaderValue, StatusCode};
use serde_json::json;
use serde_json::{Map, Value as Json};

use crate::domain::{Error, Exceeded};
use crate::transport::error::codes::Code;
use crate::transport::rest;

/// Retry delay in seconds while the store does not respond.
const STORE_RETRY_SECONDS: u64 = 2;

/// One error as sent to clients.
#[derive(Debug, Clone, PartialEq)]
pub struct Wire {
    /// The HTTP status.
    pub status: StatusCode,
    /// The code, for programs.
    pub code: &'static str,
    /// The message, for users.
    pub message: String,
    /// Further data for programs, without the code.
    pub extensions: Map<String, Json>,
}

/// Reasons to reject a request, in the transport or in the domain.
#[derive(Debug)]
pub enum Refusal {
    /// An error of the domain.
    Domain(Error),
    /// An error of the domain for an invalid session cookie. The response has this `Set-Cookie`
    /// header, which removes the cookie.
    BadCookie(Error, HeaderValue),
    /// A cookie from a page of a foreign origin.
    ForeignPage,
    /// A missing, repeated or invalid `Host` header.
    InvalidHost,
    /// No route with this path and method.
    RouteNotFound(String),
    /// The URL is too long.
    UriTooLong,
    /// The headers are too large.
    HeadersTooLarge,
    /// The body is too large.
    ContentTooLarge,
    /// The content coding of the body is not supported.
    UnsupportedCoding(String),
    /// The body did not arrive in time.
    OutOfTime,
    /// An internal error that clients cannot avoid. It is logged where it occurs.
    Internal,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Domain(error)
    }
}

impl Refusal {
    /// Returns the response.
    #[must_use]
    pub fn respond(&self) -> Response {
        match self {
            Self::Domain(error) => respond(error),
            Self::BadCookie(error, set_cookie) => {
                let mut response = respond(error);
                response.headers_mut().append(header::SET_COOKIE, set_cookie.clone());
                response
            }
            Self::RouteNotFound(path) => route_not_found(path),
            Self::UnsupportedCoding(_) => {
                let mut response = answer(&self.wires(), None);
                let accepted = HeaderValue::from_static(rest::ACCEPTED_CODINGS);
                response.headers_mut().insert(header::ACCEPT_ENCODING, accepted);
                response
            }
            Self::ForeignPage
            | Self::InvalidHost
            | Self::UriTooLong
            | Self::HeadersTooLarge
            | Self::ContentTooLarge
            | Self::OutOfTime
            | Self::Internal => answer(&self.wires(), None),
        }
    }

    /// Returns the errors in the response.
    #[must_use]
    pub fn wires(&self) -> Vec<Wire> {
        let one = match self {
            Self::Domain(error) | Self::BadCookie(error, _) => return wire(error),
            Self::ForeignPage => words::foreign_page(),
            Self::InvalidHost => reasoned(
                &codes::INVALID_PAYLOAD,
                "Invalid payload",
                "A request needs exactly one valid \"Host\" header",
            ),
            Self::RouteNotFound(path) => no_route(path),
            Self::UriTooLong => Wire::new(
                &codes::URI_TOO_LONG,
                "The URL is too long. Use SEARCH with the query in the body, or raise \
                 URL_SIZE_MAX.",
            ),
            Self::HeadersTooLarge => Wire::new(
                &codes::HEADERS_TOO_LARGE,
                "The headers are too large. Send fewer headers, delete old cookies, or raise \
                 HEADERS_SIZE_MAX.",
            ),
            Self::ContentTooLarge => Wire::new(
                &codes::CONTENT_TOO_LARGE,
                "The request body is too large. Send less at once, or raise MAX_PAYLOAD_SIZE.",
            ),
            Self::UnsupportedCoding(name) => words::unsupported_coding(name),
            Self::OutOfTime => Wire::new(
                &codes::OUT_OF_TIME,
                "The request body did not arrive in time. Send it again.",
            ),
            Self::Internal => internal(),
        };
        vec![one]
    }
}

impl Wire {
    fn new(code: &Code, message: impl Into<String>) -> Self {
        // Codes of sockets only are never used for a response.
        let status = code.status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, code: code.name, message: message.into(), extensions: Map::new() }
    }

    fn with(mut self, name: &str, value: impl Into<Json>) -> Self {
        self.extensions.insert(name.to_owned(), value.into());
        self
    }

    /// Returns the entry in `errors`. The code is the last of its extensions.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let mut extensions = self.extensions.clone();
        extensions.insert("code".to_owned(), Json::from(self.code));
        json!({ "message": self.message, "extensions": extensions })
    }
}

/// Returns the errors of a response: one, or one for each violation.
///
/// It is called once per response, so it also logs storage failures with all of their causes.
#[must_use]
pub fn wire(error: &Error) -> Vec<Wire> {
    let one = match error {
        Error::InvalidCredentials => {
            Wire::new(&codes::INVALID_CREDENTIALS, "Invalid user credentials.")
        }
        Error::InvalidOtp => Wire::new(&codes::INVALID_OTP, "Invalid user OTP."),
        Error::TokenExpired => Wire::new(&codes::TOKEN_EXPIRED, "Token expired."),
        Error::InvalidToken => Wire::new(&codes::INVALID_TOKEN, "Invalid token."),
        Error::InvalidProvider => Wire::new(&codes::INVALID_PROVIDER, "Invalid provider."),
        Error::ProviderUnavailable(provider) => {
            unavailable(provider, "It does not respond correctly, try again later")
        }
        Error::InvalidPayload(reason) => {
            reasoned(&codes::INVALID_PAYLOAD, "Invalid payload", reason)
        }
        Error::InvalidQuery(reason) => reasoned(&codes::INVALID_QUERY, "Invalid query", reason),
        Error::Forbidden(what) => words::forbidden(what),
        Error::FailedValidation(violations) => {
            return violations.iter().map(words::violated).collect();
        }
        Error::RecordNotUnique { collection, field, value } => {
            words::not_unique(collection, field, value)
        }
        Error::ValueTooLong(value) => words::too_long(value),
        Error::InvalidForeignKey { collection, field } => words::foreign_key(collection, *field),
        Error::Unprocessable(reason) => {
            reasoned(&codes::UNPROCESSABLE_CONTENT, "Can't process content", reason)
        }
        Error::LimitExceeded(reason) => reasoned(&codes::LIMIT_EXCEEDED, "Limit exceeded", reason),
        Error::ShareExceeded { share, .. } => share_exceeded(*share),
        Error::RequestsExceeded(Exceeded { limit, retry_after, reset, reason }) => Wire::new(
            &codes::REQUESTS_EXCEEDED,
            format!("Too many requests, retry after {}s.", whole_seconds(*retry_after)),
        )
        .with("limit", *limit)
        .with("reset", reset.to_string())
        .with("reason", *reason),
        Error::TooBusy { .. } => unavailable("api", "Under pressure"),
        Error::NoThread(failure) => {
            log(failure, "the operating system cannot start a thread");
            unavailable("api", "Under pressure")
        }
        Error::TooCostly { allowed } => too_costly(*allowed),
        Error::Unavailable(failure) => {
            log(failure, "the database does not respond");
            unavailable("database", "It does not respond right now, try again later")
        }
        Error::Store(failure) => {
            log(failure, "the database failed");
            internal()
        }
    };
    vec![one]
}

/// Logs a failure with all of its causes.
fn log(failure: &dyn std::error::Error, what: &'static str) {
    tracing::error!(error.chain = %chain(failure), "{what}");
}

/// Returns the response to a failed request.
#[must_use]
pub fn respond(error: &Error) -> Response {
    let wires = wire(error);
    let retry_after = match error {
        Error::TooBusy { retry_after }
        | Error::ShareExceeded { retry_after, .. }
        | Error::RequestsExceeded(Exceeded { retry_after, .. }) => {
            Some(whole_seconds(*retry_after))
        }
        // The same query would exceed the limit again.
        Error::TooCostly { .. } => None,
        _ => wires
            .iter()
            .any(|wire| wire.status == StatusCode::SERVICE_UNAVAILABLE)
            .then_some(STORE_RETRY_SECONDS),
    };
    answer(&wires, retry_after)
}

/// Returns a duration in seconds, rounded up.
const fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + (time.subsec_nanos() > 0) as u64
}

/// Returns the response to an unknown path or method. `path` has no query string.
#[must_use]
pub fn route_not_found(path: &str) -> Response {
    answer(&[no_route(path)], None)
}

fn no_route(path: &str) -> Wire {
    Wire::new(&codes::ROUTE_NOT_FOUND, format!("Route {path} doesn't exist.")).with("path", path)
}

fn answer(wires: &[Wire], retry_after: Option<u64>) -> Response {
    let status = wires.first().map_or(StatusCode::INTERNAL_SERVER_ERROR, |wire| wire.status);
    let errors = wires.iter().map(Wire::to_json).collect::<Vec<_>>();
    let mut response = Response::builder()
        .status(status)
        .content_type("application/json; charset=utf-8")
        .body(json!({ "errors": errors }).to_string());
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn internal() -> Wire {
    Wire::new(&codes::INTERNAL_SERVER_ERROR, "An unexpected error occurred.")
}

fn unavailable(service: &str, reason: &str) -> Wire {
    Wire::new(
        &codes::SERVICE_UNAVAILABLE,
        format!("Service \"{service}\" is unavailable. {reason}."),
    )
    .with("service", service)
    .with("reason", reason)
}

fn too_costly(allowed: Duration) -> Wire {
    let reason = format!(
        "The query takes longer than {} ms. Use fewer conditions, a narrower filter, or a smaller \
         limit or offset",
        allowed.as_millis()
    );
    unavailable("database", &reason)
}

/// Returns the error of an account or address that exceeds its memory quota. Unlike other limits
/// with this code, it is temporary.
fn share_exceeded(share: usize) -> Wire {
    let reason = format!(
        "The pending requests and responses of your account or address would take more than \
         {share} bytes of memory: read the pending responses first, or send and request less at a \
         time"
    );
    let status = StatusCode::TOO_MANY_REQUESTS;
    Wire { status, ..reasoned(&codes::LIMIT_EXCEEDED, "Limit exceeded", &reason) }
}

fn reasoned(code: &Code, what: &str, reason: &str) -> Wire {
    Wire::new(code, format!("{what}. {reason}.")).with("reason", reason)
}

/// Returns an error and all of its causes, outermost first.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}
