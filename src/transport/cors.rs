//! What pages of other origins are told: whether they may ask, how, and whether they may read the
//! answer (cross-origin resource sharing, after the Fetch standard).
//!
//! Whose pages may is a setting. Everybody else's get answers without a word about it, which their
//! browsers then keep from them. poem has a middleware for this, which does not fit: it refuses
//! whatever comes with an `Origin` that is not on its list, and so the pages of this very service.

use poem::Request;
use poem::Response;
use poem::http::HeaderMap;
use poem::http::HeaderName;
use poem::http::HeaderValue;
use poem::http::Method;
use poem::http::StatusCode;
use poem::http::header;

use crate::config::CorsConfig;
use crate::config::Origins;

/// The rules, as the headers that tell them.
pub struct Cors {
    origins: Origins,
    credentials: bool,
    methods: HeaderValue,
    allowed_headers: HeaderValue,
    exposed_headers: HeaderValue,
    max_age: HeaderValue,
}

/// Leave for the page that one request comes from.
pub struct Grant<'a> {
    cors: &'a Cors,
    /// The page's, or `*` where everybody may.
    origin: HeaderValue,
    credentials: bool,
}

impl Cors {
    /// Returns the rules, or `None` where no page of another origin may read anything.
    ///
    /// # Panics
    /// If the lists are no header values, which the settings make sure of.
    #[must_use]
    pub fn of(config: &CorsConfig) -> Option<Self> {
        let list = |names: &[String]| {
            HeaderValue::from_str(&names.join(", ")).expect("settings have names of headers only")
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

    /// Returns leave for the page that sent a request; `None` for no page and for pages that have
    /// none.
    #[must_use]
    pub fn grant(&self, request: &Request) -> Option<Grant<'_>> {
        let origin = request.headers().get(header::ORIGIN)?;
        let is_anybodys = self.origins == Origins::Any;
        let may = is_anybodys || origin.to_str().is_ok_and(|origin| self.origins.contain(origin));
        may.then(|| Grant {
            cors: self,
            origin: if is_anybodys { HeaderValue::from_static("*") } else { origin.clone() },
            // With everybody's pages cookies would be everybody's.
            credentials: self.credentials && !is_anybodys,
        })
    }
}

impl Grant<'_> {
    /// Returns the answer to a browser that asks before it sends the request itself; `None` if this
    /// is no such question.
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

    /// Adds to an answer that the page may read it.
    pub fn mark(self, headers: &mut HeaderMap) {
        let mut say = |name: HeaderName, value| headers.insert(name, value);
        say(header::ACCESS_CONTROL_ALLOW_ORIGIN, self.origin);
        say(header::ACCESS_CONTROL_EXPOSE_HEADERS, self.cors.exposed_headers.clone());
        if self.credentials {
            say(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
    }
}
