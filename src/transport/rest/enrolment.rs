//! `/users/register`, `/users/invite` and `/auth/password`: registration, invitation and password
//! reset by email.
//!
//! Only invitations authenticate the caller. The other operations are for clients without a sign-in
//! and ignore credentials: an expired token must not prevent a client from getting a new one.

use poem::Response;
use poem::http::HeaderValue;
use poem::http::Method;
use poem::http::StatusCode;
use poem::http::header;
use serde_json::Value as Json;
use serde_json::json;
use uuid::Uuid;

use crate::domain::Error;
use crate::domain::Forbidden;
use crate::domain::Violation;
use crate::domain::enrolment::Invitation;
use crate::domain::enrolment::Registration;
use crate::model::Action;
use crate::model::schema::USERS;
use crate::transport::rest::envelope;
use crate::transport::rest::fields;
use crate::transport::rest::fields::looks_like_an_address;
use crate::transport::rest::fields::not_an_address;
use crate::transport::rest::fields::nothing_else;
use crate::transport::rest::fields::optional_text;
use crate::transport::rest::fields::require_address;
use crate::transport::rest::fields::require_text;
use crate::transport::rest::operation::Access;
use crate::transport::rest::operation::Content;
use crate::transport::rest::operation::Handler;
use crate::transport::rest::operation::Need;
use crate::transport::rest::operation::Operation;
use crate::transport::rest::operation::OperationDocs;
use crate::transport::rest::operation::Reply;
use crate::transport::rest::operation::RequestContext;
use crate::transport::rest::operation::Success;
use crate::transport::rest::parameters;
use crate::transport::rest::resource::too_long;
use crate::transport::rest::schemas;

/// Returns the operations of registration, invitation and password reset.
#[must_use]
pub fn operations() -> Vec<Operation> {
    let post = |path: &str, access, handler: Handler, docs| {
        Operation::new(Method::POST, path, access, handler, docs).secret()
    };
    let open = |path: &str, handler: Handler, docs| post(path, Access::Open, handler, docs);
    vec![
        open("/auth/password/request", |call| Box::pin(request(call)), request_docs()),
        open("/auth/password/reset", |call| Box::pin(reset(call)), reset_docs()),
        open("/users/register", |call| Box::pin(register(call)), register_docs()),
        Operation::new(
            Method::GET,
            "/users/register/verify-email",
            Access::Open,
            |call| Box::pin(verify(call)),
            verify_docs(),
        )
        .secret(),
        post("/users/invite", Access::SignedIn, |call| Box::pin(invite(call)), invite_docs())
            .needing(Need::Right(Action::Create, Some(&USERS))),
        open("/users/invite/accept", |call| Box::pin(accept(call)), accept_docs()),
    ]
}

async fn request(mut call: RequestContext) -> Reply {
    let body = fields::object(call.body().await?)?;
    let (email, url) = (require_text(&body, "email")?, optional_text(&body, "reset_url")?);
    call.context.services.enrolment.request_reset(email, url, call.origin().ip).await?;
    Ok(envelope::nothing())
}

async fn reset(mut call: RequestContext) -> Reply {
    let body = fields::object(call.body().await?)?;
    let (token, password) = (require_text(&body, "token")?, require_text(&body, "password")?);
    call.context.services.enrolment.reset(token, password, call.origin().ip).await?;
    Ok(envelope::nothing())
}

async fn register(mut call: RequestContext) -> Reply {
    const KNOWN: [&str; 5] = ["email", "password", "first_name", "last_name", "verification_url"];
    let body = fields::object(call.body().await?)?;
    let email = require_address(&body)?;
    let registration = Registration {
        email,
        password: require_text(&body, "password")?,
        first_name: optional_text(&body, "first_name")?,
        last_name: optional_text(&body, "last_name")?,
        verification_url: optional_text(&body, "verification_url")?,
    };
    nothing_else(&body, &KNOWN)?;
    call.context.services.enrolment.register(&registration, call.origin().ip).await?;
    Ok(envelope::nothing())
}

/// Handles the link in a registration email. A browser opens it, so it redirects to the page: the
/// built-in page shows the result, and another front end is opened at its plain URL.
async fn verify(call: RequestContext) -> Reply {
    let token = call.parameter("token").unwrap_or_default();
    if token.is_empty() {
        return Err(Error::payload("\"token\" is required").into());
    }
    let is_built_in = call.context.config.server.public_dir.is_none();
    let fragment = match call.context.services.enrolment.confirm(&token, call.origin().ip).await {
        Ok(()) if is_built_in => "#confirmed",
        Ok(()) => "",
        Err(Error::TokenExpired) if is_built_in && is_navigation(&call) => "#link-expired",
        Err(Error::InvalidToken | Error::Forbidden(_)) if is_built_in && is_navigation(&call) => {
            "#link-used"
        }
        Err(other) => return Err(other.into()),
    };
    let base = call.context.config.server.public_url.trim_end_matches('/');
    let location = HeaderValue::from_str(&format!("{base}/{fragment}"));
    let location = location.unwrap_or(HeaderValue::from_static("/"));
    let mut response = Response::builder().status(StatusCode::FOUND).finish();
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}

/// Returns whether a browser displays the response: programs do not accept HTML.
fn is_navigation(call: &RequestContext) -> bool {
    let accepted = call.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accepted.is_some_and(|accepted| accepted.contains("text/html"))
}

async fn invite(mut call: RequestContext) -> Reply {
    const KNOWN: [&str; 3] = ["email", "role", "invite_url"];
    let body = fields::object(call.body().await?)?;
    let emails = match body.get("email") {
        Some(Json::Array(emails)) if !emails.is_empty() => emails
            .iter()
            .map(|email| email.as_str().filter(|email| looks_like_an_address(email)))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(not_an_address)?,
        Some(Json::Array(_)) => return Err(Error::payload("\"email\" must not be empty").into()),
        _ => vec![require_address(&body)?],
    };
    let role = require_text(&body, "role")?;
    let role =
        Uuid::try_parse(role).map_err(|_| Error::payload("\"role\" must be a valid GUID"))?;
    let url = optional_text(&body, "invite_url")?;
    nothing_else(&body, &KNOWN)?;
    let invitation = Invitation { emails, role, url };
    call.context.services.enrolment.invite(call.actor(), &invitation).await?;
    Ok(envelope::nothing())
}

async fn accept(mut call: RequestContext) -> Reply {
    let body = fields::object(call.body().await?)?;
    let (token, password) = (require_text(&body, "token")?, require_text(&body, "password")?);
    nothing_else(&body, &["token", "password"])?;
    call.context.services.enrolment.accept(token, password, call.origin().ip).await?;
    Ok(envelope::nothing())
}

const TAG: &str = "Users";
const TOKEN: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJzY29wZSI6Imludml0ZSJ9.c2lnbmF0dXJl";
const ROLE: &str = "a7e169a7-3a52-4ac8-9f02-2d6a5c6a2f3b";

fn docs(id: &'static str, summary: &'static str, description: &'static str) -> OperationDocs {
    OperationDocs::new(TAG, id, summary, description)
}

fn of_links(first: Error) -> Vec<Error> {
    vec![first, Error::Forbidden(Forbidden::Action), Error::InvalidToken, Error::TokenExpired]
}

fn of_links_to_a_password() -> Vec<Error> {
    let mut failures = of_links(Error::payload("\"token\" is required"));
    failures.extend([
        weak_password(),
        Error::Unprocessable(
            "\"auth_password_policy\" of /settings must be a regular expression".to_owned(),
        ),
    ]);
    failures
}

/// Returns the error for a password that violates the password policy.
fn weak_password() -> Error {
    Error::FailedValidation(vec![Violation {
        field: "password".to_owned(),
        kind: "min_length",
        details: vec![("valid", json!(8))],
    }])
}

fn no_mail() -> Error {
    Error::Unprocessable(
        "this service cannot send emails: the operator has to set EMAIL_TRANSPORT".to_owned(),
    )
}

fn request_docs() -> OperationDocs {
    OperationDocs {
        tag: "Authentication",
        request: Some(Content::json(
            schemas::reference("ResetRequest"),
            json!({"email": "alice@example.com"}),
        )),
        success: Success::nothing("If the account exists, an email is on its way."),
        failures: vec![Error::payload("\"email\" is required"), no_mail()],
        ..docs(
            "requestPasswordReset",
            "Request a password reset",
            "The response and its time do not depend on whether an account has this address. An \
             account gets at most five of these emails an hour. `reset_url` is the page of the \
             front end that the link leads to, one of `PASSWORD_RESET_URL_ALLOW_LIST`.",
        )
    }
}

fn reset_docs() -> OperationDocs {
    OperationDocs {
        tag: "Authentication",
        request: Some(Content::json(
            schemas::reference("TokenAndPassword"),
            json!({"token": TOKEN, "password": "correct horse battery"}),
        )),
        success: Success::nothing("The password is changed."),
        failures: of_links_to_a_password(),
        ..docs(
            "resetPassword",
            "Reset a password",
            "Ends all sessions of the account; a second factor stays. The link is valid once, for \
             a day, and until the password changes.",
        )
    }
}

fn register_docs() -> OperationDocs {
    OperationDocs {
        request: Some(Content::json(
            schemas::reference("Registration"),
            json!({
                "email": "alice@example.com",
                "password": "correct horse battery",
                "first_name": "Alice",
            }),
        )),
        success: Success::nothing("Signed up, unless the account already exists."),
        failures: vec![
            Error::payload("\"email\" is required"),
            weak_password(),
            too_long(USERS.name),
            Error::Forbidden(Forbidden::Action),
            no_mail(),
        ],
        ..docs(
            "register",
            "Sign up",
            "Disabled unless `public_registration` of `/settings` is true. With \
             `public_registration_verify_email` the account is `unverified` until the user follows \
             the link in an email. An address in use gets the same response after the same time.",
        )
    }
}

fn verify_docs() -> OperationDocs {
    OperationDocs {
        parameters: vec![parameters::query(
            "token",
            "string",
            "The token from the link.",
            json!(TOKEN),
        )],
        success: Success {
            status: 302,
            ..Success::nothing(
                "The address is confirmed; redirects to the page at `PUBLIC_URL`. An invalid link \
                 also redirects a browser (`Accept` has `text/html`) there, and the built-in page \
                 shows the reason.",
            )
        },
        failures: of_links(Error::payload("\"token\" is required")),
        ..docs(
            "verifyRegistration",
            "Confirm the email address of a registration",
            "The target of the link in the email, unless `verification_url` named a page of the \
             front end; that page then sends the token here.",
        )
    }
}

fn invite_docs() -> OperationDocs {
    OperationDocs {
        request: Some(Content::json(
            schemas::reference("Invitation"),
            json!({"email": ["bob@example.com"], "role": ROLE}),
        )),
        success: Success::nothing("The emails are on their way."),
        failures: vec![
            Error::payload("\"email\" is required"),
            too_long(USERS.name),
            Error::collection(USERS.name),
            no_mail(),
        ],
        ..docs(
            "inviteUsers",
            "Invite people by email",
            "Needs the permission to create accounts. Each address gets an account with the status \
             `invited` and a link to choose a password. An address that was already invited gets \
             another link; an address whose account is in use gets no email. `invite_url` is the \
             page of the front end that the link leads to, one of `USER_INVITE_URL_ALLOW_LIST`.",
        )
    }
}

fn accept_docs() -> OperationDocs {
    OperationDocs {
        request: Some(Content::json(
            schemas::reference("TokenAndPassword"),
            json!({"token": TOKEN, "password": "correct horse battery"}),
        )),
        success: Success::nothing("The account can be used."),
        failures: of_links_to_a_password(),
        ..docs(
            "acceptInvite",
            "Accept an invitation",
            "Sets the password of the invited account and its status to `active`.",
        )
    }
}
