//! `/server/health`: the health of the service and, on request, the integrity of the database file.

use std::collections::BTreeMap;
use std::time::Duration;

use poem::Response;
use poem::http::StatusCode;
use poem_openapi::Object;
use poem_openapi::types::{Any, ToJSON};
use serde_json::Value as Json;
use serde_json::json;

use crate::domain::{Error, Integrity};
use crate::transport::rest::openapi::docs::Content;
use crate::transport::rest::openapi::docs::choice;
use crate::transport::rest::openapi::docs::formats;
use crate::transport::rest::openapi::docs::operations;
use crate::transport::rest::openapi::parameters::parameter;
use crate::transport::rest::operation::{Reply, RequestContext};

/// Response time of the store above which the status is a warning.
const RESPONSE_TIME_WARN: Duration = Duration::from_millis(150);
/// Timeout after which the store counts as unavailable.
const RESPONSE_TIME_MAX: Duration = Duration::from_secs(5);

/// The check that runs only on request.
const INTEGRITY: &str = "integrity";

/// Health status, from good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Status {
    Ok,
    Warn,
    Error,
}

impl Status {
    const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }

    fn of_time(response_time: Option<Duration>) -> Self {
        match response_time {
            None => Self::Error,
            Some(response_time) if response_time > RESPONSE_TIME_WARN => Self::Warn,
            Some(_) => Self::Ok,
        }
    }

    const fn of_integrity(integrity: &Integrity) -> Self {
        match integrity {
            Integrity::Whole => Self::Ok,
            Integrity::Unfinished(_) | Integrity::UnderWay => Self::Warn,
            Integrity::Damaged(_) => Self::Error,
        }
    }
}

operations! {
    /// Check the health of the server
    ///
    /// `ok`, `warn` (slow) or, with status 503, `error`. Administrators see each check.
    GET "/server/health" => health, Optional, "Server", "health"
        .with([parameter!(
            /// `integrity` also checks the structure of the database file, table by table, which
            /// takes seconds for millions of messages. For administrators.
            query "check": {"type": "string"} = INTEGRITY
        )])
        .returns_content(
            "The server is healthy, or slow.",
            Content {
                media_type: "application/health+json",
                ..Content::of::<Health>(json!({"status": "ok"}))
            },
        )
        .fails([unknown_check()]);
}

formats! {
    /// The name of a `Status`.
    StatusName(String) = choice(&["ok", "warn", "error"]);
}

#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
struct Health {
    /// The worst status of all checks.
    status: StatusName,
    /// The version; for administrators.
    release_id: Option<String>,
    /// The ID of this process; for administrators.
    service_id: Option<String>,
    checks: Option<BTreeMap<String, Any<Json>>>,
}

/// Every caller gets the status, administrators also the individual checks.
async fn health(call: RequestContext) -> Reply {
    let asked = requested(&call)?;
    let response_time = call.context.services.committer.response_time();
    let response_time = match tokio::time::timeout(RESPONSE_TIME_MAX, response_time).await {
        Ok(Ok(response_time)) => Some(response_time),
        Ok(Err(error)) => {
            tracing::error!(error.chain = ?error, "the store does not answer");
            None
        }
        Err(_) => {
            tracing::error!("the store does not answer in time");
            None
        }
    };
    let mut status = Status::of_time(response_time);
    let response_time = Any(json!([time_check(response_time)]));
    let mut checks = BTreeMap::from([("sqlite3:responseTime".to_owned(), response_time)]);
    if asked {
        let integrity = call.context.services.committer.check_integrity().await?;
        status = status.max(Status::of_integrity(&integrity));
        let integrity = Any(json!([integrity_check(&integrity)]));
        checks.insert("sqlite3:integrity".to_owned(), integrity);
    }
    let admin = call.actor().admin;
    let body = Health {
        status: StatusName(status.name().to_owned()),
        release_id: admin.then(|| env!("CARGO_PKG_VERSION").to_owned()),
        service_id: admin.then(|| call.context.service_id.to_string()),
        checks: admin.then_some(checks),
    };
    let is_error = status == Status::Error;
    let code = if is_error { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    Ok(Response::builder()
        .status(code)
        .content_type("application/health+json; charset=utf-8")
        .body(body.to_json_string()))
}

/// Returns whether the integrity check was requested.
fn requested(call: &RequestContext) -> Result<bool, Error> {
    match call.parameter("check").as_deref() {
        None => Ok(false),
        // The result is for administrators, like all checks.
        Some(INTEGRITY) => Ok(call.actor().admin),
        Some(_) => Err(unknown_check()),
    }
}

fn unknown_check() -> Error {
    Error::InvalidQuery(format!("\"check\" must be \"{INTEGRITY}\""))
}

fn time_check(response_time: Option<Duration>) -> Json {
    let observed = response_time.unwrap_or(RESPONSE_TIME_MAX).as_secs_f64() * 1000.0;
    json!({
        "status": Status::of_time(response_time).name(),
        "componentType": "datastore",
        "observedUnit": "ms",
        "observedValue": (observed * 1000.0).round() / 1000.0,
        "threshold": RESPONSE_TIME_WARN.as_millis(),
    })
}

fn integrity_check(integrity: &Integrity) -> Json {
    let mut check = json!({
        "status": Status::of_integrity(integrity).name(),
        "componentType": "datastore",
    });
    match integrity {
        Integrity::Whole => {}
        Integrity::Damaged(findings) => check["output"] = json!(findings.join("\n")),
        Integrity::Unfinished(tables) => {
            check["output"] = json!(format!("not checked in time: {}", tables.join(", ")));
        }
        Integrity::UnderWay => check["output"] = json!("another check is under way"),
    }
    check
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_depends_on_the_store_latency() {
        assert_eq!(Status::of_time(Some(Duration::from_millis(150))), Status::Ok);
        assert_eq!(Status::of_time(Some(Duration::from_millis(151))), Status::Warn);
        assert_eq!(Status::of_time(None), Status::Error);
    }

    #[test]
    fn only_a_damaged_database_is_an_error() {
        let damaged = Integrity::Damaged(vec!["one".to_owned(), "two".to_owned()]);
        assert_eq!(integrity_check(&damaged)["output"], "one\ntwo");
        for (integrity, status) in [
            (Integrity::Whole, "ok"),
            (Integrity::Unfinished(vec!["messages".to_owned()]), "warn"),
            (Integrity::UnderWay, "warn"),
            (damaged, "error"),
        ] {
            assert_eq!(integrity_check(&integrity)["status"], status, "{integrity:?}");
        }
    }
}
