//! The session cookie and the refresh token cookie: reads them from requests, and builds the
//! `Set-Cookie` headers.

use std::time::Duration;

use poem::http::header;
use poem::http::{HeaderMap, HeaderValue};
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use crate::clock::Timestamp;
use crate::config::{CookieConfig, SameSite};

/// Date format of headers, such as `Sat, 28 Nov 2026 23:16:48 GMT`.
const HEADER_DATE: &[BorrowedFormatItem<'static>] = format_description!(
    "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
);

/// Returns the value of a cookie. An empty value counts as none.
#[must_use]
pub fn find<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    values(headers, name).next().filter(|value| !value.is_empty())
}

/// Returns whether the request has a cookie of this name, even an empty one.
#[must_use]
pub fn has(headers: &HeaderMap, name: &str) -> bool {
    values(headers, name).next().is_some()
}

/// Returns the values of all cookies of this name.
fn values<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    lines
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.split_once('='))
        .filter(move |(key, _)| key.trim() == name)
        .map(|(_, value)| value.trim().trim_matches('"'))
}

/// Returns the `Set-Cookie` header that stores a token for a period.
#[must_use]
pub fn set(cookie: &CookieConfig, token: &str, lasts: Duration, now: Timestamp) -> HeaderValue {
    line(cookie, token, lasts.as_secs(), now.plus(lasts))
}

/// Returns the `Set-Cookie` header that empties and expires a cookie.
#[must_use]
pub fn empty(cookie: &CookieConfig) -> HeaderValue {
    line(cookie, "", 0, Timestamp::from_millis(0))
}

fn line(cookie: &CookieConfig, value: &str, max_age: u64, expires: Timestamp) -> HeaderValue {
    let mut line = format!("{}={value}; Max-Age={max_age}", cookie.name);
    if let Some(domain) = &cookie.domain {
        line.push_str("; Domain=");
        line.push_str(domain);
    }
    line.push_str("; Path=/");
    if let Some(date) = expires.to_calendar().and_then(|at| at.format(HEADER_DATE).ok()) {
        line.push_str("; Expires=");
        line.push_str(&date);
    }
    line.push_str("; HttpOnly");
    if cookie.secure {
        line.push_str("; Secure");
    }
    line.push_str(match cookie.same_site {
        SameSite::Strict => "; SameSite=Strict",
        SameSite::Lax => "; SameSite=Lax",
        SameSite::None => "; SameSite=None",
    });
    HeaderValue::from_str(&line).expect("tokens are URL-safe, and settings are checked at startup")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookie() -> CookieConfig {
        CookieConfig {
            name: "directus_refresh_token".to_owned(),
            secure: false,
            same_site: SameSite::Lax,
            domain: None,
        }
    }

    #[test]
    fn set_cookie_has_the_format_of_directus() {
        let now = Timestamp::from_millis(1_795_303_008_000);

        let line = set(&cookie(), "gDpC", Duration::from_hours(168), now);

        assert_eq!(
            line,
            "directus_refresh_token=gDpC; Max-Age=604800; Path=/; \
             Expires=Sat, 28 Nov 2026 23:16:48 GMT; HttpOnly; SameSite=Lax"
        );
    }

    #[test]
    fn a_cookie_is_deleted_with_the_attributes_it_was_set_with() {
        let strict = CookieConfig {
            secure: true,
            same_site: SameSite::Strict,
            domain: Some("example.com".to_owned()),
            ..cookie()
        };

        assert_eq!(
            empty(&strict),
            "directus_refresh_token=; Max-Age=0; Domain=example.com; Path=/; \
             Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; Secure; SameSite=Strict"
        );
    }

    #[test]
    fn a_cookie_is_found_by_its_exact_name() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("xa=1; a=2;b=; c=\"q\"; e = x=y "));
        headers.append(header::COOKIE, HeaderValue::from_static("d=4"));

        assert_eq!(find(&headers, "a"), Some("2"));
        assert_eq!(find(&headers, "b"), None);
        assert_eq!(find(&headers, "c"), Some("q"));
        assert_eq!(find(&headers, "d"), Some("4"));
        assert_eq!(find(&headers, "e"), Some("x=y"));
        assert_eq!(find(&headers, "f"), None);
        assert!(has(&headers, "b"));
        assert!(!has(&headers, "x"));
    }
}
