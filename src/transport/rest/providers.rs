//! `/auth` and `/auth/login/{provider}`: sign-in with an identity provider, by browser redirects.
//!
//! Browsers follow links and redirects to these paths, so the responses are redirects. As in
//! Directus, errors are passed to the target page as `?reason=CODE`. Credentials are ignored, since
//! a returning browser has none yet.

use std::future::ready;

use poem::Response;
use poem::http::HeaderValue;
use poem::http::Method;
use poem::http::StatusCode;
use poem::http::header;
use poem_openapi::registry::MetaOperationParam;
use poem_openapi::registry::MetaSchema;
use serde_json::Value as Json;
use serde_json::json;
use url::Url;
use url::form_urlencoded;

use crate::config::CookieConfig;
use crate::config::SameSite;
use crate::domain::Error;
use crate::domain::auth::Mode;
use crate::domain::auth::providers::Callback;
use crate::domain::auth::providers::CallbackResult;
use crate::domain::auth::providers::Listed;
use crate::domain::auth::providers::TICKET_LIFETIME;
use crate::transport::cookies;
use crate::transport::error;
use crate::transport::error::Refusal;
use crate::transport::rest::auth;
use crate::transport::rest::envelope;
use crate::transport::rest::operation::Access;
use crate::transport::rest::operation::Content;
use crate::transport::rest::operation::Operation;
use crate::transport::rest::operation::OperationDocs;
use crate::transport::rest::operation::Reply;
use crate::transport::rest::operation::RequestContext;
use crate::transport::rest::operation::Success;
use crate::transport::rest::parameters;
use crate::transport::rest::schemas;

/// Parameters of the provider's response.
const RETURNED: [&str; 4] = ["code", "state", "error", "iss"];

/// Returns the operations of providers.
#[must_use]
pub fn operations() -> Vec<Operation> {
    const LOGIN: &str = "/auth/login/{provider}";
    const CALLBACK: &str = "/auth/login/{provider}/callback";
    vec![
        Operation::new(
            Method::GET,
            "/auth",
            Access::Open,
            |call| Box::pin(ready(Ok(list(&call)))),
            list_docs(),
        ),
        Operation::new(
            Method::GET,
            LOGIN,
            Access::Open,
            |call| Box::pin(begin(call)),
            begin_docs(),
        )
        .secret(),
        Operation::new(
            Method::GET,
            CALLBACK,
            Access::Open,
            |call| Box::pin(come_back(call)),
            callback_docs(),
        )
        .secret(),
        Operation::new(
            Method::POST,
            CALLBACK,
            Access::Open,
            |call| Box::pin(come_back_by_form(call)),
            form_docs(),
        )
        .secret(),
    ]
}

fn list(call: &RequestContext) -> Response {
    let providers = call.context.services.auth.providers();
    let listed: Vec<Json> = providers.list().map(|listed| shown(&listed)).collect();
    let body = json!({"data": listed, "disableDefault": providers.disable_default()});
    Response::builder().content_type(envelope::JSON).body(body.to_string())
}

fn shown(listed: &Listed<'_>) -> Json {
    let Listed { name, label, driver, icon } = listed;
    json!({"name": name, "label": label, "driver": driver, "icon": icon})
}

/// Redirects the browser to the provider's sign-in page.
async fn begin(call: RequestContext) -> Reply {
    let cookie = require_provider(&call)?;
    let auth = &call.context.services.auth;
    let name = call.path_part("provider");
    let redirect = auth.providers().redirect(name, call.parameter("redirect").as_deref())?;
    match auth.depart(name, redirect.as_ref()).await {
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
    let arrival = auth.arrive(name, callback, &call.origin()).await?;
    // The cookie of the sign-in is deleted, whether it succeeded or not.
    let emptied = cookies::empty(&cookie);
    let CallbackResult { redirect, mode, outcome } = arrival;
    match (outcome, redirect) {
        (Ok(sign_in), Some(url)) => {
            let line = auth::set_cookie(&call, mode, &sign_in);
            Ok(to(&url, StatusCode::FOUND, [emptied].into_iter().chain(line)))
        }
        (Ok(sign_in), None) => {
            let mut response = auth::signed_in(&call, Mode::Json, &sign_in);
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

fn provider_parameter() -> MetaOperationParam {
    let schema = MetaSchema::new("string");
    parameters::path("provider", schema, "A name from the list of `GET /auth`.", json!("google"))
}

fn sent_on(description: &'static str) -> Success {
    Success { status: 302, cookies: true, ..Success::nothing(description) }
}

fn docs(id: &'static str, summary: &'static str, description: &'static str) -> OperationDocs {
    OperationDocs {
        parameters: vec![provider_parameter()],
        success: sent_on("Redirects the browser."),
        ..OperationDocs::new(auth::TAG, id, summary, description)
    }
}

fn list_docs() -> OperationDocs {
    OperationDocs {
        parameters: vec![],
        success: Success::json(
            "The providers, in the order of the settings.",
            schemas::reference("Providers"),
            json!({
                "data": [{
                    "name": "google", "label": "Google", "driver": "openid", "icon": "google",
                }],
                "disableDefault": false,
            }),
        ),
        ..docs(
            "readProviders",
            "List the sign-in providers",
            "An email address and a password work as well, unless `disableDefault` is true. A page \
             shows a link to `/auth/login/{provider}` for each provider.",
        )
    }
}

fn begin_docs() -> OperationDocs {
    let redirect = parameters::query(
        "redirect",
        "string",
        "The page to redirect to: one of this service, or of `AUTH_<NAME>_REDIRECT_ALLOW_LIST`. \
         The browser arrives with a cookie, or with `?reason=CODE`. Without it the response \
         contains the tokens.",
        json!("https://chat.example.com/"),
    );
    OperationDocs {
        parameters: vec![provider_parameter(), redirect],
        success: sent_on("Redirects the browser to the provider."),
        failures: vec![
            Error::payload("URL \"https://example.com/\" can't be used to redirect after login"),
            Error::ProviderUnavailable("google".to_owned()),
        ],
        ..docs(
            "loginWithProvider",
            "Sign in with a provider",
            "For browsers, as a link. A cookie binds the sign-in to the browser; it is valid once \
             and for ten minutes.",
        )
    }
}

fn callback_docs() -> OperationDocs {
    let text = |name, description, example: &str| {
        parameters::query(name, "string", description, Json::from(example))
    };
    OperationDocs {
        parameters: vec![
            provider_parameter(),
            text("code", "The authorization code.", "SplxlOBeZQQYbYS6WxSbIA"),
            text("state", "The state of the authorization request.", "af0ifjsldkj"),
            text("error", "The error, if there is no code.", "access_denied"),
            text("iss", "The issuer.", "https://accounts.google.com"),
        ],
        success: Success {
            without_redirect: auth::tokens("").content,
            ..sent_on("Redirects the browser, signed in or with `?reason=CODE`.")
        },
        failures: vec![
            Error::InvalidCredentials,
            Error::InvalidOtp,
            Error::InvalidProvider,
            Error::InvalidToken,
            Error::ProviderUnavailable("google".to_owned()),
        ],
        ..docs(
            "finishLoginWithProvider",
            "Complete a sign-in with a provider",
            "The callback of the provider. Without a `redirect` the response is 200 with the \
             tokens, or the error; with one it is always a redirect: `reason` is \
             `INVALID_CREDENTIALS` (access denied, not verified, or no account), `INVALID_TOKEN` \
             (the code is invalid), `INVALID_PROVIDER` (the address belongs to another account), \
             `INVALID_OTP` or `SERVICE_UNAVAILABLE`.",
        )
    }
}

fn form_docs() -> OperationDocs {
    OperationDocs {
        request: Some(Content {
            content_type: "application/x-www-form-urlencoded",
            schema: schemas::reference("ProviderAnswer"),
            example: json!({"code": "SplxlOBeZQQYbYS6WxSbIA", "state": "af0ifjsldkj"}),
        }),
        success: Success {
            status: 303,
            cookies: false,
            ..sent_on("Redirects the browser to the same URL by `GET`.")
        },
        ..docs(
            "finishLoginWithProviderByForm",
            "Complete a sign-in with a provider, by form post",
            "For providers with `response_mode=form_post`.",
        )
    }
}
