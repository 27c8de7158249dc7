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
        "Change the field that `field` names to fit what `type` demands.";
    INVALID_FOREIGN_KEY, Some(StatusCode::BAD_REQUEST),
        "A relation names an item that does not exist.",
        "Name one that does, or null.";
    INVALID_PAYLOAD, Some(StatusCode::BAD_REQUEST),
        "A body, a frame or a header makes no sense.",
        "Mend what `reason` names.";
    INVALID_QUERY, Some(StatusCode::BAD_REQUEST),
        "A query makes no sense, or asks for more than a query may.",
        "Mend what `reason` names.";
    RECORD_NOT_UNIQUE, Some(StatusCode::BAD_REQUEST),
        "A value that has to be unique is taken.",
        "Choose another `value` for `field`.";
    VALUE_TOO_LONG, Some(StatusCode::BAD_REQUEST),
        "A value has more characters than its field takes.",
        "Shorten `field` to `max_length` characters.";
    INVALID_CREDENTIALS, Some(StatusCode::UNAUTHORIZED),
        "Address, password or token are wrong, or what they rested on has ended: never told which.",
        "Sign in anew.";
    INVALID_OTP, Some(StatusCode::UNAUTHORIZED),
        "The one-time password is missing or wrong.",
        "Sign in with the one shown now.";
    TOKEN_EXPIRED, Some(StatusCode::UNAUTHORIZED),
        "The access token was good, and has expired.",
        "Get another by `POST /auth/refresh`, and repeat the request.";
    FORBIDDEN, Some(StatusCode::FORBIDDEN),
        "It is not allowed, or not there: never told which.",
        "Look at `GET /permissions/me`, or sign in as somebody who may.";
    INVALID_PROVIDER, Some(StatusCode::FORBIDDEN),
        "Nobody signs in here in this way, or the address is that of an account that does in another.",
        "Sign in as before, or ask an administrator to change `provider` and `external_identifier`.";
    INVALID_TOKEN, Some(StatusCode::FORBIDDEN),
        "What looks like a token of this service, or of its issuer, is none.",
        "Sign in anew.";
    LIMIT_EXCEEDED, Some(StatusCode::FORBIDDEN),
        "Too much of something that is bounded; 429 where it passes.",
        "Ask for less at once; `reason` names the bound. After a 429 try again after `Retry-After` seconds.";
    ROUTE_NOT_FOUND, Some(StatusCode::NOT_FOUND),
        "There is no such path, or not with this method.",
        "Look at the path in `/openapi.json`.";
    OUT_OF_TIME, Some(StatusCode::REQUEST_TIMEOUT),
        "The body did not arrive in time.",
        "Send the request again.";
    CONTENT_TOO_LARGE, Some(StatusCode::PAYLOAD_TOO_LARGE),
        "The body is larger than `MAX_PAYLOAD_SIZE`.",
        "Send less at once.";
    URI_TOO_LONG, Some(StatusCode::URI_TOO_LONG),
        "The address is longer than `URL_SIZE_MAX`.",
        "Ask by `SEARCH`, with the query in the body.";
    UNSUPPORTED_MEDIA_TYPE, Some(StatusCode::UNSUPPORTED_MEDIA_TYPE),
        "The body is compressed in a way that this service does not know.",
        "Compress it in one of the ways that `Accept-Encoding` names, or not at all.";
    UNPROCESSABLE_CONTENT, Some(StatusCode::UNPROCESSABLE_ENTITY),
        "It makes sense and is allowed, but cannot be done as things are.",
        "Change first what `reason` names.";
    REQUESTS_EXCEEDED, Some(StatusCode::TOO_MANY_REQUESTS),
        "Too many requests, messages, or attempts that failed.",
        "Wait `Retry-After` seconds, over a socket as long as `message` says; `reason` may know more.";
    HEADERS_TOO_LARGE, Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
        "The headers are larger than `HEADERS_SIZE_MAX`.",
        "Send less; cookies that nobody needs are the usual reason.";
    INTERNAL_SERVER_ERROR, Some(StatusCode::INTERNAL_SERVER_ERROR),
        "Something broke. The log has more under the `X-Request-Id` of the answer.",
        "Tell whoever runs the service.";
    SERVICE_UNAVAILABLE, Some(StatusCode::SERVICE_UNAVAILABLE),
        "The service is too busy, its database or a provider does not answer, or a query took too long.",
        "Try again after `Retry-After` seconds; without that header, do what `reason` says.";
    AUTH_FAILED, None,
        "The sign-in of a socket failed, or no longer holds.",
        "Send an `auth` frame with credentials that are good, on a new connection if this one closes.";
    AUTH_TIMEOUT, None,
        "No good sign-in came in time.",
        "Connect again and send the `auth` frame first.";
    INVALID_COLLECTION, None,
        "A frame names a collection that does not exist or cannot be named here.",
        "Mend `collection`.";
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    const DOCUMENT: &str = include_str!("../../../docs/errors.md");

    /// Returns the table as it appears in the document.
    fn table() -> String {
        let mut table = String::from(
            "| code | status | what it means | what to do |\n| --- | --- | --- | --- |\n",
        );
        for Code { name, status, meaning, advice } in CODES {
            let status =
                status.map_or("sockets only".to_owned(), |status| status.as_u16().to_string());
            writeln!(table, "| `{name}` | {status} | {meaning} | {advice} |").unwrap();
        }
        table
    }

    #[test]
    fn the_document_has_this_table() {
        let table = table();

        assert!(DOCUMENT.ends_with(&table), "docs/errors.md should end with\n\n{table}");
    }

    #[test]
    fn each_code_is_there_once_and_says_what_to_do() {
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
