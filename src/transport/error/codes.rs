//! The table of error codes: their status, meaning, and advice.
//!
//! The message of an individual error depends on its cause (`super`, `words`). `docs/errors.md`
//! contains this table; a test compares them.

use poem::http::StatusCode;

/// An error code.
#[derive(Debug, PartialEq, Eq)]
pub struct Code {
    /// The code, for programs.
    pub name: &'static str,
    /// The HTTP status; `None` for codes of sockets only.
    pub status: Option<StatusCode>,
    /// The meaning.
    pub meaning: &'static str,
    /// The advice for clients.
    pub advice: &'static str,
}

/// Defines a code for each row of the table.
macro_rules! codes {
    ($($name:ident, $status:expr, $meaning:literal, $advice:literal;)*) => {
        $(
            #[doc = $meaning]
            pub static $name: Code = Code {
                name: stringify!($name),
                status: $status,
                meaning: $meaning,
                advice: $advice,
            };
        )*

        /// All codes in the order of their statuses.
        pub const CODES: &[&Code] = &[$(&$name),*];
    };
}

codes! {
    FAILED_VALIDATION, Some(StatusCode::BAD_REQUEST),
        "A value breaks a rule. There is one error for each broken rule.",
        "Change the field named by `field` so that it satisfies `type`.";
    INVALID_FOREIGN_KEY, Some(StatusCode::BAD_REQUEST),
        "A relation names an item that does not exist.",
        "Name an existing item, or null.";
    INVALID_PAYLOAD, Some(StatusCode::BAD_REQUEST),
        "A body, a frame or a header is malformed.",
        "Correct the part named by `reason`.";
    INVALID_QUERY, Some(StatusCode::BAD_REQUEST),
        "A query is malformed or exceeds a limit of queries.",
        "Correct the part named by `reason`.";
    RECORD_NOT_UNIQUE, Some(StatusCode::BAD_REQUEST),
        "A value that must be unique is already taken.",
        "Choose another `value` for `field`.";
    VALUE_TOO_LONG, Some(StatusCode::BAD_REQUEST),
        "A value has more characters than its field allows.",
        "Shorten `field` to `max_length` characters.";
    INVALID_CREDENTIALS, Some(StatusCode::UNAUTHORIZED),
        "Address, password or token is wrong, or the session has ended; the error does not say which.",
        "Sign in again.";
    INVALID_OTP, Some(StatusCode::UNAUTHORIZED),
        "The one-time password is missing or wrong.",
        "Sign in with the current one-time password.";
    TOKEN_EXPIRED, Some(StatusCode::UNAUTHORIZED),
        "The access token has expired.",
        "Get a new one with `POST /auth/refresh`, and repeat the request.";
    FORBIDDEN, Some(StatusCode::FORBIDDEN),
        "The item does not exist or access is not allowed; the error does not say which.",
        "Check `GET /permissions/me`, or sign in with an account that has access.";
    INVALID_PROVIDER, Some(StatusCode::FORBIDDEN),
        "This sign-in method is disabled, or the account with this address uses another one.",
        "Sign in as before, or ask an administrator to change `provider` and `external_identifier`.";
    INVALID_TOKEN, Some(StatusCode::FORBIDDEN),
        "A token in the format of this service, or of its issuer, is not valid.",
        "Sign in again.";
    LIMIT_EXCEEDED, Some(StatusCode::FORBIDDEN),
        "A limit is exceeded; 429 if it is temporary.",
        "Send a smaller request; `reason` names the limit. After a 429 try again after `Retry-After` seconds.";
    ROUTE_NOT_FOUND, Some(StatusCode::NOT_FOUND),
        "The path does not exist, or does not support this method.",
        "Check the path in `/openapi.json`.";
    OUT_OF_TIME, Some(StatusCode::REQUEST_TIMEOUT),
        "The body did not arrive in time.",
        "Send the request again.";
    CONTENT_TOO_LARGE, Some(StatusCode::PAYLOAD_TOO_LARGE),
        "The body is larger than `MAX_PAYLOAD_SIZE`.",
        "Send a smaller body.";
    URI_TOO_LONG, Some(StatusCode::URI_TOO_LONG),
        "The URL is longer than `URL_SIZE_MAX`.",
        "Use `SEARCH`, with the query in the body.";
    UNSUPPORTED_MEDIA_TYPE, Some(StatusCode::UNSUPPORTED_MEDIA_TYPE),
        "The body has an unsupported content coding.",
        "Use a coding listed in `Accept-Encoding`, or none.";
    UNPROCESSABLE_CONTENT, Some(StatusCode::UNPROCESSABLE_ENTITY),
        "The request is valid and allowed, but the current state prevents it.",
        "Resolve the problem named by `reason` first.";
    REQUESTS_EXCEEDED, Some(StatusCode::TOO_MANY_REQUESTS),
        "Too many requests, messages, or failed attempts.",
        "Wait `Retry-After` seconds, or over a socket the time in `message`; `reason` may have details.";
    HEADERS_TOO_LARGE, Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
        "The headers are larger than `HEADERS_SIZE_MAX`.",
        "Send fewer headers; unneeded cookies are the usual reason.";
    INTERNAL_SERVER_ERROR, Some(StatusCode::INTERNAL_SERVER_ERROR),
        "An internal error occurred. The log has details under the answer's `X-Request-Id`.",
        "Contact the operator of the service.";
    SERVICE_UNAVAILABLE, Some(StatusCode::SERVICE_UNAVAILABLE),
        "The service is too busy, its database or a provider does not answer, or a query took too long.",
        "Try again after `Retry-After` seconds; without that header, follow `reason`.";
    AUTH_FAILED, None,
        "The sign-in of a socket failed or is no longer valid.",
        "Send an `auth` frame with valid credentials, on a new connection if this one closes.";
    AUTH_TIMEOUT, None,
        "No valid sign-in arrived in time.",
        "Connect again and send the `auth` frame first.";
    INVALID_COLLECTION, None,
        "A frame names a collection that does not exist or is not available here.",
        "Correct `collection`.";
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    const DOCUMENT: &str = include_str!("../../../docs/errors.md");

    /// Returns the table as it appears in the document.
    fn table() -> String {
        let mut table =
            String::from("| code | status | meaning | action |\n| --- | --- | --- | --- |\n");
        for Code { name, status, meaning, advice } in CODES {
            let status =
                status.map_or("sockets only".to_owned(), |status| status.as_u16().to_string());
            writeln!(table, "| `{name}` | {status} | {meaning} | {advice} |").unwrap();
        }
        table
    }

    #[test]
    fn the_document_contains_the_table_of_codes() {
        let table = table();

        assert!(DOCUMENT.ends_with(&table), "docs/errors.md should end with\n\n{table}");
    }

    #[test]
    fn codes_are_unique_sorted_and_explained() {
        let mut names: Vec<&str> = CODES.iter().map(|code| code.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CODES.len());
        for Code { name, meaning, advice, .. } in CODES {
            assert!(meaning.ends_with('.') && advice.ends_with('.'), "{name}");
        }
        assert!(
            CODES.is_sorted_by_key(|code| code.status.map_or(u16::MAX, |status| status.as_u16()))
        );
    }
}
