//! The built-in chat page, at `/`.

use std::path::Path;
use std::sync::LazyLock;

use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use poem::Endpoint;
use poem::Request;
use poem::Response;
use poem::Route;
use poem::error::NotFoundError;
use poem::get;
use poem::http::HeaderValue;
use poem::http::StatusCode;
use poem::http::header;
use sha2::Digest;
use sha2::Sha256;

/// Content security policy of the chat page: it loads resources of this service only.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' \
                      data:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors \
                      'none'";

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

/// Embeds a file of `web/` under its own name.
macro_rules! asset {
    ($name:literal, $content_type:expr) => {
        ($name, $content_type, include_bytes!(concat!("../../web/", $name)))
    };
}

/// The files of the chat page: name, content type, content.
const ASSETS: &[(&str, &str, &[u8])] = &[
    asset!("index.html", HTML),
    asset!("account.css", STYLE),
    asset!("account.js", SCRIPT),
    asset!("auth-view.js", SCRIPT),
    asset!("bubble.js", SCRIPT),
    asset!("composer.js", SCRIPT),
    asset!("connection.js", SCRIPT),
    asset!("devices.js", SCRIPT),
    asset!("favicon.svg", IMAGE),
    asset!("feed.js", SCRIPT),
    asset!("form.js", SCRIPT),
    asset!("forms.css", STYLE),
    asset!("main.js", SCRIPT),
    asset!("messages.js", SCRIPT),
    asset!("outgoing.js", SCRIPT),
    asset!("password.html", HTML),
    asset!("password.js", SCRIPT),
    asset!("qr.js", SCRIPT),
    asset!("recovery-codes.js", SCRIPT),
    asset!("rest.js", SCRIPT),
    asset!("second-factor.js", SCRIPT),
    asset!("server-info.js", SCRIPT),
    asset!("session.js", SCRIPT),
    asset!("signin.js", SCRIPT),
    asset!("signup.js", SCRIPT),
    asset!("strings.js", SCRIPT),
    asset!("style.css", STYLE),
    asset!("view.js", SCRIPT),
];

/// The files that the password page loads.
const PASSWORD_FILES: &[&str] =
    &["favicon.svg", "form.js", "forms.css", "password.js", "rest.js", "strings.js", "style.css"];

static INDEX: LazyLock<Page> = LazyLock::new(|| {
    let (_, content_type, content) = ASSETS[0];
    Page::new(content_type, Bytes::from_static(content), Some(POLICY))
});

static CHAT: LazyLock<Vec<(&str, Page)>> = LazyLock::new(|| {
    let assets = ASSETS.iter().skip(1);
    assets
        .map(|(name, content_type, content)| {
            let policy = (*content_type == HTML).then_some(POLICY);
            (*name, Page::new(content_type, Bytes::from_static(content), policy))
        })
        .collect()
});

/// Adds the page to request a password link and to set a password, which links in emails lead to.
/// It is available beside any front end.
#[must_use]
pub fn mount_password(route: Route) -> Route {
    let page = || get(Password("password.html"));
    let route = route.at("/admin/reset-password", page()).at("/admin/accept-invite", page());
    PASSWORD_FILES
        .iter()
        .fold(route, |route, name| route.at(format!("/admin/{name}"), get(Password(name))))
}

/// Adds the built-in chat page.
#[must_use]
pub fn mount_chat(route: Route) -> Route {
    route.at("/", get(Chat)).at("/chat/:name", get(Chat))
}

/// Content that does not change while the process runs.
#[derive(Debug)]
pub struct Page {
    content: Bytes,
    content_type: HeaderValue,
    etag: HeaderValue,
    policy: Option<HeaderValue>,
}

impl Page {
    /// Creates a page, with a content security policy if it loads resources.
    ///
    /// # Panics
    /// If the content type or the policy is not a valid header value, which is a bug.
    #[must_use]
    pub fn new(content_type: &'static str, content: Bytes, policy: Option<&str>) -> Self {
        let digest = Sha256::digest(&content);
        let etag = format!("\"{}\"", BASE64URL_NOPAD.encode(&digest[..16]));
        Self {
            content,
            content_type: HeaderValue::from_static(content_type),
            etag: HeaderValue::from_str(&etag).expect("base64 is ASCII"),
            policy: policy.map(|policy| HeaderValue::from_str(policy).expect("policies are ASCII")),
        }
    }

    /// Returns the content.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        self.content.clone()
    }

    /// Returns the response for this page: `304` if the client has it already.
    #[must_use]
    pub fn respond(&self, request: &Request) -> Response {
        let mut response = if self.is_known(request) {
            Response::builder().status(StatusCode::NOT_MODIFIED).finish()
        } else {
            let mut response = Response::builder().body(self.content.clone());
            response.headers_mut().insert(header::CONTENT_TYPE, self.content_type.clone());
            response
        };
        let headers = response.headers_mut();
        headers.insert(header::ETAG, self.etag.clone());
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        // The content is the same for all origins, but the CORS headers differ.
        headers.insert(header::VARY, HeaderValue::from_static("Origin"));
        if let Some(policy) = &self.policy {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy.clone());
        }
        response
    }

    fn is_known(&self, request: &Request) -> bool {
        let own = self.etag.to_str().unwrap_or_default();
        request.header(header::IF_NONE_MATCH).is_some_and(|known| {
            known.split(',').any(|tag| matches!(tag.trim().trim_start_matches("W/"), tag if tag == own || tag == "*"))
        })
    }
}

/// The chat page and the files it loads.
struct Chat;

impl Endpoint for Chat {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        match request.raw_path_param("name") {
            None => Ok(INDEX.respond(&request)),
            Some(name) => {
                let page = CHAT.iter().find(|(known, _)| *known == name);
                page.map(|(_, page)| page.respond(&request)).ok_or_else(|| NotFoundError.into())
            }
        }
    }
}

/// A file of the password page. The URL of that page contains a token, which must not leak through
/// `Referer` or caches.
struct Password(&'static str);

impl Endpoint for Password {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let page = CHAT.iter().find(|(known, _)| *known == self.0).ok_or(NotFoundError)?;
        let mut response = page.1.respond(&request);
        let headers = response.headers_mut();
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        if Path::new(self.0).extension().is_some_and(|extension| extension == "html") {
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use poem::http::Uri;

    #[test]
    fn every_file_of_the_page_is_embedded() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("web");
        let mut files = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect::<Vec<_>>();
        files.sort();
        let mut embedded = ASSETS.iter().map(|(name, ..)| (*name).to_owned()).collect::<Vec<_>>();
        embedded.sort();

        assert_eq!(embedded, files);
    }

    fn request(path: &'static str) -> Request {
        Request::builder().uri(Uri::from_static(path)).finish()
    }

    #[tokio::test]
    async fn the_chat_page_is_served_with_its_policy_and_assets() {
        let chat = mount_chat(Route::new());

        let index = chat.get_response(request("/")).await;
        assert_eq!(index.headers()[header::CONTENT_TYPE], HTML);
        assert_eq!(index.headers()[header::CONTENT_SECURITY_POLICY], POLICY);

        let style = chat.get_response(request("/chat/style.css")).await;
        assert_eq!(style.headers()[header::CONTENT_TYPE], STYLE);
        let mut again = request("/chat/style.css");
        again.headers_mut().insert(header::IF_NONE_MATCH, style.headers()[header::ETAG].clone());
        assert_eq!(chat.get_response(again).await.status(), StatusCode::NOT_MODIFIED);

        let missing = chat.get_response(request("/chat/nothing.js")).await;
        assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    }
}
