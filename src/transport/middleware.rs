//! Around every request: its id, the access log, the size of its body, panics, common headers.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt;
use poem::Endpoint;
use poem::Request;
use poem::Response;
use poem::error::MethodNotAllowedError;
use poem::error::NotFoundError;
use poem::error::ParsePathError;
use poem::error::StaticFileError;
use poem::http::HeaderName;
use poem::http::HeaderValue;
use poem::http::header;
use tracing::Instrument;

use crate::model::id;
use crate::transport::Context;
use crate::transport::error::Refusal;
use crate::transport::rest::body;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Everything around an endpoint. No error and no panic gets past it: whatever happens is answered
/// in Directus's form.
pub struct Around<E> {
    inner: E,
    context: Arc<Context>,
}

impl<E> Around<E> {
    /// Returns the endpoint with everything around it.
    #[must_use]
    pub fn new(inner: E, context: Arc<Context>) -> Self {
        Self { inner, context }
    }
}

impl<E: Endpoint<Output = Response>> Endpoint for Around<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let started = Instant::now();
        let id = id::fresh().to_string();
        let method = request.method().clone();
        // Without its query string: there may be a token in it.
        let path = request.uri().path().to_owned();
        let span = tracing::info_span!("request", request.id = %id);
        let mut response = self.answer(request, &path).instrument(span).await;
        add_headers(&mut response, &id);
        let duration_ms = started.elapsed().as_secs_f64() * 1000.0;
        // Not in the span: as a line of JSON that would have the id three times.
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

impl<E: Endpoint<Output = Response>> Around<E> {
    async fn answer(&self, request: Request, path: &str) -> Response {
        if announced(&request) > self.context.config.server.body_bytes_max as u64 {
            body::discard(request.into_body()).await;
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

/// Returns how long the body is going to be, as far as the request tells.
fn announced(request: &Request) -> u64 {
    request.header(header::CONTENT_LENGTH).and_then(|length| length.parse().ok()).unwrap_or(0)
}

/// Returns the answer to what the routing itself refuses. A path it has no handler for is one that
/// does not exist, and so is one that has none for the method.
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

/// Returns whether there is no such file, whatever the reason: which one is nobody's business.
fn is_no_file(error: &StaticFileError) -> bool {
    matches!(
        error,
        StaticFileError::NotFound
            | StaticFileError::MethodNotAllowed(_)
            | StaticFileError::InvalidPath
            | StaticFileError::Forbidden(_)
    )
}

fn add_headers(response: &mut Response, id: &str) {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache"));
    headers.entry(header::VARY).or_insert(HeaderValue::from_static("Origin, Cache-Control"));
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
}
