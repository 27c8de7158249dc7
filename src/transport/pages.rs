//! What browsers get at `/`: the chat page that is built in, or a front end out of a directory.

use std::path::Path;
use std::sync::LazyLock;

use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use poem::Endpoint;
use poem::Request;
use poem::Response;
use poem::Route;
use poem::endpoint::StaticFilesEndpoint;
use poem::error::NotFoundError;
use poem::get;
use poem::http::HeaderValue;
use poem::http::StatusCode;
use poem::http::Uri;
use poem::http::header;
use sha2::Digest;
use sha2::Sha256;

use crate::transport::rest::path;

/// What the chat page may load: what this service serves, and nothing else.
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
    asset!("bubble.js", SCRIPT),
    asset!("composer.js", SCRIPT),
    asset!("connection.js", SCRIPT),
    asset!("devices.js", SCRIPT),
    asset!("doorway.js", SCRIPT),
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
    asset!("service.js", SCRIPT),
    asset!("session.js", SCRIPT),
    asset!("signin.js", SCRIPT),
    asset!("signup.js", SCRIPT),
    asset!("style.css", STYLE),
    asset!("view.js", SCRIPT),
    asset!("words.js", SCRIPT),
];

/// What the page to choose a password loads.
const PASSWORD_FILES: &[&str] =
    &["favicon.svg", "form.js", "forms.css", "password.js", "rest.js", "style.css", "words.js"];

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

/// Adds the page to ask for a link and to choose a password, where links in mails lead to. It is
/// there beside any front end.
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

/// Adds a front end out of a directory, for all paths that nothing else answers, with what its pages
/// may load.
///
/// # Panics
/// If the policy is no header value, which the settings make sure of.
#[must_use]
pub fn mount_files(route: Route, directory: &Path, policy: &str) -> Route {
    route.at("/*file", get(Files::new(directory, policy)))
}

/// Something that does not change while the program runs.
#[derive(Debug)]
pub struct Page {
    content: Bytes,
    content_type: HeaderValue,
    etag: HeaderValue,
    policy: Option<HeaderValue>,
}

impl Page {
    /// Returns a page, with what it may load if it is one that loads things.
    ///
    /// # Panics
    /// If content type or policy are no header values: mistakes in this program.
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

    /// Returns the answer to a request for this page: `304` if the client has it already.
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
        if let Some(policy) = &self.policy {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy.clone());
        }
        response
    }

    fn is_known(&self, request: &Request) -> bool {
        let own = self.etag.to_str().unwrap_or_default();
        // It is the same for everybody; but the headers of another origin's request are not.
        headers.insert(header::VARY, HeaderValue::from_static("Origin"));
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

/// A file of the page to choose a password. The address of the page has a token in it, which it must not
/// tell to where its links lead, nor leave in a cache.
struct Password(&'static str);

impl Endpoint for Password {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let page = CHAT.iter().find(|(known, _)| *known == self.0).ok_or(NotFoundError)?;
        let mut response = page.1.respond(&request);
        let headers = response.headers_mut();
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        if self.0.ends_with(".html") {
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        Ok(response)
    }
}

/// The address of a request as it was sent. File names, unlike the paths of the interface, keep
/// their case, and a front end does not answer below the prefix of the interface.
#[derive(Clone)]
pub struct AsSent(pub Uri);

/// A front end out of a directory. A path without an extension that is no file is one of its own
/// routes, so it gets the index.
struct Files {
    pages: StaticFilesEndpoint,
    assets: StaticFilesEndpoint,
    policy: HeaderValue,
}

impl Files {
    fn new(directory: &Path, policy: &str) -> Self {
        let files =
            || StaticFilesEndpoint::new(directory).index_file("index.html").no_cache_index();
        let policy = HeaderValue::from_str(policy).expect("the settings have ASCII only");
        Self { pages: files().fallback_to_index(), assets: files(), policy }
    }
}

impl Endpoint for Files {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let sent = request.data::<AsSent>().map(|AsSent(uri)| uri.clone());
        let uri = sent.unwrap_or_else(|| request.uri().clone());
        if path::has_prefix(uri.path()) || is_hidden(uri.path()) {
            return Err(NotFoundError.into());
        }
        let has_extension = uri.path().rsplit('/').next().is_some_and(|name| name.contains('.'));
        *request.uri_mut() = uri;
        let files = if has_extension { &self.assets } else { &self.pages };
        let mut response = files.call(request).await?;
        for (name, value) in [
            (header::CONTENT_SECURITY_POLICY, self.policy.clone()),
            // For browsers that do not know what a policy says about frames; it wins with all others.
            (header::X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN")),
            // What browsers do unasked: what the page embeds may depend on it.
            (header::REFERRER_POLICY, HeaderValue::from_static("strict-origin-when-cross-origin")),
        ] {
            response.headers_mut().insert(name, value);
        }
        Ok(response)
    }
}

/// Returns whether a path names a file that is not for the public (`.env`, `.git/…`), or leads
/// upwards, or hides where its segments end: there is no file whose name has a slash in it.
fn is_hidden(path: &str) -> bool {
    // Files are found by the decoded path; of these three characters each has one encoding.
    let path = path.to_ascii_lowercase().replace("%2e", ".").replace("%5c", "\\");
    path.contains("%2f")
        || path.contains('\\')
        || path.split('/').any(|segment| segment.starts_with('.') && segment != ".well-known")
}

#[cfg(test)]
mod tests {

    use super::*;

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
    async fn the_chat_page_comes_with_its_policy_and_its_files() {
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

    #[tokio::test]
    async fn a_front_end_has_its_files_and_its_own_routes() {
        // The chat page's own files do for a front end.
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("web");
        let files = mount_files(Route::new(), &directory, "object-src 'none'");
        let table = [
            ("/", 200, Some(HTML)),
            ("/index.html", 200, Some(HTML)),
            ("/style.css", 200, Some(STYLE)),
            ("/main.js", 200, Some("text/javascript")),
            ("/rooms/5", 200, Some(HTML)),
            ("/missing.js", 404, None),
            ("/.env", 404, None),
            ("/../Cargo.toml", 404, None),
            ("/%2e%2e/Cargo.toml", 404, None),
            ("/directus/nothing", 404, None),
        ];
        for (path, status, content_type) in table {
            let response = files.get_response(request(path)).await;
            assert_eq!(response.status().as_u16(), status, "{path}");
            if let Some(content_type) = content_type {
                assert_eq!(response.content_type(), Some(content_type), "{path}");
            }
        }
    }

    #[tokio::test]
    async fn no_spelling_of_a_path_gets_at_a_hidden_file() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("public");
        for folder in ["sub/.git", ".well-known"] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        for file in [".env", "index.html", "sub/.git/index.html", "sub/.git/config", "../above"] {
            std::fs::write(root.join(file), file).unwrap();
        }
        std::fs::write(root.join(".well-known/a b"), "shown").unwrap();
        let files = mount_files(Route::new(), &root, "object-src 'none'");

        for path in [
            "/.env",
            "/%2eenv",
            "/x%2f..%2f.env",
            "/sub%2f.git",
            "/sub%2F%2Egit%2Fconfig",
            "/sub/.git/config",
            "/x%2f..%2f..%2fabove",
            "/sub%5c..%5c.env",
        ] {
            let response = files.get_response(request(path)).await;
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        }
        let shown = files.get_response(request("/.well-known/a%20b")).await;
        assert_eq!(shown.into_body().into_string().await.unwrap(), "shown");
    }

    #[test]
    fn hidden_files_stay_hidden() {
        for hidden in [
            "/.env",
            "/a/.git/config",
            "/%2eenv",
            "/%2Eenv",
            "/a/../b",
            "/a/%2e./b",
            "/x%2f..%2f.env",
            "/x%2F.env",
            "/sub%2f.git",
            "/a%2fb",
            "/a%5c.env",
            "/a%5C..%5Cb",
            "/a\\.env",
            "/.well-known/.env",
            "/.well-known%2f.env",
        ] {
            assert!(is_hidden(hidden), "{hidden}");
        }
        for shown in ["/", "/a.b", "/a%20b", "/.well-known/security.txt", "/%2ewell-known/a"] {
            assert!(!is_hidden(shown), "{shown}");
        }
    }
}
