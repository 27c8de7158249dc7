//! HTTP requests to providers, with TLS by rustls and limits on time, size and number.
//!
//! Redirects are not followed and proxies are not used: connections are made only to hosts named by
//! the settings or by the discovery document of a provider.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ::oauth2::HttpRequest;
use ::oauth2::HttpResponse;
use ::oauth2::http;
use rustls::{ClientConfig, RootCertStore};
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::providers::ProviderError;

/// Maximum size of a response. Key sets and profiles have a few kilobytes.
const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// Maximum number of requests in flight to one provider. Further requests are refused, so that a
/// slow provider occupies a bounded number of connections.
const UNDER_WAY_MAX: usize = 32;
/// Connect timeout.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// The HTTP client shared by all providers, and the tracker of tasks that outlive their caller.
#[derive(Clone)]
pub struct Network {
    client: reqwest::Client,
    tasks: TaskTracker,
    stopping: CancellationToken,
}

impl Network {
    /// Creates a client that trusts the system's root certificates. Its tasks are tracked, and end
    /// when the service stops.
    ///
    /// # Errors
    /// If no root certificate can be read, or the client cannot be built.
    pub fn new(tasks: TaskTracker, stopping: CancellationToken) -> io::Result<Self> {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            return Err(io::Error::other("the system has no trusted root certificates"));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT_MAX)
            // Sign-ins are rare: no idle connections are kept between them.
            .pool_max_idle_per_host(0)
            // Some providers reject requests without a user agent.
            .user_agent("chinwag")
            .build()
            .map_err(io::Error::other)?;
        Ok(Self { client, tasks, stopping })
    }
}

/// The HTTP client of one provider.
#[derive(Clone)]
pub struct Http {
    network: Network,
    timeout: Duration,
    slots: Arc<Semaphore>,
}

impl Http {
    /// Creates the client of one provider. `timeout` applies to a whole request.
    #[must_use]
    pub fn new(network: &Network, timeout: Duration) -> Self {
        let slots = Arc::new(Semaphore::new(UNDER_WAY_MAX));
        Self { network: network.clone(), timeout, slots }
    }

    /// Sends a request and reads the whole response.
    ///
    /// # Errors
    /// [`ProviderError::Unavailable`] if the provider cannot be reached, the response is late or
    /// too large, or too many requests are in flight.
    pub async fn send(self, request: HttpRequest) -> Result<HttpResponse, ProviderError> {
        let Ok(_slot) = self.slots.try_acquire() else {
            return Err(ProviderError::Unavailable(
                "too many requests to the provider are in progress",
            ));
        };
        let request = reqwest::Request::try_from(request)
            .map_err(|_| ProviderError::Unavailable("the URL is invalid"))?;
        let answer = answer(&self.network.client, request);
        tokio::time::timeout(self.timeout, answer)
            .await
            .unwrap_or(Err(ProviderError::Unavailable("the provider does not answer in time")))
    }

    /// Fetches a JSON document, with a bearer token if given.
    ///
    /// # Errors
    /// As [`Http::send`], and if the response is not a 200 with such a document.
    pub async fn json<T: DeserializeOwned>(
        self,
        url: &Url,
        bearer: Option<&str>,
    ) -> Result<T, ProviderError> {
        let mut request = http::Request::get(url.as_str())
            .header(http::header::ACCEPT, http::HeaderValue::from_static("application/json"));
        if let Some(token) = bearer {
            request = request.header(http::header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request
            .body(Vec::new())
            .map_err(|_| ProviderError::Unavailable("the token cannot be sent in a header"))?;
        let response = self.send(request).await?;
        if response.status() != http::StatusCode::OK {
            return Err(ProviderError::Unavailable("the provider answers with an error"));
        }
        serde_json::from_slice(response.body())
            .map_err(|_| ProviderError::Unavailable("the response of the provider is invalid"))
    }

    /// Spawns a task that continues if its caller is cancelled. Shutdown cancels and awaits it.
    pub(super) fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, ProviderError>> + Send + 'static,
    ) -> tokio::task::JoinHandle<Result<T, ProviderError>> {
        let stopping = self.network.stopping.clone();
        self.network.tasks.spawn(async move {
            tokio::select! {
                done = work => done,
                () = stopping.cancelled() => {
                    Err(ProviderError::Unavailable("the service is stopping"))
                }
            }
        })
    }
}

async fn answer(
    client: &reqwest::Client,
    request: reqwest::Request,
) -> Result<HttpResponse, ProviderError> {
    let broken = |_| ProviderError::Unavailable("the provider cannot be reached");
    let mut response = client.execute(request).await.map_err(broken)?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(ProviderError::Unavailable("the response of the provider is too large"));
        }
        body.extend_from_slice(&chunk);
    }
    let mut whole = HttpResponse::new(body);
    *whole.status_mut() = response.status();
    *whole.headers_mut() = std::mem::take(response.headers_mut());
    Ok(whole)
}
