//! `/websocket` and `/_ws`: upgrades a request to an open connection, or rejects it.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use poem::http::header;
use poem::http::{HeaderValue, StatusCode};
use poem::{Endpoint, Request, Response};

use crate::config::WebSocketAuth;
use crate::domain::Error;
use crate::domain::auth::Identity;
use crate::domain::quota::QuotaExceeded;
use crate::transport::actor;
use crate::transport::cookies;
use crate::transport::error;
use crate::transport::error::Refusal;
use crate::transport::origin;
use crate::transport::ws::context::Context;
use crate::transport::ws::directus;
use crate::transport::ws::directus::Entry;
use crate::transport::ws::topics;
use crate::transport::ws::upgrade;
use crate::transport::ws::upgrade::{Misfit, Offer};
use crate::transport::ws::write_half::WriteHalf;

/// Retry delay for clients that connect while the service stops: it may have restarted by then.
const STOPPING_RETRY: Duration = Duration::from_secs(1);

/// The protocol of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// The Directus protocol.
    Directus,
    /// The nuxt-ws protocol.
    Topics,
}

/// Returns the endpoint that upgrades requests to sockets.
#[must_use]
pub fn endpoint(context: Arc<Context>, protocol: Protocol) -> impl Endpoint<Output = Response> {
    Websocket { context, protocol }
}

struct Websocket {
    context: Arc<Context>,
    protocol: Protocol,
}

impl Endpoint for Websocket {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        Ok(self.open(&request).await.unwrap_or_else(|refusal| refusal))
    }
}

impl Websocket {
    /// Upgrades a request, or returns the response that rejects it.
    async fn open(&self, request: &Request) -> Result<Response, Response> {
        let context = &self.context;
        let offer =
            Offer::read(request.method(), request.headers()).map_err(|misfit| match misfit {
                Misfit::NotAnUpgrade => error::route_not_found(request.original_uri().path()),
                other => other.respond(),
            })?;
        if context.stopping.is_cancelled() {
            return Err(error::respond(&Error::TooBusy { retry_after: STOPPING_RETRY }));
        }
        // The first check, so that clients that reconnect every second are rejected cheaply.
        let client = actor::client_info(request, &context.config.server.trust_proxy);
        let slot = context.take_slot(client.ip).map_err(no_slot)?;
        context.admit().await.map_err(|busy| error::respond(&busy))?;
        let identity = self.recognise(request, client.ip).await?;
        let page = request.header(header::ORIGIN).map(str::to_owned);
        // Boxed: the future of an open connection would keep room for it.
        let entry = Box::new(Entry { identity, client, page });
        let write_half = request.data::<WriteHalf>().cloned();
        let upgraded = request.take_upgrade().ok().zip(write_half);
        let (upgraded, write_half) = upgraded.ok_or_else(|| bare(StatusCode::BAD_REQUEST))?;

        let (context, protocol) = (Arc::clone(context), self.protocol);
        let (tasks, panics) = (context.tasks.clone(), Arc::clone(&context.panics));
        let talk = async move {
            let _slot = slot;
            // Fails only if the client disconnected before the response reached it.
            let Ok(stream) = upgraded.await else { return };
            let socket = context.open(stream, write_half).await;
            match protocol {
                Protocol::Directus => directus::converse(socket, context, entry).await,
                Protocol::Topics => topics::converse(socket, context, entry).await,
            }
        };
        tasks.spawn(catch_panic(talk, panics));
        Ok(offer.accept())
    }

    /// Returns the identity of the credentials in the request, or `None` without credentials.
    async fn recognise(
        &self,
        request: &Request,
        from: Option<IpAddr>,
    ) -> Result<Option<Identity>, Response> {
        if let Some(token) = upgrade::address_token(request) {
            return self.identify(&token, from).await.map(Some);
        }
        let config = &self.context.config;
        let cookie = &config.auth.session_cookie;
        let Some(token) = cookies::find(request.headers(), &cookie.name) else {
            return match config.websockets.auth {
                WebSocketAuth::Strict => Err(bare(StatusCode::UNAUTHORIZED)),
                WebSocketAuth::Public | WebSocketAuth::Handshake => Ok(None),
            };
        };
        if !origin::may_use_cookies(request, &config.server.public_url, &config.browser.cors) {
            return Err(Refusal::ForeignPage.respond());
        }
        match self.identify(token, from).await {
            Err(mut refusal) if refusal.status() == StatusCode::UNAUTHORIZED => {
                // A page cannot remove an `HttpOnly` cookie, and `/_ws` never asks for a sign-in.
                // The client falls back to the public.
                if self.protocol == Protocol::Topics {
                    return Ok(None);
                }
                let empty = cookies::empty(cookie);
                refusal.headers_mut().append(header::SET_COOKIE, empty);
                Err(refusal)
            }
            identity => identity.map(Some),
        }
    }

    async fn identify(&self, token: &str, from: Option<IpAddr>) -> Result<Identity, Response> {
        self.context.services.auth.recognise(token, from).await.map_err(|error| match error {
            Error::ProviderUnavailable(_)
            | Error::Unavailable(_)
            | Error::Store(_)
            | Error::TooBusy { .. } => error::respond(&error),
            _ => bare(StatusCode::UNAUTHORIZED),
        })
    }
}

/// Runs a socket. A panic ends only that socket, with a close frame that reports it.
///
/// Not an `async fn`, which would store its arguments twice while the connection is open.
fn catch_panic(talk: impl Future<Output = ()>, panics: Arc<AtomicU64>) -> impl Future<Output = ()> {
    AssertUnwindSafe(talk).catch_unwind().map(move |end| {
        if end.is_err() {
            let total = panics.fetch_add(1, Ordering::Relaxed) + 1;
            tracing::error!(panics.total = total, "a socket task panicked");
        }
    })
}

/// Returns the response for a socket beyond a limit. An address with too many sockets gets that of
/// the acceptor, plus a body.
fn no_slot(exceeded: QuotaExceeded) -> Response {
    let limit = match exceeded {
        QuotaExceeded::Owner => " for one address (CONNECTIONS_PER_ADDRESS_MAX)",
        QuotaExceeded::Total => " (WEBSOCKETS_REST_CONN_LIMIT)",
    };
    let reason = format!("The limit of open sockets is reached{limit}");
    let mut response = error::respond(&Error::LimitExceeded(reason));
    if exceeded == QuotaExceeded::Owner {
        response.set_status(StatusCode::TOO_MANY_REQUESTS);
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    }
    response
}

fn bare(status: StatusCode) -> Response {
    status.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_caught_and_counted() {
        let panics = Arc::new(AtomicU64::new(0));

        catch_panic(async {}, Arc::clone(&panics)).await;
        catch_panic(async { panic!("for the test") }, Arc::clone(&panics)).await;

        assert_eq!(panics.load(Ordering::Relaxed), 1);
    }
}
