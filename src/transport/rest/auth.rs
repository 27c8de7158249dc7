//! `/auth`: sign in, refresh and sign out, in the three modes of token transport.

use poem::Response;
use poem::http::HeaderValue;
use poem::http::header;
use poem_openapi::Object;
use serde_json::Value as Json;
use serde_json::json;

use crate::domain::auth;
use crate::domain::auth::SignIn;
use crate::domain::{Error, Forbidden};
use crate::model::SessionMode;
use crate::transport::actor;
use crate::transport::cookies;
use crate::transport::error::Refusal;
use crate::transport::rest::envelope;
use crate::transport::rest::fields::body;
use crate::transport::rest::fields::{Address, Field};
use crate::transport::rest::openapi::docs::Content;
use crate::transport::rest::openapi::docs::choice;
use crate::transport::rest::openapi::docs::formats;
use crate::transport::rest::openapi::docs::operations;
use crate::transport::rest::operation::{Reply, RequestContext};

operations! {
    /// Sign in with an email address and a password
    ///
    /// `mode` selects the transport of the tokens: `json` (both in the response), `cookie`
    /// (the refresh token in a cookie) or `session` (one session token, in a cookie).
    /// `expires` is in milliseconds. A wrong password, an unknown address and an inactive
    /// account get the same response after the same time. With a second factor, `otp` is an
    /// app code or a recovery code; each is valid once. `AUTH_DISABLE_DEFAULT` disables this
    /// kind of sign-in.
    POST "/auth/login" => login, Open, TAG, "login"
        .takes::<Login>(json!({
            "email": "alice@example.com", "password": "correct horse battery", "mode": "json",
        }))
        .returns::<Tokens>("Signed in.", tokens())
        .with_cookies()
        .fails([
            Error::InvalidCredentials,
            Error::Forbidden(Forbidden::Action),
            Error::InvalidOtp,
            Error::InvalidProvider,
        ]);

    /// Exchange a refresh token for new tokens
    ///
    /// `mode` selects the place of the token: the body (`json`), the refresh cookie
    /// (`cookie`) or the session cookie (`session`). Without `mode`, it is the body if it
    /// has a token, otherwise the refresh cookie.
    POST "/auth/refresh" => refresh, Open, TAG, "refresh"
        .takes_content(held::<Refresh>())
        .returns::<Tokens>("New tokens, by the same transport.", tokens())
        .with_cookies()
        .fails([token_missing(), Error::InvalidCredentials, Error::Forbidden(Forbidden::Action)]);

    /// Sign out
    ///
    /// Ends the session of the token, including its access tokens, and clears the cookies of
    /// the request. An unknown token is not an error.
    POST "/auth/logout" => logout, Open, TAG, "logout"
        .takes_content(held::<Logout>())
        .returns_status(204, "Signed out.")
        .with_cookies()
        .fails([token_missing(), Error::InvalidCredentials, Error::Forbidden(Forbidden::Action)]);
}

formats! {
    /// The name of a [`SessionMode`].
    ModeName(String) = choice(&["json", "cookie", "session"]);
}

body! {
    struct Login {
        /// The email address; case-insensitive.
        email: Address,
        /// The password of the account.
        password: String,
        /// Token transport; `json` by default.
        mode: Option<ModeName>,
        /// A one-time password, if the account has a second factor.
        otp: Option<String>,
    }
}

#[derive(Object)]
struct Refresh {
    /// In `json` mode.
    refresh_token: Option<String>,
    /// Token transport; `json` by default.
    mode: Option<ModeName>,
}

#[derive(Object)]
struct Logout {
    /// In `json` mode.
    refresh_token: Option<String>,
    /// Token transport; `json` by default.
    mode: Option<ModeName>,
}

#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct Tokens {
    /// The lifetime of the access token, in milliseconds.
    expires: i64,
    /// For `/auth/refresh`; in `json` mode only.
    refresh_token: Option<String>,
    /// For `Authorization: Bearer …`; not in `session` mode.
    access_token: Option<String>,
}

impl Field for Option<ModeName> {
    fn read(value: Option<&Json>, name: &str) -> Result<Self, Error> {
        let Some(value) = value else { return Ok(None) };
        let mode =
            value.as_str().and_then(SessionMode::find).map(|mode| ModeName(mode.name().to_owned()));
        let message = || format!("\"{name}\" must be one of [cookie, json, session]");
        mode.map(Some).ok_or_else(|| Error::payload(message()))
    }
}

async fn login(mut call: RequestContext) -> Reply {
    let body: Login = call.object().await?;
    let mode = body.mode.and_then(|mode| SessionMode::find(&mode.0)).unwrap_or(SessionMode::Json);
    if mode != SessionMode::Json {
        // Otherwise a page of another site could sign a visitor in to a foreign account and read
        // the messages they write there.
        actor::require_trusted_page(&call.context, call.request())?;
    }
    let login =
        auth::Login { email: &body.email.0, password: &body.password, otp: body.otp.as_deref() };
    let origin = call.origin();
    let sign_in = call.context.services.auth.login(login, mode, &origin).await?;
    Ok(signed_in(&call, mode, &sign_in))
}

async fn refresh(mut call: RequestContext) -> Reply {
    let (token, mode) = token(&mut call).await?;
    let client = call.origin();
    let sign_in = call.context.services.auth.refresh(&token, mode, &client).await?;
    Ok(signed_in(&call, mode, &sign_in))
}

async fn logout(mut call: RequestContext) -> Reply {
    let (token, mode) = token(&mut call).await?;
    call.context.services.auth.logout(&token, mode).await?;
    let mut response = envelope::nothing();
    let auth = &call.context.config.auth;
    if actor::require_trusted_page(&call.context, call.request()).is_err() {
        // A page of another site must not clear cookies that it cannot use.
        return Ok(response);
    }
    for cookie in [&auth.refresh_cookie, &auth.session_cookie] {
        if cookies::has(call.headers(), &cookie.name) {
            response.headers_mut().append(header::SET_COOKIE, cookies::empty(cookie));
        }
    }
    Ok(response)
}

/// Returns the refresh or session token of a request, from the location its mode specifies.
async fn token(call: &mut RequestContext) -> Result<(String, SessionMode), Refusal> {
    let body = call.body().await?;
    let field = |name: &str| body.as_ref().and_then(|body| body.get(name));
    let in_body = field("refresh_token").and_then(Json::as_str).filter(|token| !token.is_empty());
    let mode = match field("mode").filter(|mode| !mode.is_null()) {
        Some(mode) => mode.as_str().and_then(SessionMode::find),
        None if in_body.is_some() => Some(SessionMode::Json),
        None => Some(SessionMode::Cookie),
    };
    let auth = &call.context.config.auth;
    let cookie = |name: &str| cookies::find(call.headers(), name);
    let token = match mode {
        Some(SessionMode::Json) => in_body,
        Some(SessionMode::Cookie) => cookie(&auth.refresh_cookie.name),
        Some(SessionMode::Session) => cookie(&auth.session_cookie.name),
        None => None,
    };
    let (Some(token), Some(mode)) = (token, mode) else {
        return Err(token_missing().into());
    };
    if mode != SessionMode::Json {
        actor::require_trusted_page(&call.context, call.request())?;
    }
    Ok((token.to_owned(), mode))
}

/// Returns the response to a sign-in or refresh, with each token where its mode requires it.
pub(super) fn signed_in(call: &RequestContext, mode: SessionMode, sign_in: &SignIn) -> Response {
    let has_access = mode != SessionMode::Session;
    let mut response = envelope::value(&Tokens {
        expires: i64::try_from(sign_in.expires_in.as_millis()).unwrap_or(i64::MAX),
        refresh_token: sign_in.refresh_token.clone().filter(|_| mode == SessionMode::Json),
        access_token: has_access.then(|| sign_in.access_token.clone()),
    });
    if let Some(line) = set_cookie(call, mode, sign_in) {
        response.headers_mut().append(header::SET_COOKIE, line);
    }
    response
}

/// Returns the `Set-Cookie` header of a sign-in, if its mode uses cookies.
pub(super) fn set_cookie(
    call: &RequestContext,
    mode: SessionMode,
    sign_in: &SignIn,
) -> Option<HeaderValue> {
    let auth = &call.context.config.auth;
    let now = call.context.services.clock.now();
    match mode {
        SessionMode::Json => None,
        SessionMode::Cookie => {
            let token = sign_in.refresh_token.as_deref().unwrap_or_default();
            Some(cookies::set(&auth.refresh_cookie, token, auth.refresh_token_ttl, now))
        }
        SessionMode::Session => {
            let token = &sign_in.access_token;
            Some(cookies::set(&auth.session_cookie, token, sign_in.expires_in, now))
        }
    }
}

pub(super) const TAG: &str = "Authentication";

fn token_missing() -> Error {
    Error::payload("The refresh token is required in either the payload or cookie")
}

/// Returns the documentation of an optional body with a refresh token.
fn held<T: poem_openapi::types::Type>() -> Content {
    let example = json!({"refresh_token": "5Gcy6MeCZ1bqE2uLw0hEq7tPzR4nXkVd", "mode": "json"});
    Content { is_required: false, ..Content::of::<T>(example) }
}

pub(super) fn tokens() -> Json {
    json!({
        "expires": 900_000,
        "refresh_token": "5Gcy6MeCZ1bqE2uLw0hEq7tPzR4nXkVd8sAjYiOoMfTgHlBvKcFjYsNTIV3xQ9aW",
        "access_token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpZCI6ImE3ZTE2OWE3In0.c2lnbmF0dXJl",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::rest::fields::Body;

    #[test]
    fn a_malformed_sign_in_reports_the_first_error() {
        let table = [
            (json!({"password": "x"}), "\"email\" is required"),
            (json!({"email": 7, "password": "x"}), "\"email\" must be a string"),
            (json!({"email": "", "password": "x"}), "\"email\" is not allowed to be empty"),
            (json!({"email": "alice", "password": "x"}), "\"email\" must be a valid email"),
            (json!({"email": "a@b.c"}), "\"password\" is required"),
            (json!({"email": "a@b.c", "password": 5}), "\"password\" must be a string"),
            (json!({"email": "a@b.c", "password": ""}), "\"password\" is not allowed to be empty"),
            (
                json!({"email": "a@b.c", "password": "x", "mode": "pigeon"}),
                "\"mode\" must be one of [cookie, json, session]",
            ),
            (json!({"email": "a@b.c", "password": "x", "otp": 1}), "\"otp\" must be a string"),
            (json!({"mode": "pigeon"}), "\"email\" is required"),
            (json!({}), "\"email\" is required"),
        ];
        for (body, expected) in table {
            match Login::read(body.as_object().unwrap()) {
                Err(Error::InvalidPayload(reason)) => assert_eq!(reason, expected, "{body}"),
                Err(other) => panic!("{body}: {other:?}"),
                Ok(_) => panic!("{body}"),
            }
        }
    }

    #[test]
    fn mode_and_otp_are_optional() {
        let body = json!({"email": "A@chat.local", "password": "x", "otp": "1"});

        let login = Login::read(body.as_object().unwrap()).unwrap();
        assert_eq!((login.email.0.as_str(), login.password.as_str()), ("A@chat.local", "x"));
        assert_eq!(login.otp.as_deref(), Some("1"));
        assert!(login.mode.is_none());
    }
}
