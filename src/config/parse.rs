//! Parsers for the values of settings, in the formats of Directus.
//!
//! A parser turns the text of a setting into a value, or returns the expected format in words that
//! follow "should be". Parsers know neither the names of settings nor where they are stored.

use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use url::Url;

use crate::config::Secret;
use crate::text::names;

/// The unit of a duration that is written as a plain number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DefaultUnit {
    /// Milliseconds, as in `ACCESS_TOKEN_TTL` and `LOGIN_STALL_TIME`.
    Milliseconds,
    /// Seconds, as in `WEBSOCKETS_HEARTBEAT_PERIOD`.
    Seconds,
}

/// Units of durations in milliseconds, in the spellings that Directus accepts.
const DURATION_UNITS: &[(&[&str], f64)] = &[
    (&["ms", "msec", "msecs", "millisecond", "milliseconds"], 1.0),
    (&["s", "sec", "secs", "second", "seconds"], 1_000.0),
    (&["m", "min", "mins", "minute", "minutes"], 60_000.0),
    (&["h", "hr", "hrs", "hour", "hours"], 3_600_000.0),
    (&["d", "day", "days"], 86_400_000.0),
    (&["w", "week", "weeks"], 604_800_000.0),
    (&["y", "yr", "yrs", "year", "years"], 31_557_600_000.0),
];

/// Units of sizes in bytes.
const SIZE_UNITS: &[(&[&str], f64)] = &[
    (&["", "b"], 1.0),
    (&["kb"], 1024.0),
    (&["mb"], 1_048_576.0),
    (&["gb"], 1_073_741_824.0),
    (&["tb"], 1_099_511_627_776.0),
];

/// Returns the text if it is valid, otherwise the expected format.
pub fn accept(value: &str, is_valid: bool, should: &str) -> Result<String, String> {
    if is_valid { Ok(value.to_owned()) } else { Err(should.to_owned()) }
}

/// A line of text.
pub fn text(value: &str) -> Result<String, String> {
    accept(value, !value.chars().any(char::is_control), "one line of text")
}

/// A line of text; `None` for an empty one.
pub fn text_or_none(value: &str) -> Result<Option<String>, String> {
    Ok(Some(text(value)?).filter(|text| !text.is_empty()))
}

/// The path of a file, relative to the working directory or absolute.
pub fn file(value: &str) -> Result<PathBuf, String> {
    let is_file = !value.ends_with(['/', '.']) && !value.contains('\0');
    accept(value, is_file, "the path of a file").map(PathBuf::from)
}

/// A secret of at least `min` characters.
pub fn secret(min: usize) -> impl Fn(&str) -> Result<Secret, String> {
    move |value| {
        let should = format!("a text of at least {min} characters");
        accept(value, value.chars().count() >= min, &should).map(Secret)
    }
}

/// An address to listen on.
pub fn host(value: &str) -> Result<IpAddr, String> {
    if value.eq_ignore_ascii_case("localhost") {
        return Ok(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    value.parse().map_err(|_| "an IP address, such as 127.0.0.1, 0.0.0.0 or ::".to_owned())
}

/// The URL under which browsers reach the service, without a trailing slash unless it is just `/`.
pub fn public_url(value: &str) -> Result<String, String> {
    let rest = value.strip_prefix("https://").or_else(|| value.strip_prefix("http://"));
    let complete = rest.is_some_and(|rest| {
        !rest.is_empty() && !rest.starts_with('/') && !rest.contains([' ', '?', '#'])
    });
    let url = if complete { value.trim_end_matches('/') } else { value };
    accept(url, complete || url == "/", "an address, such as https://chat.example.com, or /")
}

/// An integer within inclusive bounds.
pub fn number<T: TryFrom<u64>>(min: u64, max: u64) -> impl Fn(&str) -> Result<T, String> {
    move |value| {
        let number = value.parse().ok().filter(|number| (min..=max).contains(number));
        number.and_then(|number| T::try_from(number).ok()).ok_or_else(|| between(min, max))
    }
}

/// An integer from 1 to `max`, or `-1` for no bound.
pub fn number_or_none<T: TryFrom<u64>>(max: u64) -> impl Fn(&str) -> Result<Option<T>, String> {
    move |value| {
        if value == "-1" {
            return Ok(None);
        }
        number(1, max)(value).map(Some).map_err(|form| format!("{form}, or -1 for no limit"))
    }
}

/// A boolean.
pub fn boolean(value: &str) -> Result<bool, String> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err("true or false".to_owned()),
    }
}

/// The name of a variant, ignoring case.
pub fn choice<T: ValueEnum>(value: &str) -> Result<T, String> {
    T::from_str(value, true).map_err(|_| {
        let names = T::value_variants().iter().filter_map(T::to_possible_value);
        let names: Vec<String> = names.map(|name| name.get_name().to_owned()).collect();
        let one_of = if names.len() > 1 { "one of " } else { "" };
        format!("{one_of}{}", names.join(", "))
    })
}

/// A duration of at least `min` milliseconds; a plain number is in milliseconds.
pub fn milliseconds(min: u64) -> impl Fn(&str) -> Result<Duration, String> {
    duration(DefaultUnit::Milliseconds, Duration::from_millis(min))
}

/// A duration of at least `min` milliseconds; a plain number is in seconds.
pub fn seconds(min: u64) -> impl Fn(&str) -> Result<Duration, String> {
    duration(DefaultUnit::Seconds, Duration::from_millis(min))
}

/// A duration of at least `min`: a number with a unit (`15m`, `7d`, `500ms`), or a plain one.
fn duration(default_unit: DefaultUnit, min: Duration) -> impl Fn(&str) -> Result<Duration, String> {
    /// Longer durations would exceed the calendar.
    const MAX: Duration = Duration::from_hours(100 * 366 * 24);
    move |value| {
        let (number, unit) = split_unit(value);
        let millis_each = match (unit.as_str(), default_unit) {
            ("", DefaultUnit::Milliseconds) => Some(1.0),
            ("", DefaultUnit::Seconds) => Some(1_000.0),
            (unit, _) => find_unit(DURATION_UNITS, unit),
        };
        let seconds = number.zip(millis_each).map(|(number, millis)| number * millis / 1_000.0);
        seconds
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .filter(|duration| (min..=MAX).contains(duration))
            .ok_or_else(|| {
                let plain = match default_unit {
                    DefaultUnit::Milliseconds => "milliseconds",
                    DefaultUnit::Seconds => "seconds",
                };
                let least =
                    if min.is_zero() { String::new() } else { format!(" of at least {min:?}") };
                format!("a duration{least}, such as 500ms, 10s, 15m or 7d, or a number of {plain}")
            })
    }
}

/// A size in bytes within inclusive bounds: `1mb`, `100kb`, or a plain number of bytes.
pub fn size(min: u64, max: u64) -> impl Fn(&str) -> Result<usize, String> {
    move |value| {
        let (number, unit) = split_unit(value);
        let bytes = number.zip(find_unit(SIZE_UNITS, &unit)).map(|(number, each)| number * each);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the number is not negative, and a cast of floats stops at the bounds"
        )]
        let bytes = bytes.map(|bytes| bytes.floor() as u64);
        bytes
            .filter(|bytes| (min..=max).contains(bytes))
            .and_then(|bytes| usize::try_from(bytes).ok())
            .ok_or_else(|| {
                format!("a size from {} to {}, such as 100kb or 1mb", in_units(min), in_units(max))
            })
    }
}

/// The size of a message or of its parts.
pub fn message_size(value: &str) -> Result<usize, String> {
    size(1 << 10, 1 << 30)(value)
}

/// The size of memory or storage for many clients.
pub fn budget(value: &str) -> Result<usize, String> {
    size(1 << 20, 1 << 40)(value)
}

/// A number of events per second, or of connections.
pub fn rate<T: TryFrom<u64>>(value: &str) -> Result<T, String> {
    number(1, 10_000_000)(value)
}

/// An email address: text, one `@`, text, no spaces.
pub fn email(value: &str) -> Result<String, String> {
    let parts = value.split_once('@');
    let complete = parts
        .is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'));
    let is_email = complete && !value.contains(char::is_whitespace);
    accept(value, is_email, "an email address, such as admin@example.com")
}

/// The name of a cookie: a token of RFC 6265.
pub fn cookie_name(value: &str) -> Result<String, String> {
    let should = "the name of a cookie: letters, digits and any of !#$%&'*+-.^_`|~";
    accept(value, is_token(value), should)
}

/// Returns whether the text is a token of HTTP: the name of a method, a header or a cookie.
pub fn is_token(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_allowed)
}

/// URLs of pages, separated by commas.
pub fn urls(value: &str) -> Result<Vec<Url>, String> {
    names(value)
        .map(|part| Url::parse(part).ok().filter(Url::has_host))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| {
            "addresses of pages, separated by commas, such as https://chat.example.com/welcome"
                .to_owned()
        })
}

/// The domain of a cookie.
pub fn domain(value: &str) -> Result<String, String> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    accept(value, value.bytes().all(is_allowed), "a domain, such as example.com")
}

/// A log level in Directus's words, or filters as `tracing` accepts them
/// (`info,chinwag::store=debug`). Returns filters in either case.
pub fn log_level(value: &str) -> Result<String, String> {
    let level = match value.to_ascii_lowercase().as_str() {
        "silent" => "off".to_owned(),
        "fatal" => "error".to_owned(),
        level @ ("trace" | "debug" | "info" | "warn" | "error" | "off") => level.to_owned(),
        _ if value.contains('=') && tracing_subscriber::EnvFilter::try_new(value).is_ok() => {
            value.to_owned()
        }
        _ => {
            return Err("one of trace, debug, info, warn, error, fatal, silent, or filters by \
                        module, such as info,chinwag::store=debug"
                .to_owned());
        }
    };
    Ok(level)
}

/// Splits `1.5 mb` into its number, if it is valid and not negative, and its unit in lower case.
fn split_unit(value: &str) -> (Option<f64>, String) {
    let end = value.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(value.len());
    let (number, unit) = value.split_at(end);
    (number.parse().ok(), unit.trim().to_ascii_lowercase())
}

fn find_unit(units: &[(&[&str], f64)], unit: &str) -> Option<f64> {
    units.iter().find(|(names, _)| names.contains(&unit)).map(|(_, each)| *each)
}

fn between(min: impl Display, max: impl Display) -> String {
    format!("a whole number from {min} to {max}")
}

/// Formats a number of bytes in the largest unit that divides it.
fn in_units(bytes: u64) -> String {
    let units = [(1 << 30, "gb"), (1 << 20, "mb"), (1 << 10, "kb")];
    let unit = units.into_iter().find(|(each, _)| bytes >= *each && bytes.is_multiple_of(*each));
    unit.map_or_else(|| format!("{bytes}b"), |(each, unit)| format!("{}{unit}", bytes / each))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SameSite;

    #[test]
    fn durations_have_the_format_of_directus() {
        for (text, plain, millis) in [
            ("15m", DefaultUnit::Milliseconds, Some(900_000)),
            ("7d", DefaultUnit::Milliseconds, Some(604_800_000)),
            ("1d", DefaultUnit::Milliseconds, Some(86_400_000)),
            ("10s", DefaultUnit::Milliseconds, Some(10_000)),
            ("10 seconds", DefaultUnit::Milliseconds, Some(10_000)),
            ("500ms", DefaultUnit::Seconds, Some(500)),
            ("1.5h", DefaultUnit::Milliseconds, Some(5_400_000)),
            (".5s", DefaultUnit::Milliseconds, Some(500)),
            ("2W", DefaultUnit::Milliseconds, Some(1_209_600_000)),
            ("900000", DefaultUnit::Milliseconds, Some(900_000)),
            ("30", DefaultUnit::Seconds, Some(30_000)),
            ("0", DefaultUnit::Milliseconds, Some(0)),
            ("-1s", DefaultUnit::Milliseconds, None),
            ("10 parsecs", DefaultUnit::Milliseconds, None),
            ("m", DefaultUnit::Milliseconds, None),
            ("1.2.3s", DefaultUnit::Milliseconds, None),
            ("1000y", DefaultUnit::Milliseconds, None),
            ("99999999999999999999999999y", DefaultUnit::Milliseconds, None),
        ] {
            let found = duration(plain, Duration::ZERO)(text).ok();

            assert_eq!(found, millis.map(Duration::from_millis), "{text} {plain:?}");
        }
    }

    #[test]
    fn a_duration_error_names_the_minimum() {
        let refused = duration(DefaultUnit::Milliseconds, Duration::from_secs(1))("999");

        assert_eq!(
            refused.unwrap_err(),
            "a duration of at least 1s, such as 500ms, 10s, 15m or 7d, or a number of milliseconds"
        );
    }

    #[test]
    fn sizes_are_parsed_with_and_without_units() {
        for (text, bytes) in [
            ("1mb", Some(1_048_576)),
            ("100kb", Some(102_400)),
            ("1.5 MB", Some(1_572_864)),
            ("4096", Some(4096)),
            ("4096b", Some(4096)),
            ("1mib", None),
            ("-1", None),
            ("", None),
            ("100tb", None),
            ("999", None),
        ] {
            assert_eq!(size(1024, 1 << 30)(text).ok(), bytes, "{text}");
        }
        assert_eq!(
            size(1024, 1 << 30)("x").unwrap_err(),
            "a size from 1kb to 1gb, such as 100kb or 1mb"
        );
    }

    #[test]
    fn numbers_are_limited_to_their_range() {
        assert_eq!(number::<u16>(0, 65535)("8055"), Ok(8055));
        assert_eq!(
            number::<u16>(0, 65535)("80555"),
            Err("a whole number from 0 to 65535".to_owned())
        );
        assert!(number::<u32>(1, 4)("0").is_err());
        assert!(number::<u32>(1, 4)("2.5").is_err());
        assert_eq!(number_or_none::<u64>(10)("-1"), Ok(None));
        assert_eq!(number_or_none(10)("7"), Ok(Some(7)));
        assert!(number_or_none::<u64>(10)("-2").is_err());
    }

    #[test]
    fn booleans_and_choices_are_case_insensitive() {
        assert_eq!(boolean("TRUE"), Ok(true));
        assert_eq!(boolean("0"), Ok(false));
        assert!(boolean("yes").is_err());
        assert_eq!(choice("Strict"), Ok(SameSite::Strict));
        assert_eq!(choice::<SameSite>("maybe"), Err("one of lax, strict, none".to_owned()));
    }

    #[test]
    fn urls_hosts_and_email_addresses_are_validated() {
        for (text, good) in [
            ("https://chat.example.com", true),
            ("/", true),
            ("chat.example.com", false),
            ("http://", false),
        ] {
            assert_eq!(public_url(text).is_ok(), good, "{text}");
        }
        assert_eq!(public_url("https://x.org/chat/"), Ok("https://x.org/chat".to_owned()));
        for (text, good) in
            [("a@b", true), ("a b@c", false), ("@b", false), ("a@b@c", false), ("a@", false)]
        {
            assert_eq!(email(text).is_ok(), good, "{text}");
        }
        assert_eq!(host("localhost"), Ok("127.0.0.1".parse().unwrap()));
        assert!(host("chat.example.com").is_err());
        assert!(cookie_name("a=b").is_err());
        assert!(domain("a;b").is_err());
    }

    #[test]
    fn log_levels_have_the_names_of_directus() {
        assert_eq!(log_level("Silent"), Ok("off".to_owned()));
        assert_eq!(log_level("fatal"), Ok("error".to_owned()));
        assert_eq!(log_level("info,chinwag=debug"), Ok("info,chinwag=debug".to_owned()));
        for wrong in ["loud", "info,debug", "info,chinwag=loud"] {
            let should = log_level(wrong).unwrap_err();
            assert!(should.contains("silent") && should.contains("info,chinwag::store=debug"));
        }
    }
}
