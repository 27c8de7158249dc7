//! The built-in chat page, at `/`.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::LazyLock;

use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use poem::error::NotFoundError;
use poem::get;
use poem::http::header;
use poem::http::{HeaderValue, StatusCode};
use poem::{Endpoint, Request, Response, Route};
use sha2::{Digest, Sha256};

/// Content security policy of the chat page: it loads resources of this service only.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' \
                      data:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors \
                      'none'";

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

/// Embeds files of `web/`, each with its name.
macro_rules! assets {
    ($($name:literal)*) => {
        &[$(($name, include_bytes!(concat!("../../web/", $name)))),*]
    };
}

/// The file at `/`.
const INDEX: &str = "index.html";

/// The files of the chat page.
const ASSETS: &[(&str, &[u8])] = assets! {
    "index.html" "account.css" "account.js" "auth-view.js" "bubble.js" "composer.js"
    "connection.js" "devices.js" "favicon.svg" "feed.js" "form.js" "forms.css" "main.js"
    "messages.js" "outgoing.js" "password.html" "password.js" "qr.js" "recovery-codes.js" "rest.js"
    "second-factor.js" "server-info.js" "session.js" "signin.js" "signup.js" "strings.js"
    "style.css" "view.js"
};

/// The files that the password page loads.
const PASSWORD_FILES: &[&str] =
    &["favicon.svg", "form.js", "forms.css", "password.js", "rest.js", "strings.js", "style.css"];

static CHAT: LazyLock<Vec<(&str, Page)>> = LazyLock::new(|| {
    let pages = ASSETS.iter().map(|(name, content)| {
        let content_type = content_type(name);
        let policy = (content_type == HTML).then_some(POLICY);
        (*name, Page::new(content_type, Bytes::from_static(content), policy))
    });
    pages.collect()
});

fn content_type(name: &str) -> &'static str {
    match Path::new(name).extension().and_then(OsStr::to_str) {
        Some("css") => STYLE,
        Some("js") => SCRIPT,
        Some("svg") => IMAGE,
        _ => HTML,
    }
}

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
        let name = match request.raw_path_param("name") {
            None => INDEX,
            // The page itself is at `/` only.
            Some(INDEX) => return Err(NotFoundError.into()),
            Some(name) => name,
        };
        Ok(find(name)?.respond(&request))
    }
}

/// A file of the password page. The URL of that page contains a token, which must not leak through
/// `Referer` or caches.
struct Password(&'static str);

impl Endpoint for Password {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let mut response = find(self.0)?.respond(&request);
        let headers = response.headers_mut();
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        if content_type(self.0) == HTML {
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        Ok(response)
    }
}

fn find(name: &str) -> Result<&'static Page, NotFoundError> {
    CHAT.iter().find(|(known, _)| *known == name).map(|(_, page)| page).ok_or(NotFoundError)
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
