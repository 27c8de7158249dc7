//! `/auth`: sign in, refresh and sign out, in the three modes of token transport.

use poem::Response;
use poem::http::HeaderValue;
use poem::http::Method;
use poem::http::header;
use serde_json::Map;
use serde_json::Value as Json;
use serde_json::json;

use crate::domain::Error;
use crate::domain::Forbidden;
use crate::domain::auth::Login;
use crate::domain::auth::Mode;
use crate::domain::auth::SignIn;
use crate::transport::actor;
use crate::transport::cookies;
use crate::transport::error::Refusal;
use crate::transport::rest::envelope;
use crate::transport::rest::fields;
use crate::transport::rest::operation::Access;
use crate::transport::rest::operation::Content;
use crate::transport::rest::operation::Handler;
use crate::transport::rest::operation::Operation;
use crate::transport::rest::operation::OperationDocs;
use crate::transport::rest::operation::Reply;
use crate::transport::rest::operation::RequestContext;
use crate::transport::rest::operation::Success;
use crate::transport::rest::schemas;

/// Returns the operations under `/auth`.
#[must_use]
pub fn operations() -> Vec<Operation> {
    let post = |path: &str, handler: Handler, docs| {
        Operation::new(Method::POST, path, Access::Open, handler, docs)
    };
    vec![
        post("/auth/login", |call| Box::pin(login(call)), login_docs()),
        post("/auth/refresh", |call| Box::pin(refresh(call)), refresh_docs()),
        post("/auth/logout", |call| Box::pin(logout(call)), logout_docs()),
    ]
}

async fn login(mut call: RequestContext) -> Reply {
    let body = fields::object(call.body().await?)?;
    let (login, mode) = credentials(&body)?;
    if mode != Mode::Json {
        // Otherwise a page of another site could sign a visitor in to a foreign account and read
        // the messages they write there.
        actor::require_trusted_page(&call.context, call.request())?;
    }
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

/// Returns the credentials of a sign-in and its mode. Address, password, mode and code are checked
/// in this order.
fn credentials(body: &Map<String, Json>) -> Result<(Login<'_>, Mode), Error> {
    let email = fields::require_address(body)?;
    let password = fields::require_text(body, "password")?;
    let mode = match body.get("mode") {
        None => Mode::Json,
        Some(mode) => mode
            .as_str()
            .and_then(Mode::find)
            .ok_or_else(|| Error::payload("\"mode\" must be one of [cookie, json, session]"))?,
    };
    let otp = fields::optional_text(body, "otp")?;
    Ok((Login { email, password, otp }, mode))
}

/// Returns the refresh or session token of a request, from the location its mode specifies.
async fn token(call: &mut RequestContext) -> Result<(String, Mode), Refusal> {
    let body = call.body().await?;
    let field = |name: &str| body.as_ref().and_then(|body| body.get(name));
    let in_body = field("refresh_token").and_then(Json::as_str).filter(|token| !token.is_empty());
    let mode = match field("mode").filter(|mode| !mode.is_null()) {
        Some(mode) => mode.as_str().and_then(Mode::find),
        None if in_body.is_some() => Some(Mode::Json),
        None => Some(Mode::Cookie),
    };
    let auth = &call.context.config.auth;
    let cookie = |name: &str| cookies::find(call.headers(), name);
    let token = match mode {
        Some(Mode::Json) => in_body,
        Some(Mode::Cookie) => cookie(&auth.refresh_cookie.name),
        Some(Mode::Session) => cookie(&auth.session_cookie.name),
        None => None,
    };
    let (Some(token), Some(mode)) = (token, mode) else {
        let reason = "The refresh token is required in either the payload or cookie";
        return Err(Error::payload(reason).into());
    };
    if mode != Mode::Json {
        actor::require_trusted_page(&call.context, call.request())?;
    }
    Ok((token.to_owned(), mode))
}

/// Returns the response to a sign-in or refresh, with each token where its mode requires it.
pub(super) fn signed_in(call: &RequestContext, mode: Mode, sign_in: &SignIn) -> Response {
    let data = match mode {
        Mode::Json => json!({
            "expires": millis(sign_in),
            "refresh_token": sign_in.refresh_token.as_deref(),
            "access_token": sign_in.access_token,
        }),
        Mode::Cookie => {
            json!({"expires": millis(sign_in), "access_token": sign_in.access_token})
        }
        Mode::Session => json!({"expires": millis(sign_in)}),
    };
    let mut response = envelope::data(&data);
    if let Some(line) = set_cookie(call, mode, sign_in) {
        response.headers_mut().append(header::SET_COOKIE, line);
    }
    response
}

/// Returns the `Set-Cookie` header of a sign-in, if its mode uses cookies.
pub(super) fn set_cookie(
    call: &RequestContext,
    mode: Mode,
    sign_in: &SignIn,
) -> Option<HeaderValue> {
    let auth = &call.context.config.auth;
    let now = call.context.services.clock.now();
    match mode {
        Mode::Json => None,
        Mode::Cookie => {
            let token = sign_in.refresh_token.as_deref().unwrap_or_default();
            Some(cookies::set(&auth.refresh_cookie, token, auth.refresh_token_ttl, now))
        }
        Mode::Session => {
            let token = &sign_in.access_token;
            Some(cookies::set(&auth.session_cookie, token, sign_in.expires_in, now))
        }
    }
}

fn millis(sign_in: &SignIn) -> u64 {
    u64::try_from(sign_in.expires_in.as_millis()).unwrap_or(u64::MAX)
}

pub(super) const TAG: &str = "Authentication";

pub(super) fn tokens(description: &'static str) -> Success {
    let example = json!({"data": {
        "expires": 900_000,
        "refresh_token": "5Gcy6MeCZ1bqE2uLw0hEq7tPzR4nXkVd8sAjYiOoMfTgHlBvKcFjYsNTIV3xQ9aW",
        "access_token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpZCI6ImE3ZTE2OWE3In0.c2lnbmF0dXJl",
    }});
    Success::json(description, schemas::data(schemas::reference("Tokens")), example).with_cookies()
}

fn login_docs() -> OperationDocs {
    let example =
        json!({"email": "alice@example.com", "password": "correct horse battery", "mode": "json"});
    OperationDocs {
        request: Some(Content::json(schemas::reference("Login"), example)),
        success: tokens("Signed in."),
        failures: vec![
            Error::payload("\"email\" is required"),
            Error::InvalidCredentials,
            Error::Forbidden(Forbidden::Action),
            Error::InvalidOtp,
            Error::InvalidProvider,
        ],
        ..OperationDocs::new(
            TAG,
            "login",
            "Sign in with an email address and a password",
            "`mode` selects the transport of the tokens: `json` (both in the response), `cookie` \
             (the refresh token in a cookie) or `session` (one session token, in a cookie). \
             `expires` is in milliseconds. A wrong password, an unknown address and an inactive \
             account get the same response after the same time. With a second factor, `otp` is an \
             app code or a recovery code; each is valid once. `AUTH_DISABLE_DEFAULT` disables this \
             kind of sign-in.",
        )
    }
}

fn refresh_docs() -> OperationDocs {
    OperationDocs {
        success: tokens("New tokens, by the same transport."),
        ..refresh_token_docs(
            "Refresh",
            "refresh",
            "Exchange a refresh token for new tokens",
            "`mode` selects the place of the token: the body (`json`), the refresh cookie \
             (`cookie`) or the session cookie (`session`). Without `mode`, it is the body if it \
             has a token, otherwise the refresh cookie.",
        )
    }
}

fn logout_docs() -> OperationDocs {
    OperationDocs {
        success: Success::nothing("Signed out.").with_cookies(),
        ..refresh_token_docs(
            "Logout",
            "logout",
            "Sign out",
            "Ends the session of the token, including its access tokens, and clears the cookies of \
             the request. An unknown token is not an error.",
        )
    }
}

/// Returns the documentation of an operation that takes a refresh token.
fn refresh_token_docs(
    schema: &str,
    id: &'static str,
    summary: &'static str,
    description: &'static str,
) -> OperationDocs {
    let example = json!({"refresh_token": "5Gcy6MeCZ1bqE2uLw0hEq7tPzR4nXkVd", "mode": "json"});
    OperationDocs {
        request: Some(Content::json(schemas::reference(schema), example)),
        failures: vec![
            Error::payload("The refresh token is required in either the payload or cookie"),
            Error::InvalidCredentials,
            Error::Forbidden(Forbidden::Action),
        ],
        ..OperationDocs::new(TAG, id, summary, description)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            match credentials(body.as_object().unwrap()) {
                Err(Error::InvalidPayload(reason)) => assert_eq!(reason, expected, "{body}"),
                Err(other) => panic!("{body}: {other:?}"),
                Ok(_) => panic!("{body}"),
            }
        }
    }

    #[test]
    fn a_sign_in_defaults_to_json_mode() {
        let body = json!({"email": "A@chat.local", "password": "x", "otp": "1"});

        let (login, mode) = credentials(body.as_object().unwrap()).unwrap();
        assert_eq!((login.email, login.password, login.otp), ("A@chat.local", "x", Some("1")));
        assert_eq!(mode, Mode::Json);
    }
}
