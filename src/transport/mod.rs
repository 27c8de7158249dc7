//! The transport layer: HTTP, sockets, JSON shapes. It translates and makes no decisions.
//!
//! Every route of the service:
//!
//! | path | methods | where |
//! | --- | --- | --- |
//! | `/auth` `/auth/login/{provider}` | GET | `rest::providers` |
//! | `/auth/login/{provider}/callback` | GET POST | `rest::providers` |
//! | `/auth/login` `/auth/refresh` `/auth/logout` | POST | `rest::auth` |
//! | `/auth/password/request` `/auth/password/reset` | POST | `rest::enrolment` |
//! | `/users/register` `/users/invite` `/users/invite/accept` | POST | `rest::enrolment` |
//! | `/users/register/verify-email` | GET | `rest::enrolment` |
//! | `/items/messages` `/items/{collection}` | GET SEARCH POST PATCH DELETE | `rest::resource` |
//! | `/items/messages/{id}` `/items/{collection}/{id}` | GET PATCH DELETE | `rest::resource` |
//! | `/users` `/roles` `/policies` `/permissions` `/access` | as `/items/…` | `rest::resource` |
//! | `/users/{id}` `/roles/{id}` `/policies/{id}` `/permissions/{id}` `/access/{id}` | as `/items/…/{id}` | `rest::resource` |
//! | `/settings` | GET SEARCH PATCH | `rest::resource` |
//! | `/activity` `/revisions` | GET SEARCH | `rest::resource` |
//! | `/activity/{id}` `/revisions/{id}` | GET | `rest::resource` |
//! | `/users/me` | GET PATCH | `rest::users` |
//! | `/users/me/tfa` | GET | `rest::second_factor` |
//! | `/users/me/tfa/generate` `/users/me/tfa/enable` `/users/me/tfa/disable` | POST | `rest::second_factor` |
//! | `/users/me/tfa/recovery-codes` `/users/{id}/tfa/disable` | POST | `rest::second_factor` |
//! | `/users/me/sessions` `/users/{id}/sessions` | GET DELETE | `rest::sessions` |
//! | `/users/me/sessions/{session}` `/users/{id}/sessions/{session}` | DELETE | `rest::sessions` |
//! | `/roles/me` `/policies/me/globals` `/permissions/me` | GET | `rest::access` |
//! | `/permissions/me/{collection}` `/permissions/me/{collection}/{id}` | GET | `rest::access` |
//! | `/server/ping` `/server/health` `/server/info` `/server/specs/oas` | GET | `rest::server` |
//! | `/utils/random/string` | GET | `rest::utils` |
//! | `/utils/hash/generate` `/utils/hash/verify` `/utils/cache/clear` | POST | `rest::utils` |
//! | `/docs` `/openapi.json` | GET | `docs` |
//! | `/docs/websocket` `/docs/websocket.css` `/asyncapi.json` | GET | `docs` |
//! | `/websocket` `/_ws` | upgrade | `ws` |
//! | `/admin/reset-password` `/admin/accept-invite` | GET | `pages` |
//! | `/` `/chat/…` | GET | `pages` |
//!
//! A front end in a directory replaces the last row and serves all paths that no other row matches.
//! All other rows are then also available under `/directus/…`.

pub mod actor;
pub mod address;
mod arrival;
pub mod asyncapi;
pub mod cookies;
pub mod cors;
pub mod docs;
pub mod error;
pub mod host;
mod json_size;
pub mod limits;
mod lone_surrogates;
pub mod middleware;
pub mod minimum_rate;
pub mod origin;
pub mod pages;
mod public_files;
pub mod rest;
pub mod ws;

use std::sync::Arc;

use poem::http::Uri;
use poem::http::uri::PathAndQuery;
use poem::{Endpoint, Request, Response, Route};
use uuid::Uuid;

use crate::config::Config;
use crate::domain::Services;
use crate::model::id;
use crate::transport::limits::Limited;
use crate::transport::middleware::OuterMiddleware;
use crate::transport::public_files::OriginalUri;
use crate::transport::rest::path;
use crate::transport::ws::Protocol;

/// State shared by all handlers.
pub struct Context {
    /// The domain services.
    pub services: Services,
    /// The configuration.
    pub config: Arc<Config>,
    /// Identifies this process for administrators in `/server/health`.
    pub service_id: Uuid,
}

impl Context {
    /// Creates the context of a process.
    #[must_use]
    pub fn new(services: Services, config: Arc<Config>) -> Arc<Self> {
        Arc::new(Self { services, config, service_id: id::fresh() })
    }
}

/// Returns the whole service as one endpoint. Its errors are responses as well.
#[must_use]
pub fn routes(
    context: &Arc<Context>,
    sockets: &Arc<ws::Context>,
) -> impl Endpoint<Output = Response> + use<> {
    let mut route = Route::new();
    for (enabled, path, protocol) in [
        (context.config.websockets.enabled, "/websocket", Protocol::Directus),
        (context.config.topics.enabled, "/_ws", Protocol::Topics),
    ] {
        if enabled {
            route = route.at(path, ws::endpoint(Arc::clone(sockets), protocol));
        }
    }
    let route = route
        .at("/docs", docs::page())
        .at("/openapi.json", docs::specification())
        .at("/docs/websocket", docs::socket_page())
        .at("/docs/websocket.css", docs::socket_style())
        .at("/asyncapi.json", docs::socket_specification());
    let route = rest::mount(route, context);
    let route = pages::mount_password(route);
    let directory = context.config.server.public_dir.as_deref();
    let route = match directory {
        None => pages::mount_chat(route),
        Some(directory) => {
            public_files::mount(route, directory, &context.config.browser.content_security_policy)
        }
    };
    let route = Limited::new(route, Arc::clone(context));
    let one_spelling = NormalizePath { inner: route, has_prefix: directory.is_some() };
    OuterMiddleware::new(one_spelling, Arc::clone(context))
}

/// Normalizes paths to the form of the routes.
struct NormalizePath<E> {
    inner: E,
    has_prefix: bool,
}

impl<E: Endpoint<Output = Response>> Endpoint for NormalizePath<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        if let Some(uri) = self.respelt(request.uri()) {
            let sent = std::mem::replace(request.uri_mut(), uri);
            request.set_data(OriginalUri(sent));
        }
        self.inner.call(request).await
    }
}

impl<E> NormalizePath<E> {
    /// Returns the URI with a normalized path, or `None` if the path is normalized already.
    fn respelt(&self, uri: &Uri) -> Option<Uri> {
        let path = uri.path();
        let inner = path::without_prefix(path).filter(|_| self.has_prefix).unwrap_or(path);
        let respelt = path::canonical(inner);
        if respelt == path {
            return None;
        }
        let path_and_query = match uri.query() {
            Some(query) => format!("{respelt}?{query}"),
            None => respelt.into_owned(),
        };
        let mut parts = uri.clone().into_parts();
        parts.path_and_query = Some(PathAndQuery::try_from(path_and_query).ok()?);
        Uri::from_parts(parts).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_in_the_module_docs() {
        let page = include_str!("mod.rs");
        for operation in rest::operations() {
            let path = format!("`{}`", operation.path);
            assert!(page.contains(&path), "{path}");
        }
    }

    #[test]
    fn the_prefix_is_stripped_only_beside_a_front_end() {
        let uri = Uri::from_static("/directus/Items/messages/?limit=1");
        let respelt = |has_prefix| {
            NormalizePath { inner: Route::new(), has_prefix }
                .respelt(&uri)
                .map(|uri| uri.to_string())
        };

        assert_eq!(respelt(true).as_deref(), Some("/items/messages?limit=1"));
        assert_eq!(respelt(false).as_deref(), Some("/directus/items/messages?limit=1"));
    }
}
