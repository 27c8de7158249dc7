//! `/users/me/sessions` and `/users/{id}/sessions`: lists and ends the sessions of an account.

use poem::Response;
use poem::http::header;
use poem_openapi::Object;
use serde_json::Value as Json;
use serde_json::json;
use uuid::Uuid;

use crate::domain::auth::Device;
use crate::domain::{Error, Forbidden};
use crate::model::schema::SESSIONS;
use crate::transport::cookies;
use crate::transport::error::Refusal;
use crate::transport::rest::auth::ModeName;
use crate::transport::rest::envelope;
use crate::transport::rest::openapi;
use crate::transport::rest::openapi::docs::operations;
use crate::transport::rest::openapi::docs::{Date, Key};
use crate::transport::rest::openapi::parameters;
use crate::transport::rest::openapi::parameters::parameter;
use crate::transport::rest::operation::{Reply, RequestContext};

operations! {
    /// List your own sessions
    ///
    /// `date_renewed` is the time of the last token refresh; `current` marks the session of
    /// this request.
    GET "/users/me/sessions" => list, SignedIn, TAG, "readMySessions"
        .returns::<Vec<Session>>(LISTED, example());

    /// Sign out everywhere
    ///
    /// Includes the session of this request, unless `keep_current=true`.
    DELETE "/users/me/sessions" => end_all, SignedIn, TAG, "endMySessions"
        .with([parameter!(
            /// Keeps the session of this request.
            query "keep_current": {"type": "boolean"} = true
        )])
        .returns_status(204, "Signed out everywhere.")
        .with_cookies();

    /// Sign out of one session
    ///
    /// Any of your sessions.
    DELETE "/users/me/sessions/{session}" => end, SignedIn, TAG, "endMySession"
        .with([session()])
        .returns_status(204, "Signed out of the session.")
        .with_cookies()
        .fails([MISSING]);

    /// List the sessions of an account
    ///
    /// For administrators.
    GET "/users/{id}/sessions" => list, Administrators, TAG, "readSessions"
        .with([parameters::named("account")])
        .returns::<Vec<Session>>(LISTED, example());

    /// End all sessions of an account
    ///
    /// For administrators.
    DELETE "/users/{id}/sessions" => end_all, Administrators, TAG, "endSessions"
        .with([parameters::named("account")])
        .returns_status(204, ENDED);

    /// End one session of an account
    ///
    /// For administrators.
    DELETE "/users/{id}/sessions/{session}" => end, Administrators, TAG, "endSession"
        .with([parameters::named("account"), session()])
        .returns_status(204, ENDED)
        .fails([MISSING]);
}

const LISTED: &str = "The sessions, oldest first.";
const ENDED: &str = "Ended, including their tokens and open WebSocket connections.";
const MISSING: Error = Error::Forbidden(Forbidden::Item);

#[derive(Object)]
struct Session {
    id: Key,
    /// The token transport.
    mode: ModeName,
    /// The IP address at the sign-in.
    #[oai(nullable)]
    ip: Option<String>,
    /// The user agent at the sign-in.
    #[oai(nullable)]
    user_agent: Option<String>,
    /// The time of the sign-in.
    date_created: Date,
    /// The time of the last token refresh.
    date_renewed: Date,
    /// The time of expiry, unless the tokens are refreshed before.
    expires: Date,
    current: bool,
}

async fn list(call: RequestContext) -> Reply {
    let devices = call.context.services.auth.devices(whose(&call)?).await?;
    let own = call.actor().session;
    let list: Vec<Session> = devices.into_iter().map(|device| shown(device, own)).collect();
    Ok(envelope::value(&list))
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

fn shown(device: Device, own: Option<Uuid>) -> Session {
    Session {
        id: Key(device.id),
        mode: ModeName(device.mode.name().to_owned()),
        ip: device.ip,
        user_agent: device.user_agent,
        date_created: Date(device.date_created.to_string()),
        date_renewed: Date(device.date_renewed.to_string()),
        expires: Date(device.expires.to_string()),
        current: own == Some(device.id),
    }
}

const TAG: &str = "Users";
const ID: &str = "a7e169a7-3a52-4ac8-9f02-2d6a5c6a2f3b";

fn example() -> Json {
    json!([{
        "id": ID,
        "mode": "json",
        "ip": "192.0.2.7",
        "user_agent": "Mozilla/5.0",
        "date_created": "2026-01-31T12:00:00.000Z",
        "date_renewed": "2026-01-31T12:14:30.000Z",
        "expires": "2026-02-07T12:14:30.000Z",
        "current": true,
    }])
}

fn session() -> Json {
    parameter!(
        /// The key of the session.
        path "session": (openapi::key(&SESSIONS)) = ID
    )
}
