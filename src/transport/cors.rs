//! Cross-origin resource sharing (Fetch standard): which origins may send requests, with which
//! methods and headers, and read the responses.
//!
//! The allowed origins are a setting. Responses to other origins have no CORS headers, so browsers
//! withhold them from the page. The middleware of poem does not fit: it rejects every request with
//! an `Origin` that is not on its list, including those from the pages of this service.

use poem::http::header;
use poem::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use poem::{Request, Response};

use crate::config::{CorsConfig, Origins};

/// The CORS settings as header values.
pub struct Cors {
    origins: Origins,
    credentials: bool,
    methods: HeaderValue,
    allowed_headers: HeaderValue,
    exposed_headers: HeaderValue,
    max_age: HeaderValue,
}

/// The permission for the origin of one request.
pub struct Grant<'a> {
    cors: &'a Cors,
    /// The origin of the page, or `*` if all origins are allowed.
    origin: HeaderValue,
    credentials: bool,
}

impl Cors {
    /// Returns the settings, or `None` if no other origin is allowed.
    ///
    /// # Panics
    /// If a list is not a valid header value. The configuration is validated to prevent that.
    #[must_use]
    pub fn of(config: &CorsConfig) -> Option<Self> {
        let list = |names: &[String]| {
            HeaderValue::from_str(&names.join(", "))
                .expect("the settings have only valid header names")
        };
        (config.origins != Origins::None).then(|| Self {
            origins: config.origins.clone(),
            credentials: config.credentials,
            methods: list(&config.methods),
            allowed_headers: list(&config.allowed_headers),
            exposed_headers: list(&config.exposed_headers),
            max_age: HeaderValue::from(config.max_age.as_secs()),
        })
    }

    /// Returns the permission for the origin of a request; `None` if it is missing or not allowed.
    #[must_use]
    pub fn grant(&self, request: &Request) -> Option<Grant<'_>> {
        let origin = request.headers().get(header::ORIGIN)?;
        let is_anybodys = self.origins == Origins::Any;
        let may = is_anybodys || origin.to_str().is_ok_and(|origin| self.origins.contain(origin));
        may.then(|| Grant {
            cors: self,
            origin: if is_anybodys { HeaderValue::from_static("*") } else { origin.clone() },
            // If all origins are allowed, cookies would be usable by every site.
            credentials: self.credentials && !is_anybodys,
        })
    }
}

impl Grant<'_> {
    /// Returns the response to a preflight request, or `None` if it is not one.
    #[must_use]
    pub fn preflight(&self, request: &Request) -> Option<Response> {
        let asks = request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        if request.method() != Method::OPTIONS || !asks {
            return None;
        }
        let mut response = Response::builder().status(StatusCode::NO_CONTENT).finish();
        let headers = response.headers_mut();
        for (name, value) in [
            (header::ACCESS_CONTROL_ALLOW_METHODS, &self.cors.methods),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, &self.cors.allowed_headers),
            (header::ACCESS_CONTROL_MAX_AGE, &self.cors.max_age),
        ] {
            headers.insert(name, value.clone());
        }
        Some(response)
    }

    /// Adds the headers that allow the page to read the response.
    pub fn mark(self, headers: &mut HeaderMap) {
        let mut say = |name: HeaderName, value| headers.insert(name, value);
        say(header::ACCESS_CONTROL_ALLOW_ORIGIN, self.origin);
        say(header::ACCESS_CONTROL_EXPOSE_HEADERS, self.cors.exposed_headers.clone());
        if self.credentials {
            say(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
    }
}
