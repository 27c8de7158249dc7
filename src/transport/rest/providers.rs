//! `/auth` and `/auth/login/{provider}`: sign-in with an identity provider, by browser redirects.
//!
//! Browsers follow links and redirects to these paths, so the responses are redirects. As in
//! Directus, errors are passed to the target page as `?reason=CODE`. Credentials are ignored, since
//! a returning browser has none yet.

use poem::Response;
use poem::http::header;
use poem::http::{HeaderValue, StatusCode};
use poem_openapi::Object;
use poem_openapi::types::ToJSON;
use serde_json::Value as Json;
use serde_json::json;
use url::Url;
use url::form_urlencoded;

use crate::config::{CookieConfig, SameSite};
use crate::domain::Error;
use crate::domain::auth::providers::{Callback, CallbackResult, Listed, TICKET_LIFETIME};
use crate::model::SessionMode;
use crate::transport::cookies;
use crate::transport::error;
use crate::transport::error::Refusal;
use crate::transport::rest::auth;
use crate::transport::rest::auth::Tokens;
use crate::transport::rest::envelope;
use crate::transport::rest::openapi::docs::Content;
use crate::transport::rest::openapi::docs::choice;
use crate::transport::rest::openapi::docs::formats;
use crate::transport::rest::openapi::docs::operations;
use crate::transport::rest::openapi::parameters::parameter;
use crate::transport::rest::operation::{Reply, RequestContext};

/// Parameters of the provider's response.
const RETURNED: [&str; 4] = ["code", "state", "error", "iss"];

operations! {
    /// List the sign-in providers
    ///
    /// An email address and a password work as well, unless `disableDefault` is true. A page
    /// shows a link to `/auth/login/{provider}` for each provider.
    GET "/auth" => now list, Open, auth::TAG, "readProviders"
        .returns_content(
            "The providers, in the order of the settings.",
            Content::of::<Providers>(json!({
                "data": [{
                    "name": "google", "label": "Google", "driver": "openid", "icon": "google",
                }],
                "disableDefault": false,
            })),
        );

    /// Sign in with a provider
    ///
    /// For browsers, as a link. A cookie binds the sign-in to the browser; it is valid once
    /// and for ten minutes.
    GET "/auth/login/{provider}" => begin, Open, auth::TAG, "loginWithProvider"
        .with([
            provider(),
            parameter!(
                /// The page to redirect to: one of this service, or of
                /// `AUTH_<NAME>_REDIRECT_ALLOW_LIST`. The browser arrives with a cookie, or with
                /// `?reason=CODE`. Without it the response contains the tokens.
                query "redirect": {"type": "string"} = "https://chat.example.com/"
            ),
        ])
        .returns_status(302, "Redirects the browser to the provider.")
        .with_cookies()
        .fails([
            Error::payload("URL \"https://example.com/\" can't be used to redirect after login"),
            unavailable(),
        ]);

    /// Complete a sign-in with a provider
    ///
    /// The callback of the provider. Without a `redirect` the response is 200 with the
    /// tokens, or the error; with one it is always a redirect: `reason` is
    /// `INVALID_CREDENTIALS` (access denied, not verified, or no account), `INVALID_TOKEN`
    /// (the code is invalid), `INVALID_PROVIDER` (the address belongs to another account),
    /// `INVALID_OTP` or `SERVICE_UNAVAILABLE`.
    GET "/auth/login/{provider}/callback" => come_back, Open, auth::TAG,
        "finishLoginWithProvider"
        .with([
            provider(),
            parameter!(
                /// The authorization code.
                query "code": {"type": "string"} = "SplxlOBeZQQYbYS6WxSbIA"
            ),
            parameter!(
                /// The state of the authorization request.
                query "state": {"type": "string"} = "af0ifjsldkj"
            ),
            parameter!(
                /// The error, if there is no code.
                query "error": {"type": "string"} = "access_denied"
            ),
            parameter!(
                /// The issuer.
                query "iss": {"type": "string"} = "https://accounts.google.com"
            ),
        ])
        .returns::<Tokens>("Signed in without a redirect.", auth::tokens())
        .or(302, "Redirects the browser, signed in or with `?reason=CODE`.", None)
        .with_cookies()
        .fails([
            Error::InvalidCredentials,
            Error::InvalidOtp,
            Error::InvalidProvider,
            Error::InvalidToken,
            unavailable(),
        ]);

    /// Complete a sign-in with a provider, by form post
    ///
    /// For providers with `response_mode=form_post`.
    POST "/auth/login/{provider}/callback" => come_back_by_form, Open, auth::TAG,
        "finishLoginWithProviderByForm"
        .with([provider()])
        .takes_content(Content {
            media_type: "application/x-www-form-urlencoded",
            ..Content::of::<ProviderAnswer>(json!({
                "code": "SplxlOBeZQQYbYS6WxSbIA", "state": "af0ifjsldkj",
            }))
        })
        .returns_status(303, "Redirects the browser to the same URL by `GET`.")
        .secret();
}

formats! {
    /// The protocol of a provider.
    Driver(String) = choice(&["openid", "oauth2"]);
}

#[derive(Object)]
struct Provider {
    /// For `/auth/login/{provider}`.
    name: String,
    /// The label of the sign-in button.
    label: String,
    /// The protocol.
    driver: Driver,
    /// The name of an icon.
    icon: String,
}

#[derive(Object)]
#[oai(rename_all = "camelCase")]
struct Providers {
    data: Vec<Provider>,
    disable_default: bool,
}

#[derive(Object)]
struct ProviderAnswer {
    /// The authorization code.
    code: Option<String>,
    /// The state of the authorization request.
    state: Option<String>,
    /// The error, if there is no code.
    error: Option<String>,
    /// The issuer.
    iss: Option<String>,
}

fn list(call: &RequestContext) -> Response {
    let providers = call.context.services.auth.providers();
    let body = Providers {
        data: providers.list().map(|listed| shown(&listed)).collect(),
        disable_default: providers.disable_default(),
    };
    Response::builder().content_type(envelope::JSON).body(body.to_json_string())
}

fn shown(listed: &Listed<'_>) -> Provider {
    Provider {
        name: listed.name.to_owned(),
        label: listed.label.to_owned(),
        driver: Driver(listed.driver.to_owned()),
        icon: listed.icon.to_owned(),
    }
}

fn unavailable() -> Error {
    Error::ProviderUnavailable("google".to_owned())
}

fn provider() -> Json {
    parameter!(
        /// A name from the list of `GET /auth`.
        path "provider": {"type": "string"} = "google"
    )
}

/// Redirects the browser to the provider's sign-in page.
async fn begin(call: RequestContext) -> Reply {
    let cookie = require_provider(&call)?;
    let auth = &call.context.services.auth;
    let name = call.path_part("provider");
    let redirect = auth.providers().redirect(name, call.parameter("redirect").as_deref())?;
    match auth.begin_provider_sign_in(name, redirect.as_ref()).await {
        Ok(departure) => {
            let now = call.context.services.clock.now();
            let line = cookies::set(&cookie, &departure.ticket, TICKET_LIFETIME, now);
            Ok(to(&departure.url, StatusCode::FOUND, [line]))
        }
        Err(error) => Ok(refuse(redirect, &error, [])),
    }
}

/// Handles the return from the provider: signs the user in and redirects to the target page.
async fn come_back(call: RequestContext) -> Reply {
    let cookie = require_provider(&call)?;
    let name = call.path_part("provider");
    let [code, state, error, issuer] = RETURNED.map(|name| call.parameter(name));
    let callback = Callback {
        ticket: cookies::find(call.headers(), &cookie.name),
        state: state.as_deref(),
        code: code.as_deref(),
        error: error.as_deref(),
        issuer: issuer.as_deref(),
    };
    let auth = &call.context.services.auth;
    let arrival = auth.finish_provider_sign_in(name, callback, &call.origin()).await?;
    // The cookie of the sign-in is deleted, whether it succeeded or not.
    let emptied = cookies::empty(&cookie);
    let CallbackResult { redirect, mode, outcome } = arrival;
    match (outcome, redirect) {
        (Ok(sign_in), Some(url)) => {
            let line = auth::set_cookie(&call, mode, &sign_in);
            Ok(to(&url, StatusCode::FOUND, [emptied].into_iter().chain(line)))
        }
        (Ok(sign_in), None) => {
            let mut response = auth::signed_in(&call, SessionMode::Json, &sign_in);
            response.headers_mut().append(header::SET_COOKIE, emptied);
            Ok(response)
        }
        (Err(error), redirect) => Ok(refuse(redirect, &error, [emptied])),
    }
}

/// A form submitted by the provider's page (`form_post`) arrives without the `SameSite` cookie. So
/// the browser is only redirected to the same URL as a link.
async fn come_back_by_form(mut call: RequestContext) -> Reply {
    let fields = call.form().await?;
    require_provider(&call)?;
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in fields.iter().filter(|(name, _)| RETURNED.contains(&name.as_str())) {
        query.append_pair(name, value);
    }
    let name = call.path_part("provider");
    let home = call.context.config.server.public_url.trim_end_matches('/');
    let url = Url::parse(&format!("{home}/auth/login/{name}/callback?{}", query.finish()));
    let url = url.map_err(|_| Error::InvalidProvider)?;
    Ok(to(&url, StatusCode::SEE_OTHER, []))
}

/// Returns the settings of the cookie that binds a sign-in to the browser.
fn require_provider(call: &RequestContext) -> Result<CookieConfig, Refusal> {
    let providers = call.context.services.auth.providers();
    let Some(name) = providers.cookie(call.path_part("provider")) else {
        return Err(Refusal::RouteNotFound(call.request().uri().path().to_owned()));
    };
    let secure = call.context.config.server.public_url.starts_with("https://");
    Ok(CookieConfig { name, secure, same_site: SameSite::Lax, domain: None })
}

/// Passes the reason of a failed sign-in to the page or, without one, to the client.
fn refuse(
    redirect: Option<Url>,
    refusal: &Error,
    cookies: impl IntoIterator<Item = HeaderValue>,
) -> Response {
    let wires = error::wire(refusal);
    let code = wires.first().map_or("INTERNAL_SERVER_ERROR", |wire| wire.code);
    if let Some(mut url) = redirect {
        url.query_pairs_mut().append_pair("reason", code);
        return to(&url, StatusCode::FOUND, cookies);
    }
    let mut response = error::respond(refusal);
    for cookie in cookies {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// Redirects the browser.
fn to(url: &Url, status: StatusCode, cookies: impl IntoIterator<Item = HeaderValue>) -> Response {
    let location = HeaderValue::from_str(url.as_str());
    let location = location.expect("a URL consists of visible ASCII");
    let mut response = Response::builder().status(status).finish();
    response.headers_mut().insert(header::LOCATION, location);
    for cookie in cookies {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}
