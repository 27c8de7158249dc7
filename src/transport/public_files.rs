//! A front end from a directory (`--public`).

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;
use poem::get;
use poem::http::header;
use poem::http::{HeaderValue, StatusCode, Uri};
use poem::web::StaticFileRequest;
use poem::{Endpoint, FromRequest, IntoResponse, Request, Response, Route};

use crate::transport::error;
use crate::transport::rest;
use crate::transport::rest::path;

/// The header in which browsers report the kind of resource they load.
const FETCH_DESTINATION: &str = "sec-fetch-dest";

/// Adds a front end from a directory, with a content security policy. It serves all paths that no
/// other route matches.
///
/// # Panics
/// If the policy is not a valid header value. The configuration is validated to prevent that.
#[must_use]
pub fn mount(route: Route, directory: &Path, policy: &str) -> Route {
    route.at("/*file", get(Files::new(directory, policy)))
}

/// The original URI of a request. File names, unlike API paths, are case-sensitive, and a front end
/// does not serve paths with the API prefix.
#[derive(Clone)]
pub struct OriginalUri(pub Uri);

/// A front end from a directory. A path without an extension that is neither a file nor an API path
/// is one of its client-side routes, so a navigating browser gets the index.
struct Files {
    directory: PathBuf,
    policy: HeaderValue,
    /// The first segments of API paths, which are reserved for the API.
    interface: HashSet<String>,
}

impl Files {
    fn new(directory: &Path, policy: &str) -> Self {
        let policy = HeaderValue::from_str(policy).expect("the settings have only ASCII");
        Self { directory: directory.to_owned(), policy, interface: rest::first_segments() }
    }

    /// Returns the file at a path, with all symlinks resolved, or `None` if there is no such file
    /// in the directory or a symlink leads out of it.
    fn find(&self, path: &str) -> Option<PathBuf> {
        let name = percent_decode_str(path.trim_matches('/')).decode_utf8().ok()?;
        let directory = self.directory.canonicalize().ok()?;
        let mut file = directory.join(&*name).canonicalize().ok()?;
        if file.is_dir() {
            file = file.join("index.html").canonicalize().ok()?;
        }
        (file.starts_with(&directory) && file.is_file()).then_some(file)
    }

    /// Returns the file for a request to the URI `sent`.
    fn find_for(&self, request: &Request, sent: &Uri) -> Option<PathBuf> {
        let path = sent.path();
        if path::has_prefix(path) || is_hidden(path) {
            return None;
        }
        let has_extension = path.rsplit('/').next().is_some_and(|name| name.contains('.'));
        let first = path.split('/').nth(1).unwrap_or_default().to_ascii_lowercase();
        let is_route = !has_extension && !self.interface.contains(&first);
        let may_be_route = is_route && is_navigation(request);
        self.find(path).or_else(|| may_be_route.then(|| self.find("/")).flatten())
    }
}

impl Endpoint for Files {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let sent =
            request.data::<OriginalUri>().map_or_else(|| request.uri(), |OriginalUri(uri)| uri);
        let mut response = match self.find_for(&request, sent) {
            None => error::route_not_found(sent.path()),
            Some(file) => {
                let asked = StaticFileRequest::from_request_without_body(&request).await?;
                asked.create_response(file, true, false)?.into_response()
            }
        };
        let is_file = response.status() != StatusCode::NOT_FOUND;
        let headers = response.headers_mut();
        headers.insert(header::VARY, HeaderValue::from_static("Origin, Accept, Sec-Fetch-Dest"));
        if is_file {
            for (name, value) in [
                (header::CONTENT_SECURITY_POLICY, self.policy.clone()),
                // For browsers without `frame-ancestors`, which takes precedence in all others.
                (header::X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN")),
                // The default of browsers, since embedded content may depend on it.
                (
                    header::REFERRER_POLICY,
                    HeaderValue::from_static("strict-origin-when-cross-origin"),
                ),
            ] {
                headers.insert(name, value);
            }
        }
        Ok(response)
    }
}

/// Returns whether a browser navigates to a page, in contrast to a program that requests data.
fn is_navigation(request: &Request) -> bool {
    match request.header(FETCH_DESTINATION) {
        Some(destination) => matches!(destination, "document" | "iframe" | "frame"),
        None => request.headers().get_all(header::ACCEPT).iter().any(|accept| {
            accept.to_str().is_ok_and(|accept| accept.to_ascii_lowercase().contains("text/html"))
        }),
    }
}

/// Returns whether a path names a private file (`.env`, `.git/…`), leads upwards, or has a
/// separator other than a plain slash, which no file name contains.
fn is_hidden(path: &str) -> bool {
    // Files are looked up by the decoded path. Each of these three characters has one encoding.
    let path = path.to_ascii_lowercase().replace("%2e", ".").replace("%5c", "\\");
    path.contains("%2f")
        || path.contains('\\')
        || path.split('/').any(|segment| segment.starts_with('.') && segment != ".well-known")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HTML: &str = "text/html; charset=utf-8";
    const STYLE: &str = "text/css; charset=utf-8";

    fn request(path: &'static str) -> Request {
        Request::builder().uri(Uri::from_static(path)).finish()
    }

    #[tokio::test]
    async fn a_front_end_serves_only_its_files() {
        // The files of the chat page serve as a front end.
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("web");
        let files = mount(Route::new(), &directory, "object-src 'none'");
        let table = [
            ("/", 200, Some(HTML)),
            ("/index.html", 200, Some(HTML)),
            ("/style.css", 200, Some(STYLE)),
            ("/main.js", 200, Some("text/javascript")),
            ("/rooms/5", 404, None),
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
    async fn navigation_to_an_unknown_route_returns_the_index() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("web");
        let files = mount(Route::new(), &directory, "object-src 'none'");
        let browser = "text/html,application/xhtml+xml,*/*;q=0.8";

        for (path, destination, accept, status) in [
            ("/rooms/5", Some("document"), None, 200),
            ("/rooms/5", Some("iframe"), Some("*/*"), 200),
            ("/rooms/5", None, Some(browser), 200),
            ("/rooms/5", None, Some("Text/HTML"), 200),
            ("/rooms/5", Some("empty"), Some(browser), 404),
            ("/rooms/5", Some("script"), None, 404),
            ("/rooms/5", None, Some("application/json"), 404),
            ("/rooms/5", None, Some("*/*"), 404),
            ("/rooms/5", None, None, 404),
            ("/missing.js", Some("document"), Some(browser), 404),
            ("/directus/files", Some("document"), Some(browser), 404),
            ("/items/messages/1/x", Some("document"), Some(browser), 404),
            ("/Users/x/y", None, Some(browser), 404),
            ("/auth", None, Some(browser), 404),
            ("/style.css", Some("style"), None, 200),
        ] {
            let mut request = request(path);
            for (name, value) in [(FETCH_DESTINATION, destination), ("accept", accept)] {
                if let Some(value) = value {
                    request.headers_mut().insert(name, HeaderValue::from_static(value));
                }
            }
            let response = files.get_response(request).await;

            assert_eq!(response.status().as_u16(), status, "{path} {destination:?} {accept:?}");
            let varies = response.header(header::VARY).unwrap();
            assert!(varies.contains("Accept") && varies.contains("Sec-Fetch-Dest"), "{path}");
            if status == 404 {
                let body = response.into_body().into_string().await.unwrap();
                assert!(body.contains("ROUTE_NOT_FOUND"), "{path}: {body}");
            }
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn symlinks_are_followed_only_within_the_directory() {
        use std::os::unix::fs::symlink;

        let place = tempfile::tempdir().unwrap();
        let (root, outside) = (place.path().join("public"), place.path().join("public-secrets"));
        for folder in [&root.join("real"), &outside] {
            std::fs::create_dir_all(folder).unwrap();
            std::fs::write(folder.join("file.txt"), "text").unwrap();
            std::fs::write(folder.join("index.html"), "index").unwrap();
        }
        symlink("real", root.join("folder")).unwrap();
        symlink(root.join("real/file.txt"), root.join("absolute.txt")).unwrap();
        symlink("folder/file.txt", root.join("chain.txt")).unwrap();
        symlink("../public-secrets", root.join("out")).unwrap();
        symlink(outside.join("file.txt"), root.join("out.txt")).unwrap();
        symlink("out/file.txt", root.join("out-chain.txt")).unwrap();
        symlink("loop.txt", root.join("loop.txt")).unwrap();
        std::fs::create_dir(root.join("half")).unwrap();
        symlink(outside.join("index.html"), root.join("half/index.html")).unwrap();
        // The directory itself may be a symlink, which changes with each deployment.
        let current = place.path().join("current");
        symlink("public", &current).unwrap();

        for directory in [root, current] {
            let files = mount(Route::new(), &directory, "object-src 'none'");
            for (path, status) in [
                ("/folder/file.txt", 200),
                ("/folder/", 200),
                ("/absolute.txt", 200),
                ("/chain.txt", 200),
                ("/out/file.txt", 404),
                ("/out/", 404),
                ("/out", 404),
                ("/out.txt", 404),
                ("/out-chain.txt", 404),
                ("/loop.txt", 404),
                ("/half/", 404),
            ] {
                let response = files.get_response(request(path)).await;
                assert_eq!(response.status().as_u16(), status, "{path}");
            }
        }
    }

    #[tokio::test]
    async fn encoded_paths_do_not_reach_hidden_files() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("public");
        for folder in ["sub/.git", ".well-known"] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        for file in [".env", "index.html", "sub/.git/index.html", "sub/.git/config", "../above"] {
            std::fs::write(root.join(file), file).unwrap();
        }
        std::fs::write(root.join(".well-known/a b"), "shown").unwrap();
        let files = mount(Route::new(), &root, "object-src 'none'");

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
    fn hidden_and_encoded_paths_are_recognized() {
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
