//! The outermost middleware: request id, access log, size limits, panics, common headers, and CORS.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt;
use poem::error::{MethodNotAllowedError, NotFoundError, ParsePathError, StaticFileError};
use poem::http::header;
use poem::http::{HeaderMap, HeaderName, HeaderValue};
use poem::{Endpoint, Request, Response};
use tracing::Instrument;

use crate::config::HstsConfig;
use crate::model::id;
use crate::transport::Context;
use crate::transport::cors::Cors;
use crate::transport::error::Refusal;
use crate::transport::host;
use crate::transport::rest::query_string;

/// Content security policy of responses that are not pages: they load nothing and cannot be framed.
const NO_PAGE: &str = "default-src 'none'; frame-ancestors 'none'";

/// The request headers that responses depend on. Directus lists `Cache-Control` as well.
const VARY: &str = "Origin, Cache-Control, Authorization, Cookie";

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The outermost middleware. Turns every error and panic into a response in the format of Directus.
pub struct OuterMiddleware<E> {
    inner: E,
    context: Arc<Context>,
    cors: Option<Cors>,
    hsts: Option<HeaderValue>,
}

impl<E> OuterMiddleware<E> {
    /// Wraps an endpoint.
    #[must_use]
    pub fn new(inner: E, context: Arc<Context>) -> Self {
        let config = &context.config.browser;
        let cors = Cors::of(&config.cors);
        let hsts = config.hsts.map(strict_transport);
        Self { inner, context, cors, hsts }
    }
}

impl<E: Endpoint<Output = Response>> Endpoint for OuterMiddleware<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let started = Instant::now();
        let id = id::fresh().to_string();
        let method = request.method().clone();
        // Without the query string, which may contain a token.
        let path = request.uri().path().to_owned();
        let span = tracing::info_span!("request", request.id = %id);
        let has_credentials = has_credentials(&request);
        let grant = self.cors.as_ref().and_then(|cors| cors.grant(&request));
        let mut response = match grant.as_ref().and_then(|grant| grant.preflight(&request)) {
            // Before authentication: browsers send no credentials with a preflight.
            Some(response) => response,
            None => self.answer(request, &path).instrument(span).await,
        };
        add_headers(&mut response, &id);
        restrict_caches(response.headers_mut(), has_credentials);
        if let Some(grant) = grant {
            grant.mark(response.headers_mut());
        }
        if let Some(hsts) = &self.hsts {
            response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, hsts.clone());
        }
        let duration_ms = started.elapsed().as_secs_f64() * 1000.0;
        // Outside the span, which would repeat the id: a JSON line would contain it three times.
        tracing::info!(
            parent: None,
            request.id = %id,
            http.method = %method,
            http.path = %path,
            http.status = response.status().as_u16(),
            duration_ms = (duration_ms * 10.0).round() / 10.0,
            "request answered"
        );
        Ok(response)
    }
}

impl<E: Endpoint<Output = Response>> OuterMiddleware<E> {
    async fn answer(&self, request: Request, path: &str) -> Response {
        let config = &self.context.config.server;
        if !host::is_valid(&request) {
            return Refusal::InvalidHost.respond();
        }
        if address_bytes(&request) > config.url_bytes_max {
            return Refusal::UriTooLong.respond();
        }
        if headers_bytes(&request) > config.headers_bytes_max {
            return Refusal::HeadersTooLarge.respond();
        }
        if announced(&request) > config.body_bytes_max as u64 {
            return Refusal::ContentTooLarge.respond();
        }
        match AssertUnwindSafe(self.inner.call(request)).catch_unwind().await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => translate(error, path),
            Err(_) => {
                tracing::error!(http.path = %path, "a handler panicked");
                Refusal::Internal.respond()
            }
        }
    }
}

/// Returns the length of the URL of a request, query included.
fn address_bytes(request: &Request) -> usize {
    request.original_uri().path_and_query().map_or(0, |address| address.as_str().len())
}

/// Returns the total length of all header names and values.
fn headers_bytes(request: &Request) -> usize {
    request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}

/// Returns the announced length of the body, 0 if unknown.
fn announced(request: &Request) -> u64 {
    request.header(header::CONTENT_LENGTH).and_then(|length| length.parse().ok()).unwrap_or(0)
}

/// Returns the response to an error of the router. A path without a handler counts as unknown, as
/// does one without a handler for the method.
fn translate(error: poem::Error, path: &str) -> Response {
    if error.is::<NotFoundError>()
        || error.is::<MethodNotAllowedError>()
        || error.is::<ParsePathError>()
        || error.downcast_ref::<StaticFileError>().is_some_and(is_no_file)
    {
        return Refusal::RouteNotFound(path.to_owned()).respond();
    }
    if error.status().is_server_error() {
        tracing::error!(error.chain = %error, http.path = %path, "an endpoint failed");
        return Refusal::Internal.respond();
    }
    error.into_response()
}

/// Returns whether a static file is unavailable. The exact reason is not disclosed.
fn is_no_file(error: &StaticFileError) -> bool {
    matches!(
        error,
        StaticFileError::NotFound
            | StaticFileError::MethodNotAllowed(_)
            | StaticFileError::InvalidPath
            | StaticFileError::Forbidden(_)
    )
}

/// Returns the header that restricts browsers to TLS.
fn strict_transport(config: HstsConfig) -> HeaderValue {
    let mut value = format!("max-age={}", config.max_age.as_secs());
    if config.subdomains {
        value.push_str("; includeSubDomains");
    }
    if config.preload {
        value.push_str("; preload");
    }
    HeaderValue::from_str(&value).expect("words and digits are a valid header value")
}

fn add_headers(response: &mut Response, id: &str) {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Pages set their own policies. Other responses must not be shown as a page or in a frame.
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(NO_PAGE));
    headers.entry(header::X_FRAME_OPTIONS).or_insert(HeaderValue::from_static("DENY"));
    headers.entry(header::REFERRER_POLICY).or_insert(HeaderValue::from_static("no-referrer"));
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
}

/// Returns whether a request contains a token or a cookie, valid or not.
fn has_credentials(request: &Request) -> bool {
    let headers = request.headers();
    let query = request.uri().query();
    headers.contains_key(header::AUTHORIZATION)
        || headers.contains_key(header::COOKIE)
        || query_string::find(query, "access_token").is_some()
}

/// Adds `Cache-Control` and `Vary` unless the handler has set them. No cache stores a response that
/// sets a cookie, and no shared cache stores a response to a request with credentials.
fn restrict_caches(headers: &mut HeaderMap, has_credentials: bool) {
    if headers.contains_key(header::SET_COOKIE) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    let caching = if has_credentials { "private, no-cache" } else { "no-cache" };
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static(caching));
    headers.entry(header::VARY).or_insert(HeaderValue::from_static(VARY));
}
