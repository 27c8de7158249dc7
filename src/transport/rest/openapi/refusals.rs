//! The error responses of an operation, for its documentation: its own errors, and those common to
//! all operations.
//!
//! The errors are constructed as the handlers construct them, so the documented messages are those
//! that clients get.

use std::time::Duration;

use serde_json::Value as Json;
use serde_json::json;

use crate::clock::Timestamp;
use crate::domain::{Error, Exceeded, Forbidden};
use crate::transport::error;
use crate::transport::error::{Refusal, Wire};
use crate::transport::limits;
use crate::transport::rest::openapi::fixed;
use crate::transport::rest::openapi::reference;
use crate::transport::rest::operation::{Access, Operation};

/// Returns the errors of an operation, by status.
pub(super) fn of(operation: &Operation) -> Vec<(u16, Vec<Wire>)> {
    let docs = &operation.docs;
    let mut wires = docs.failures.iter().flat_map(error::wire).collect::<Vec<_>>();
    wires.extend(common_failures(operation).iter().flat_map(error::wire));
    if docs.request.is_some() {
        wires.extend(Refusal::ContentTooLarge.wires());
        wires.extend(Refusal::UnsupportedCoding("zstd".to_owned()).wires());
        wires.extend(Refusal::OutOfTime.wires());
    }
    if docs.parameters.iter().any(is_in_query) {
        wires.extend(Refusal::UriTooLong.wires());
    }
    wires.extend(error::wire(&too_many()));
    wires.extend(error::wire(&Error::ShareExceeded {
        share: 16 << 20,
        retry_after: Duration::from_secs(1),
    }));
    if operation.path.contains("{provider}") {
        wires.extend(Refusal::RouteNotFound(operation.path.clone()).wires());
    }
    wires.extend(Refusal::Internal.wires());
    let mut by_status: Vec<(u16, Vec<Wire>)> = Vec::new();
    for wire in wires {
        let status = wire.status.as_u16();
        match by_status.iter_mut().find(|(known, _)| *known == status) {
            Some((_, same)) => same.push(wire),
            None => by_status.push((status, vec![wire])),
        }
    }
    by_status.sort_by_key(|(status, _)| *status);
    by_status
}

fn is_in_query(parameter: &Json) -> bool {
    parameter["in"] == "query"
}

/// Returns the errors common to all operations of this kind.
fn common_failures(operation: &Operation) -> Vec<Error> {
    let docs = &operation.docs;
    let known =
        |code: &str| docs.failures.iter().flat_map(error::wire).any(|wire| wire.code == code);
    let mut failures = Vec::new();
    if docs.request.is_some() && !known("INVALID_PAYLOAD") {
        failures.push(Error::payload("The body has to be a JSON object or a list"));
    }
    if docs.parameters.iter().any(is_in_query) && !known("INVALID_QUERY") {
        failures.push(Error::InvalidQuery("\"limit\" must be a number".to_owned()));
    }
    let only_reads = matches!(operation.method.as_str(), "GET" | "SEARCH");
    if operation.access == Access::Open && only_reads {
        return failures;
    }
    if matches!(operation.access, Access::Open | Access::Optional) {
        failures.push(Error::TooBusy { retry_after: Duration::from_secs(1) });
        return failures;
    }
    failures.extend([
        Error::payload("The request uses more than one method for including an access token"),
        Error::InvalidCredentials,
        Error::TokenExpired,
        Error::InvalidToken,
        Error::TooBusy { retry_after: Duration::from_secs(1) },
    ]);
    if operation.access == Access::Administrators || !only_reads {
        failures.push(Error::Forbidden(Forbidden::Action));
    }
    failures
}

/// Returns the error for exceeding the rate limit.
fn too_many() -> Error {
    Error::RequestsExceeded(Exceeded {
        limit: 1000,
        retry_after: Duration::from_secs(1),
        reset: Timestamp::from_millis(1_769_860_801_000),
        reason: limits::ADVICE,
    })
}

/// Returns the response with any error.
pub(super) fn any() -> Json {
    let errors: Vec<Json> = Refusal::Internal.wires().iter().map(Wire::to_json).collect();
    let content = json!({"schema": reference("schemas", "Errors"), "example": {"errors": errors}});
    let content = json!({"application/json": content});
    json!({"description": "Any other status is an error.", "content": content})
}

/// Returns the schema of errors with these codes.
pub(super) fn with_codes(codes: &[&str]) -> Json {
    let mut error = fixed("schemas", "Error");
    error["properties"]["extensions"]["properties"]["code"] =
        json!({"type": "string", "enum": codes});
    let mut errors = fixed("schemas", "Errors");
    errors["properties"]["errors"]["items"] = error;
    errors
}
