//! The API documentation: `/docs` and `/docs/websocket` for readers, `/openapi.json` and
//! `/asyncapi.json` for programs. Built on first use, then cached. The pages load nothing from
//! other hosts.

use std::sync::LazyLock;

use bytes::Bytes;
use data_encoding::BASE64;
use poem::get;
use poem::{Endpoint, RouteMethod};
use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};

use crate::domain::permissions::Rights;
use crate::transport::asyncapi;
use crate::transport::error::Refusal;
use crate::transport::pages::Page;
use crate::transport::rest::openapi;

/// The page of the WebSocket API has no scripts.
const SOCKET_POLICY: &str = "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; \
                             form-action 'none'; frame-ancestors 'none'";

/// Maximum number of cached reduced documents, each of at most about 400 KB.
const REDUCED_MAX: usize = 16;

static DOCUMENT: LazyLock<Page> = LazyLock::new(|| {
    Page::new("application/json; charset=utf-8", Bytes::from(openapi::document()), None)
});

/// The cache of reduced documents. Most callers share their permissions with many others.
static REDUCED: LazyLock<Cache<Rights, Bytes>> = LazyLock::new(|| Cache::new(REDUCED_MAX));

static PAGE: LazyLock<Page> = LazyLock::new(|| {
    let page = openapi::page();
    let policy = policy(&page);
    Page::new("text/html; charset=utf-8", Bytes::from(page), Some(&policy))
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

/// Returns the complete OpenAPI document.
#[must_use]
pub fn document() -> Bytes {
    DOCUMENT.bytes()
}

/// Returns the OpenAPI document reduced to the permissions of a caller.
///
/// # Errors
/// [`Refusal::Internal`] if the reduction fails.
pub async fn document_for(rights: Rights) -> Result<Bytes, Refusal> {
    if rights.is_admin() {
        return Ok(document());
    }
    let known = rights.clone();
    let reduced = async {
        let reduced = move || openapi::document_for(&rights).to_string();
        let reduced = tokio::task::spawn_blocking(reduced).await;
        reduced.map(Bytes::from).map_err(|_| Refusal::Internal)
    };
    REDUCED.get_or_insert_async(&known, reduced).await
}

/// Returns the endpoint of the REST API page.
#[must_use]
pub fn page() -> RouteMethod {
    get(Lazy(&PAGE))
}

/// Returns the endpoint of the OpenAPI document.
#[must_use]
pub fn specification() -> RouteMethod {
    get(Lazy(&DOCUMENT))
}

/// Returns the endpoint of the WebSocket API page.
#[must_use]
pub fn socket_page() -> RouteMethod {
    get(Lazy(&SOCKET_PAGE))
}

/// Returns the endpoint of the style sheet of that page.
#[must_use]
pub fn socket_style() -> RouteMethod {
    get(Lazy(&SOCKET_STYLE))
}

/// Returns the endpoint of the AsyncAPI document.
#[must_use]
pub fn socket_specification() -> RouteMethod {
    get(Lazy(&SOCKET_DOCUMENT))
}

/// Returns the content security policy of the REST API page. Its scripts and styles are inline and
/// listed by hash, and "try it out" calls only this service.
fn policy(page: &str) -> String {
    let (scripts, styles) = (hashes(page, "script"), hashes(page, "style"));
    // Scripts set style attributes of elements, which cannot be listed.
    format!(
        "default-src 'none'; script-src {scripts}; style-src {styles}; style-src-attr \
         'unsafe-inline'; img-src 'self' data:; font-src data:; connect-src 'self'; base-uri \
         'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

/// Returns the content hashes of all elements of a kind, as a content security policy lists them.
fn hashes(page: &str, element: &str) -> String {
    let (start, end) = (format!("<{element}"), format!("</{element}>"));
    let mut hashes = Vec::new();
    let mut rest = page;
    while let Some((_, from)) = rest.split_once(&start) {
        let Some((_, from)) = from.split_once('>') else { break };
        let Some((content, after)) = from.split_once(&end) else { break };
        // Browsers normalize line ends before hashing.
        let content = content.replace("\r\n", "\n").replace('\r', "\n");
        hashes.push(format!("'sha256-{}'", BASE64.encode(&Sha256::digest(content))));
        rest = after;
    }
    hashes.join(" ")
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

    #[test]
    fn the_content_security_policy_lists_script_hashes() {
        let page = "<script charset=a>alert(1)</script>\n<style>a\r\n</style><script>\r</script>";

        // The output of `openssl dgst -sha256 -binary | base64` for the content of each element.
        assert_eq!(
            hashes(page, "script"),
            "'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI=' \
             'sha256-AbpHGcgLb+kRsJGnwFEktk7uzpZOCcBY74+YBdrKVGs='"
        );
        assert_eq!(hashes(page, "style"), "'sha256-h0KPxSKAPTEGXnvOPPA/5HUJZjHl4Hu9eg/eYMTPJcc='");
        assert!(!super::policy(&openapi::page()).contains("script-src 'unsafe-inline'"));
    }

    #[tokio::test]
    async fn a_matching_etag_yields_not_modified() {
        let first = page().get_response(Request::default()).await;
        let etag = first.headers()[header::ETAG].clone();
        let again = Request::builder().header(header::IF_NONE_MATCH, etag).finish();

        assert_eq!(first.status(), StatusCode::OK);
        assert_eq!(page().get_response(again).await.status(), StatusCode::NOT_MODIFIED);
    }
}
