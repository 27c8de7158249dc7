//! `/users/me/sessions` and `/users/{id}/sessions`: lists and ends the sessions of an account.

use poem::Response;
use poem::http::Method;
use poem::http::header;
use serde_json::Value as Json;
use serde_json::json;
use uuid::Uuid;

use crate::domain::Error;
use crate::domain::Forbidden;
use crate::domain::auth::Device;
use crate::model::schema::SESSIONS;
use crate::transport::cookies;
use crate::transport::error::Refusal;
use crate::transport::rest::envelope;
use crate::transport::rest::operation::Access;
use crate::transport::rest::operation::Handler;
use crate::transport::rest::operation::Operation;
use crate::transport::rest::operation::OperationDocs;
use crate::transport::rest::operation::Reply;
use crate::transport::rest::operation::RequestContext;
use crate::transport::rest::operation::Success;
use crate::transport::rest::parameters;
use crate::transport::rest::schemas;

/// Returns the operations on sessions.
#[must_use]
pub fn operations() -> Vec<Operation> {
    let own = |method, path: &str, handler: Handler, docs| {
        Operation::new(method, path, Access::SignedIn, handler, docs)
    };
    let any = |method, path: &str, handler: Handler, docs| {
        Operation::new(method, path, Access::Administrators, handler, docs)
    };
    vec![
        own(Method::GET, "/users/me/sessions", |call| Box::pin(list(call)), list_docs()),
        own(Method::DELETE, "/users/me/sessions", |call| Box::pin(end_all(call)), end_all_docs()),
        own(Method::DELETE, "/users/me/sessions/{session}", |call| Box::pin(end(call)), end_docs()),
        any(Method::GET, "/users/{id}/sessions", |call| Box::pin(list(call)), list_of_docs()),
        any(
            Method::DELETE,
            "/users/{id}/sessions",
            |call| Box::pin(end_all(call)),
            end_all_of_docs(),
        ),
        any(
            Method::DELETE,
            "/users/{id}/sessions/{session}",
            |call| Box::pin(end(call)),
            end_of_docs(),
        ),
    ]
}

async fn list(call: RequestContext) -> Reply {
    let devices = call.context.services.auth.devices(whose(&call)?).await?;
    let own = call.actor().session;
    let list: Vec<Json> = devices.iter().map(|device| shown(device, own)).collect();
    Ok(envelope::data(&Json::from(list)))
}

async fn end_all(call: RequestContext) -> Reply {
    let keeps = call.parameter("keep_current").is_some_and(|value| value == "true");
    let except = call.actor().session.filter(|_| keeps);
    let user = whose(&call)?;
    call.context.services.auth.end_devices(call.actor(), user, except).await?;
    Ok(signed_out(&call, !keeps && call.actor().user == Some(user)))
}

async fn end(call: RequestContext) -> Reply {
    let session = call.part("session").ok_or(Error::Forbidden(Forbidden::Item))?;
    call.context.services.auth.end_device(call.actor(), whose(&call)?, session).await?;
    Ok(signed_out(&call, call.actor().session == Some(session)))
}

/// Returns the account whose sessions a call concerns: that in the path, or the caller's own.
fn whose(call: &RequestContext) -> Result<Uuid, Refusal> {
    if call.request().raw_path_param("id").is_none() {
        return Ok(call.require_user()?);
    }
    Ok(call.part("id").ok_or(Error::Forbidden(Forbidden::Item))?)
}

/// Returns the response to ending sessions. Clears the cookies if the caller's own one ended.
fn signed_out(call: &RequestContext, own: bool) -> Response {
    let mut response = envelope::nothing();
    let auth = &call.context.config.auth;
    for cookie in [&auth.refresh_cookie, &auth.session_cookie] {
        if own && cookies::has(call.headers(), &cookie.name) {
            response.headers_mut().append(header::SET_COOKIE, cookies::empty(cookie));
        }
    }
    response
}

fn shown(device: &Device, own: Option<Uuid>) -> Json {
    json!({
        "id": device.id,
        "mode": device.mode.name(),
        "ip": device.ip,
        "user_agent": device.user_agent,
        "date_created": device.date_created.to_string(),
        "date_renewed": device.date_renewed.to_string(),
        "expires": device.expires.to_string(),
        "current": own == Some(device.id),
    })
}

const ID: &str = "a7e169a7-3a52-4ac8-9f02-2d6a5c6a2f3b";

fn docs(id: &'static str, summary: &'static str, description: &'static str) -> OperationDocs {
    OperationDocs {
        success: Success::nothing("Ended, including their tokens and open WebSocket connections."),
        ..OperationDocs::new("Users", id, summary, description)
    }
}

fn success() -> Success {
    Success::json(
        "The sessions, oldest first.",
        schemas::data(schemas::list(schemas::reference("Session"))),
        json!({"data": [{
            "id": ID,
            "mode": "json",
            "ip": "192.0.2.7",
            "user_agent": "Mozilla/5.0",
            "date_created": "2026-01-31T12:00:00.000Z",
            "date_renewed": "2026-01-31T12:14:30.000Z",
            "expires": "2026-02-07T12:14:30.000Z",
            "current": true,
        }]}),
    )
}

fn list_docs() -> OperationDocs {
    let description = "`date_renewed` is the time of the last token refresh; `current` marks the \
                       session of this request.";
    OperationDocs {
        success: success(),
        ..docs("readMySessions", "List your own sessions", description)
    }
}

fn end_all_docs() -> OperationDocs {
    let description = "Includes the session of this request, unless `keep_current=true`.";
    OperationDocs {
        parameters: vec![parameters::query(
            "keep_current",
            "boolean",
            "Keeps the session of this request.",
            json!(true),
        )],
        success: Success::nothing("Signed out everywhere.").with_cookies(),
        ..docs("endMySessions", "Sign out everywhere", description)
    }
}

fn end_docs() -> OperationDocs {
    OperationDocs {
        parameters: vec![session()],
        success: Success::nothing("Signed out of the session.").with_cookies(),
        failures: vec![Error::Forbidden(Forbidden::Item)],
        ..docs("endMySession", "Sign out of one session", "Any of your sessions.")
    }
}

fn list_of_docs() -> OperationDocs {
    OperationDocs {
        parameters: vec![parameters::account()],
        success: success(),
        ..docs("readSessions", "List the sessions of an account", "For administrators.")
    }
}

fn end_all_of_docs() -> OperationDocs {
    OperationDocs {
        parameters: vec![parameters::account()],
        ..docs("endSessions", "End all sessions of an account", "For administrators.")
    }
}

fn end_of_docs() -> OperationDocs {
    OperationDocs {
        parameters: vec![parameters::account(), session()],
        failures: vec![Error::Forbidden(Forbidden::Item)],
        ..docs("endSession", "End one session of an account", "For administrators.")
    }
}

fn session() -> poem_openapi::registry::MetaOperationParam {
    parameters::path(
        "session",
        schemas::key_schema(&SESSIONS),
        "The key of the session.",
        json!(ID),
    )
}
