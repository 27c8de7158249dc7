//! The one table of errors on the wire: what went wrong, to status, code and words for the client.
//!
//! REST answers with [`respond`], the socket puts [`wire`] into its frames. The words are those of
//! Directus wherever its own are fixed.

use poem::Response;
use poem::http::HeaderValue;
use poem::http::StatusCode;
use poem::http::header;
use serde_json::Map;
use serde_json::Value as Json;
use serde_json::json;

use crate::domain::Error;
use crate::domain::Forbidden;
use crate::domain::Violation;

/// Seconds after which a client may try again when storage did not answer.
const STORE_RETRY_SECONDS: u64 = 2;

/// One error as clients see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Wire {
    /// The status of an HTTP answer.
    pub status: StatusCode,
    /// What programs read.
    pub code: &'static str,
    /// What people read.
    pub message: String,
    /// What else programs may read, without the code.
    pub extensions: Map<String, Json>,
}

/// Why a request was refused, in transport or below.
#[derive(Debug)]
pub enum Refusal {
    /// By the domain.
    Domain(Error),
    /// By the domain, for a session cookie that is no good: the answer carries this `Set-Cookie`
    /// line, which empties it.
    BadCookie(Error, HeaderValue),
    /// No such path, or not with this method.
    RouteNotFound(String),
    /// A body over the limit.
    ContentTooLarge,
    /// A body that did not arrive in time.
    OutOfTime,
    /// Something broke that clients can do nothing about. Whoever answers so has logged it.
    Internal,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Domain(error)
    }
}

impl Refusal {
    /// Returns the answer.
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
            Self::ContentTooLarge | Self::OutOfTime | Self::Internal => answer(&self.wires(), None),
        }
    }

    /// Returns the errors of the answer.
    #[must_use]
    pub fn wires(&self) -> Vec<Wire> {
        let one = match self {
            Self::Domain(error) | Self::BadCookie(error, _) => return wire(error),
            Self::RouteNotFound(path) => no_route(path),
            Self::ContentTooLarge => Wire::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "CONTENT_TOO_LARGE",
                "Content is too large. Send less at once, or raise MAX_PAYLOAD_SIZE.",
            ),
            Self::OutOfTime => Wire::new(
                StatusCode::REQUEST_TIMEOUT,
                "OUT_OF_TIME",
                "The request body did not arrive in time. Send it again.",
            ),
            Self::Internal => internal(),
        };
        vec![one]
    }
}

impl Wire {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), extensions: Map::new() }
    }

    fn with(mut self, name: &str, value: impl Into<Json>) -> Self {
        self.extensions.insert(name.to_owned(), value.into());
        self
    }

    /// Returns the form within `errors`: the code comes last among the extensions.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let mut extensions = self.extensions.clone();
        extensions.insert("code".to_owned(), Json::from(self.code));
        json!({ "message": self.message, "extensions": extensions })
    }
}

/// Returns the errors of an answer: one, or one for each broken rule.
///
/// It is called where an error is answered, so it also logs failures of storage, with all causes.
#[must_use]
pub fn wire(error: &Error) -> Vec<Wire> {
    let one = match error {
        Error::InvalidCredentials => {
            Wire::new(StatusCode::UNAUTHORIZED, "INVALID_CREDENTIALS", "Invalid user credentials.")
        }
        Error::InvalidOtp => {
            Wire::new(StatusCode::UNAUTHORIZED, "INVALID_OTP", "Invalid user OTP.")
        }
        Error::TokenExpired => {
            Wire::new(StatusCode::UNAUTHORIZED, "TOKEN_EXPIRED", "Token expired.")
        }
        Error::InvalidToken => Wire::new(StatusCode::FORBIDDEN, "INVALID_TOKEN", "Invalid token."),
        Error::InvalidPayload(reason) => {
            reasoned(StatusCode::BAD_REQUEST, "INVALID_PAYLOAD", "Invalid payload", reason)
        }
        Error::InvalidQuery(reason) => {
            reasoned(StatusCode::BAD_REQUEST, "INVALID_QUERY", "Invalid query", reason)
        }
        Error::Forbidden(what) => forbidden(what),
        Error::FailedValidation(violations) => return violations.iter().map(violated).collect(),
        Error::RecordNotUnique { collection, field, value } => Wire::new(
            StatusCode::BAD_REQUEST,
            "RECORD_NOT_UNIQUE",
            format!(
                "Value \"{value}\" for field \"{field}\" in collection \"{collection}\" has to be \
                 unique."
            ),
        )
        .with("collection", *collection)
        .with("field", *field)
        .with("value", value.as_str()),
        Error::InvalidForeignKey { collection, field } => foreign_key(collection, *field),
        Error::Unprocessable(reason) => reasoned(
            StatusCode::UNPROCESSABLE_ENTITY,
            "UNPROCESSABLE_CONTENT",
            "Can't process content",
            reason,
        ),
        Error::LimitExceeded(reason) => {
            reasoned(StatusCode::FORBIDDEN, "LIMIT_EXCEEDED", "Limit exceeded", reason)
        }
        Error::TooBusy { .. } => unavailable("api", "Under pressure"),
        Error::TooCostly { allowed } => unavailable(
            "database",
            &format!(
                "The query takes longer than {} ms. Ask for less: fewer conditions, a narrower \
                 filter, a smaller limit or offset",
                allowed.as_millis()
            ),
        ),
        Error::Unavailable(failure) => {
            tracing::error!(error.chain = %chain(failure), "storage does not answer");
            unavailable("database", "It does not answer right now, try again later")
        }
        Error::Store(failure) => {
            tracing::error!(error.chain = %chain(failure), "storage failed");
            internal()
        }
    };
    vec![one]
}

/// Returns the answer to a request that failed so.
#[must_use]
pub fn respond(error: &Error) -> Response {
    let wires = wire(error);
    let retry_after = match error {
        Error::TooBusy { retry_after } => {
            Some(retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0))
        }
        // The same query will not be any cheaper.
        Error::TooCostly { .. } => None,
        _ => wires
            .iter()
            .any(|wire| wire.status == StatusCode::SERVICE_UNAVAILABLE)
            .then_some(STORE_RETRY_SECONDS),
    };
    answer(&wires, retry_after)
}

/// Returns the answer to a path or method that does not exist; `path` comes without query string.
#[must_use]
pub fn route_not_found(path: &str) -> Response {
    answer(&[no_route(path)], None)
}

fn no_route(path: &str) -> Wire {
    Wire::new(StatusCode::NOT_FOUND, "ROUTE_NOT_FOUND", format!("Route {path} doesn't exist."))
        .with("path", path)
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
    Wire::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "INTERNAL_SERVER_ERROR",
        "An unexpected error occurred.",
    )
}

fn unavailable(service: &str, reason: &str) -> Wire {
    Wire::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "SERVICE_UNAVAILABLE",
        format!("Service \"{service}\" is unavailable. {reason}."),
    )
    .with("service", service)
    .with("reason", reason)
}

fn reasoned(status: StatusCode, code: &'static str, what: &str, reason: &str) -> Wire {
    Wire::new(status, code, format!("{what}. {reason}.")).with("reason", reason)
}

fn forbidden(what: &Forbidden) -> Wire {
    let reason = match what {
        Forbidden::Item | Forbidden::Action => {
            return Wire::new(
                StatusCode::FORBIDDEN,
                "FORBIDDEN",
                "You don't have permission to access this.",
            );
        }
        Forbidden::Collection(name) => format!(
            "You don't have permission to access collection \"{name}\" or it does not exist. \
             Queried in root."
        ),
        Forbidden::Fields { collection, fields, path } => {
            let place = if path.is_empty() { "root".to_owned() } else { format!("\"{path}\"") };
            let (noun, verb) =
                if fields.len() == 1 { ("field", "it does") } else { ("fields", "they do") };
            format!(
                "You don't have permission to access {noun} {} in collection \"{collection}\" or \
                 {verb} not exist. Queried in {place}.",
                quoted(fields)
            )
        }
        Forbidden::Update { collection, fields } => format!(
            "You don't have permissions to perform \"update\" for the field(s) {} in collection \
             \"{collection}\" or it does not exist.",
            quoted(fields)
        ),
        Forbidden::Delete { collection } => format!(
            "You don't have permission to perform \"delete\" for collection \"{collection}\" or \
             it does not exist."
        ),
    };
    Wire::new(StatusCode::FORBIDDEN, "FORBIDDEN", reason.clone()).with("reason", reason)
}

fn foreign_key(collection: &str, field: Option<&str>) -> Wire {
    let place = field.map(|field| format!(" for field \"{field}\"")).unwrap_or_default();
    let mut wire = Wire::new(
        StatusCode::BAD_REQUEST,
        "INVALID_FOREIGN_KEY",
        format!("Invalid foreign key{place} in collection \"{collection}\"."),
    )
    .with("collection", collection);
    if let Some(field) = field {
        wire = wire.with("field", field);
    }
    wire
}

fn violated(violation: &Violation) -> Wire {
    let Violation { field, kind, details } = violation;
    let detail =
        |name: &str| details.iter().find(|(key, _)| *key == name).map(|(_, value)| in_words(value));
    let demand = match *kind {
        "null" => Some("Value has to be null.".to_owned()),
        "nnull" => Some("Value can't be null.".to_owned()),
        "empty" => Some("Value has to be empty.".to_owned()),
        "nempty" => Some("Value can't be empty.".to_owned()),
        "required" => Some("Value is required.".to_owned()),
        "regex" => Some("Value doesn't have the correct format.".to_owned()),
        "email" => Some("Value has to be a valid email address.".to_owned()),
        "eq" => detail("valid").map(|valid| format!("Value has to be {valid}.")),
        "neq" => detail("invalid").map(|invalid| format!("Value can't be {invalid}.")),
        "in" => detail("valid").map(|valid| format!("Value has to be one of {valid}.")),
        "nin" => detail("invalid").map(|invalid| format!("Value can't be one of {invalid}.")),
        "lt" => detail("valid").map(|valid| format!("Value has to be less than {valid}.")),
        "lte" => {
            detail("valid").map(|valid| format!("Value has to be less than or equal to {valid}."))
        }
        "gt" => detail("valid").map(|valid| format!("Value has to be greater than {valid}.")),
        "gte" => detail("valid")
            .map(|valid| format!("Value has to be greater than or equal to {valid}.")),
        "contains" | "icontains" => {
            detail("substring").map(|part| format!("Value has to contain {part}."))
        }
        "ncontains" => detail("substring").map(|part| format!("Value can't contain {part}.")),
        _ => None,
    };
    let mut message = format!("Validation failed for field \"{field}\".");
    if let Some(demand) = demand {
        message = format!("{message} {demand}");
    }
    let mut wire = Wire::new(StatusCode::BAD_REQUEST, "FAILED_VALIDATION", message)
        .with("field", field.as_str())
        .with("path", Json::Array(Vec::new()))
        .with("type", *kind);
    for (name, value) in details {
        wire = wire.with(name, value.clone());
    }
    wire
}

/// Returns names in quotation marks, with commas.
fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

/// Returns a value, or each value of a list, in quotation marks.
fn in_words(value: &Json) -> String {
    match value {
        Json::Array(values) => values.iter().map(in_words).collect::<Vec<_>>().join(", "),
        Json::String(text) => format!("\"{text}\""),
        other => format!("\"{other}\""),
    }
}

/// Returns an error and all its causes, outermost first.
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn only(error: &Error) -> (u16, String) {
        let wires = wire(error);
        assert_eq!(wires.len(), 1);
        (wires[0].status.as_u16(), wires[0].to_json().to_string())
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "one table, so that it can be read as one")]
    fn every_error_has_the_words_of_directus() {
        let fields = |names: &[&str], path: &str| {
            Error::Forbidden(Forbidden::Fields {
                collection: "messages",
                fields: names.iter().map(|name| (*name).to_owned()).collect(),
                path: path.to_owned(),
            })
        };
        let table = [
            (
                Error::InvalidCredentials,
                401,
                r#"{"message":"Invalid user credentials.","extensions":{"code":"INVALID_CREDENTIALS"}}"#,
            ),
            (
                Error::InvalidOtp,
                401,
                r#"{"message":"Invalid user OTP.","extensions":{"code":"INVALID_OTP"}}"#,
            ),
            (
                Error::TokenExpired,
                401,
                r#"{"message":"Token expired.","extensions":{"code":"TOKEN_EXPIRED"}}"#,
            ),
            (
                Error::InvalidToken,
                403,
                r#"{"message":"Invalid token.","extensions":{"code":"INVALID_TOKEN"}}"#,
            ),
            (
                Error::payload("\"email\" is required"),
                400,
                r#"{"message":"Invalid payload. \"email\" is required.","extensions":{"reason":"\"email\" is required","code":"INVALID_PAYLOAD"}}"#,
            ),
            (
                Error::InvalidQuery("Invalid numeric value".to_owned()),
                400,
                r#"{"message":"Invalid query. Invalid numeric value.","extensions":{"reason":"Invalid numeric value","code":"INVALID_QUERY"}}"#,
            ),
            (
                Error::Forbidden(Forbidden::Item),
                403,
                r#"{"message":"You don't have permission to access this.","extensions":{"code":"FORBIDDEN"}}"#,
            ),
            (
                Error::Forbidden(Forbidden::Action),
                403,
                r#"{"message":"You don't have permission to access this.","extensions":{"code":"FORBIDDEN"}}"#,
            ),
            (
                Error::collection("nope"),
                403,
                r#"{"message":"You don't have permission to access collection \"nope\" or it does not exist. Queried in root.","extensions":{"reason":"You don't have permission to access collection \"nope\" or it does not exist. Queried in root.","code":"FORBIDDEN"}}"#,
            ),
            (
                fields(&["email"], "user_created"),
                403,
                r#"{"message":"You don't have permission to access field \"email\" in collection \"messages\" or it does not exist. Queried in \"user_created\".","extensions":{"reason":"You don't have permission to access field \"email\" in collection \"messages\" or it does not exist. Queried in \"user_created\".","code":"FORBIDDEN"}}"#,
            ),
            (
                fields(&["nope", "nope2"], ""),
                403,
                r#"{"message":"You don't have permission to access fields \"nope\", \"nope2\" in collection \"messages\" or they do not exist. Queried in root.","extensions":{"reason":"You don't have permission to access fields \"nope\", \"nope2\" in collection \"messages\" or they do not exist. Queried in root.","code":"FORBIDDEN"}}"#,
            ),
            (
                Error::Forbidden(Forbidden::Update {
                    collection: "messages",
                    fields: vec!["content".to_owned()],
                }),
                403,
                r#"{"message":"You don't have permissions to perform \"update\" for the field(s) \"content\" in collection \"messages\" or it does not exist.","extensions":{"reason":"You don't have permissions to perform \"update\" for the field(s) \"content\" in collection \"messages\" or it does not exist.","code":"FORBIDDEN"}}"#,
            ),
            (
                Error::Forbidden(Forbidden::Delete { collection: "messages" }),
                403,
                r#"{"message":"You don't have permission to perform \"delete\" for collection \"messages\" or it does not exist.","extensions":{"reason":"You don't have permission to perform \"delete\" for collection \"messages\" or it does not exist.","code":"FORBIDDEN"}}"#,
            ),
            (
                Error::RecordNotUnique {
                    collection: "messages",
                    field: "id",
                    value: "3".to_owned(),
                },
                400,
                r#"{"message":"Value \"3\" for field \"id\" in collection \"messages\" has to be unique.","extensions":{"collection":"messages","field":"id","value":"3","code":"RECORD_NOT_UNIQUE"}}"#,
            ),
            (
                Error::InvalidForeignKey { collection: "messages", field: Some("user_created") },
                400,
                r#"{"message":"Invalid foreign key for field \"user_created\" in collection \"messages\".","extensions":{"collection":"messages","field":"user_created","code":"INVALID_FOREIGN_KEY"}}"#,
            ),
            (
                Error::Unprocessable("The last administrator stays".to_owned()),
                422,
                r#"{"message":"Can't process content. The last administrator stays.","extensions":{"reason":"The last administrator stays","code":"UNPROCESSABLE_CONTENT"}}"#,
            ),
            (
                Error::LimitExceeded("At most 10 items at once".to_owned()),
                403,
                r#"{"message":"Limit exceeded. At most 10 items at once.","extensions":{"reason":"At most 10 items at once","code":"LIMIT_EXCEEDED"}}"#,
            ),
            (
                Error::TooBusy { retry_after: Duration::from_secs(1) },
                503,
                r#"{"message":"Service \"api\" is unavailable. Under pressure.","extensions":{"service":"api","reason":"Under pressure","code":"SERVICE_UNAVAILABLE"}}"#,
            ),
        ];
        for (error, status, text) in table {
            assert_eq!(only(&error), (status, text.to_owned()), "{error:?}");
        }
    }

    #[test]
    fn every_broken_rule_is_an_error_of_its_own() {
        let violation = |kind, details| Violation { field: "content".to_owned(), kind, details };
        let error = Error::FailedValidation(vec![
            violation("nnull", vec![]),
            violation("starts_with", vec![("substring", Json::from("ok"))]),
            violation("in", vec![("valid", json!(["a", 2]))]),
        ]);

        let texts = wire(&error).iter().map(|wire| wire.to_json().to_string()).collect::<Vec<_>>();

        assert_eq!(
            texts,
            [
                r#"{"message":"Validation failed for field \"content\". Value can't be null.","extensions":{"field":"content","path":[],"type":"nnull","code":"FAILED_VALIDATION"}}"#,
                r#"{"message":"Validation failed for field \"content\".","extensions":{"field":"content","path":[],"type":"starts_with","substring":"ok","code":"FAILED_VALIDATION"}}"#,
                r#"{"message":"Validation failed for field \"content\". Value has to be one of \"a\", \"2\".","extensions":{"field":"content","path":[],"type":"in","valid":["a",2],"code":"FAILED_VALIDATION"}}"#,
            ]
        );
    }

    #[test]
    fn waiting_is_advised_with_the_time_to_wait() {
        let response = respond(&Error::TooBusy { retry_after: Duration::from_millis(1500) });

        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "2");
        assert!(!respond(&Error::InvalidToken).headers().contains_key(header::RETRY_AFTER));
    }
}
