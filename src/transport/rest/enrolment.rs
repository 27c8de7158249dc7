//! `/users/register`, `/users/invite` and `/auth/password`: registration, invitation and password
//! reset by email.
//!
//! Only invitations authenticate the caller. The other operations are for clients without a sign-in
//! and ignore credentials: an expired token must not prevent a client from getting a new one.

use poem::Response;
use poem::http::header;
use poem::http::{HeaderValue, StatusCode};
use poem_openapi::registry::MetaSchema;
use serde_json::Value as Json;
use serde_json::json;
use uuid::Uuid;

use crate::domain::enrolment;
use crate::domain::{Error, Forbidden, Violation};
use crate::model::Action;
use crate::model::schema::USERS;
use crate::transport::rest::auth;
use crate::transport::rest::envelope;
use crate::transport::rest::fields::body;
use crate::transport::rest::fields::looks_like_an_address;
use crate::transport::rest::fields::not_an_address;
use crate::transport::rest::fields::{Address, Field};
use crate::transport::rest::openapi::docs::formats;
use crate::transport::rest::openapi::docs::one_of;
use crate::transport::rest::openapi::docs::operations;
use crate::transport::rest::openapi::parameters::parameter;
use crate::transport::rest::operation::{Need, Reply, RequestContext};
use crate::transport::rest::resource::too_long;

operations! {
    /// Request a password reset
    ///
    /// The response and its time do not depend on whether an account has this address. An
    /// account gets at most five of these emails an hour. `reset_url` is the page of the
    /// front end that the link leads to, one of `PASSWORD_RESET_URL_ALLOW_LIST`.
    POST "/auth/password/request" => request, Open, auth::TAG, "requestPasswordReset"
        .takes::<ResetRequest>(json!({"email": "alice@example.com"}))
        .returns_status(204, "If the account exists, an email is on its way.")
        .fails([no_mail()])
        .secret();

    /// Reset a password
    ///
    /// Ends all sessions of the account; a second factor stays. The link is valid once, for
    /// a day, and until the password changes.
    POST "/auth/password/reset" => reset, Open, auth::TAG, "resetPassword"
        .takes::<TokenAndPassword>(json!({"token": TOKEN, "password": "correct horse battery"}))
        .returns_status(204, "The password is changed.")
        .fails(of_links())
        .fails(of_new_passwords())
        .secret();

    /// Sign up
    ///
    /// Disabled unless `public_registration` of `/settings` is true. With
    /// `public_registration_verify_email` the account is `unverified` until the user follows
    /// the link in an email. An address in use gets the same response after the same time.
    POST "/users/register" => register, Open, TAG, "register"
        .takes::<Registration>(json!({
            "email": "alice@example.com",
            "password": "correct horse battery",
            "first_name": "Alice",
        }))
        .returns_status(204, "Signed up, unless the account already exists.")
        .fails([
            weak_password(),
            too_long(USERS.name),
            Error::Forbidden(Forbidden::Action),
            no_mail(),
        ])
        .secret();

    /// Confirm the email address of a registration
    ///
    /// The target of the link in the email, unless `verification_url` named a page of the
    /// front end; that page then sends the token here.
    GET "/users/register/verify-email" => verify, Open, TAG, "verifyRegistration"
        .with([parameter!(
            /// The token from the link.
            query "token": {"type": "string"} = TOKEN
        )])
        .returns_status(
            302,
            "The address is confirmed; redirects to the page at `PUBLIC_URL`. An invalid link also \
             redirects a browser (`Accept` has `text/html`) there, and the built-in page shows the \
             reason.",
        )
        .fails([Error::payload("\"token\" is required")])
        .fails(of_links())
        .secret();

    /// Invite people by email
    ///
    /// Needs the permission to create accounts. Each address gets an account with the status
    /// `invited` and a link to choose a password. An address that was already invited gets
    /// another link; an address whose account is in use gets no email. `invite_url` is the
    /// page of the front end that the link leads to, one of `USER_INVITE_URL_ALLOW_LIST`.
    POST "/users/invite" => invite, SignedIn, TAG, "inviteUsers"
        .needing(Need::Right(Action::Create, Some(&USERS)))
        .takes::<Invitation>(json!({"email": ["bob@example.com"], "role": ROLE}))
        .returns_status(204, "The emails are on their way.")
        .fails([too_long(USERS.name), Error::collection(USERS.name), no_mail()])
        .secret();

    /// Accept an invitation
    ///
    /// Sets the password of the invited account and its status to `active`.
    POST "/users/invite/accept" => accept, Open, TAG, "acceptInvite"
        .takes::<TokenAndPassword>(json!({"token": TOKEN, "password": "correct horse battery"}))
        .returns_status(204, "The account can be used.")
        .fails(of_links())
        .fails(of_new_passwords())
        .secret();
}

formats! {
    /// One or more email addresses.
    Addresses(Vec<String>) = one_of::<String, Vec<String>>();
    /// The key of a role.
    RoleKey(Uuid) = MetaSchema::new("string");
}

body! {
    struct ResetRequest {
        /// The email address; case-insensitive.
        email: String,
        /// A page of the front end that the settings allow.
        reset_url: Option<String>,
    }

    struct TokenAndPassword {
        /// The token from the link in the email.
        token: String,
        /// The new password, used unchanged.
        password: String,
    }

    struct Registration {
        /// The email address; case-insensitive.
        email: Address,
        /// The new password, used unchanged.
        password: String,
        /// At most 255 characters.
        first_name: Option<String>,
        /// At most 255 characters.
        last_name: Option<String>,
        /// A page of the front end that the settings allow.
        verification_url: Option<String>,
    }

    struct Invitation {
        email: Addresses,
        /// The key of the role of the new accounts.
        role: RoleKey,
        /// A page of the front end that the settings allow.
        invite_url: Option<String>,
    }
}

impl Field for Addresses {
    fn read(value: Option<&Json>, name: &str) -> Result<Self, Error> {
        let Some(Json::Array(emails)) = value else {
            return Ok(Self(vec![Address::read(value, name)?.0]));
        };
        if emails.is_empty() {
            return Err(Error::payload(format!("\"{name}\" must not be empty")));
        }
        let email = |email: &Json| {
            let email = email.as_str().filter(|email| looks_like_an_address(email));
            email.map(str::to_owned).ok_or_else(not_an_address)
        };
        Ok(Self(emails.iter().map(email).collect::<Result<_, _>>()?))
    }
}

impl Field for RoleKey {
    fn read(value: Option<&Json>, name: &str) -> Result<Self, Error> {
        let key = Uuid::try_parse(&String::read(value, name)?);
        Ok(Self(key.map_err(|_| Error::payload(format!("\"{name}\" must be a valid GUID")))?))
    }
}

async fn request(mut call: RequestContext) -> Reply {
    let ResetRequest { email, reset_url } = call.object().await?;
    let enrolment = &call.context.services.enrolment;
    enrolment.request_reset(&email, reset_url.as_deref(), call.origin().ip).await?;
    Ok(envelope::nothing())
}

async fn reset(mut call: RequestContext) -> Reply {
    let TokenAndPassword { token, password } = call.object().await?;
    call.context.services.enrolment.reset(&token, &password, call.origin().ip).await?;
    Ok(envelope::nothing())
}

async fn register(mut call: RequestContext) -> Reply {
    let body: Registration = call.only().await?;
    let registration = enrolment::Registration {
        email: &body.email.0,
        password: &body.password,
        first_name: body.first_name.as_deref(),
        last_name: body.last_name.as_deref(),
        verification_url: body.verification_url.as_deref(),
    };
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
    let body: Invitation = call.only().await?;
    let invitation = enrolment::Invitation {
        emails: body.email.0.iter().map(String::as_str).collect(),
        role: body.role.0,
        url: body.invite_url.as_deref(),
    };
    call.context.services.enrolment.invite(call.actor(), &invitation).await?;
    Ok(envelope::nothing())
}

async fn accept(mut call: RequestContext) -> Reply {
    let TokenAndPassword { token, password } = call.only().await?;
    call.context.services.enrolment.accept(&token, &password, call.origin().ip).await?;
    Ok(envelope::nothing())
}

const TAG: &str = "Users";
const TOKEN: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJzY29wZSI6Imludml0ZSJ9.c2lnbmF0dXJl";
const ROLE: &str = "a7e169a7-3a52-4ac8-9f02-2d6a5c6a2f3b";

fn of_links() -> [Error; 3] {
    [Error::Forbidden(Forbidden::Action), Error::InvalidToken, Error::TokenExpired]
}

fn of_new_passwords() -> [Error; 2] {
    let policy = "\"auth_password_policy\" of /settings must be a regular expression";
    [weak_password(), Error::Unprocessable(policy.to_owned())]
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
