//! The documentation: `/docs` and `/docs/websocket` for people, `/openapi.json` and `/asyncapi.json`
//! for programs. Made when first asked for, then kept; the pages ask nobody for anything.

use std::sync::LazyLock;

use bytes::Bytes;
use poem::Endpoint;
use poem::RouteMethod;
use poem::get;

use crate::transport::asyncapi;
use crate::transport::pages::Page;
use crate::transport::rest::describe;

/// The page consists of inline scripts and styles; its "try it out" calls this service alone.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
                      img-src 'self' data:; font-src data:; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

/// The page of the sockets has no scripts at all.
const SOCKET_POLICY: &str = "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; \
                             form-action 'none'; frame-ancestors 'none'";

static DOCUMENT: LazyLock<Page> = LazyLock::new(|| {
    Page::new("application/json; charset=utf-8", Bytes::from(describe::document()), None)
});

static PAGE: LazyLock<Page> = LazyLock::new(|| {
    Page::new("text/html; charset=utf-8", Bytes::from(describe::page()), Some(POLICY))
});

static SOCKET_DOCUMENT: LazyLock<Page> = LazyLock::new(|| {
    Page::new("application/json; charset=utf-8", Bytes::from(asyncapi::document()), None)
});

static SOCKET_PAGE: LazyLock<Page> = LazyLock::new(|| {
    Page::new("text/html; charset=utf-8", Bytes::from(asyncapi::page()), Some(SOCKET_POLICY))
});

static SOCKET_STYLE: LazyLock<Page> = LazyLock::new(|| {
    Page::new("text/css; charset=utf-8", Bytes::from_static(asyncapi::STYLE.as_bytes()), None)
});

/// Returns the OpenAPI document.
#[must_use]
pub fn document() -> Bytes {
    DOCUMENT.bytes()
}

/// Returns the endpoint of the page.
#[must_use]
pub fn page() -> RouteMethod {
    get(Lazy(&PAGE))
}

/// Returns the endpoint of the document.
#[must_use]
pub fn specification() -> RouteMethod {
    get(Lazy(&DOCUMENT))
}

/// Returns the endpoint of the page of the sockets.
#[must_use]
pub fn socket_page() -> RouteMethod {
    get(Lazy(&SOCKET_PAGE))
}

/// Returns the endpoint of what that page looks like.
#[must_use]
pub fn socket_style() -> RouteMethod {
    get(Lazy(&SOCKET_STYLE))
}

/// Returns the endpoint of the document of the sockets.
#[must_use]
pub fn socket_specification() -> RouteMethod {
    get(Lazy(&SOCKET_DOCUMENT))
}

struct Lazy(&'static LazyLock<Page>);

impl Endpoint for Lazy {
    type Output = poem::Response;

    async fn call(&self, request: poem::Request) -> poem::Result<poem::Response> {
        Ok(self.0.respond(&request))
    }
}

#[cfg(test)]
mod tests {
    use poem::Request;
    use poem::http::StatusCode;
    use poem::http::header;

    use super::*;

    #[tokio::test]
    async fn the_page_is_not_sent_twice() {
        let first = page().get_response(Request::default()).await;
        let etag = first.headers()[header::ETAG].clone();
        let again = Request::builder().header(header::IF_NONE_MATCH, etag).finish();

        assert_eq!(first.status(), StatusCode::OK);
        assert_eq!(page().get_response(again).await.status(), StatusCode::NOT_MODIFIED);
    }
}
