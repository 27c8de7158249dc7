//! The messages of all errors, as in Directus.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::domain::{Forbidden, Violation};

fn only(error: &Error) -> (u16, String) {
    let wires = wire(error);
    assert_eq!(wires.len(), 1);
    (wires[0].status.as_u16(), wires[0].to_json().to_string())
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table, so that it can be read as one")]
fn every_error_has_the_message_of_directus() {
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
            Error::RecordNotUnique { collection: "messages", field: "id", value: "3".to_owned() },
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
            Error::ShareExceeded { share: 16, retry_after: Duration::from_secs(1) },
            429,
            r#"{"message":"Limit exceeded. The pending requests and responses of your account or address would take more than 16 bytes of memory: read the pending responses first, or send and request less at a time.","extensions":{"reason":"The pending requests and responses of your account or address would take more than 16 bytes of memory: read the pending responses first, or send and request less at a time","code":"LIMIT_EXCEEDED"}}"#,
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
fn every_violation_is_a_separate_error() {
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
fn a_busy_response_has_a_retry_after_header() {
    let response = respond(&Error::TooBusy { retry_after: Duration::from_millis(1500) });

    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()[header::RETRY_AFTER], "2");
    assert!(!respond(&Error::InvalidToken).headers().contains_key(header::RETRY_AFTER));
}
