//! Request bodies: read within bounds of size and time, and parsed as JSON within bounds of depth.

use std::time::Duration;

use bytes::Bytes;
use bytes::BytesMut;
use futures_util::StreamExt;
use poem::Body;
use poem::Request;
use serde_json::Value as Json;
use tokio::time::Instant;

use crate::domain::Error;
use crate::text::json;
use crate::transport::error::Refusal;
use crate::transport::lone_surrogates;
use crate::transport::rest::content_coding::Coding;

/// How long a body may take to arrive.
const ARRIVAL_MAX: Duration = Duration::from_secs(30);
/// How long it may take that is small, and what larger ones have to bring each second beyond that.
const ARRIVAL_MIN: Duration = Duration::from_secs(10);
const BYTES_PER_SECOND: u64 = 1024;
/// How much of a content type an error shows.
const CONTENT_TYPE_SHOWN: usize = 100;

/// Returns the body of a request as bytes, inflated if it was compressed.
///
/// # Errors
/// [`Refusal::ContentTooLarge`] above `bytes_max`, compressed or not; [`Refusal::OutOfTime`] if it drips
/// or takes half a minute; [`Refusal::UnsupportedCoding`]; [`Error::InvalidPayload`] if it is incomplete
/// or cannot be inflated.
pub async fn read(request: &mut Request, bytes_max: usize) -> Result<Bytes, Refusal> {
    let body = request.take_body();
    if body.is_empty() {
        return Ok(Bytes::new());
    }
    let coding = Coding::of(request.headers())?;
    let bytes = collect(body, bytes_max, Instant::now()).await?;
    match coding {
        Some(coding) if !bytes.is_empty() => coding.inflate(&bytes, bytes_max),
        _ => Ok(bytes),
    }
}

/// Returns when more has to have come of a body that began then, of which so much is there.
fn due(begun: Instant, received: usize) -> Instant {
    let earned = Duration::from_secs(received as u64 / BYTES_PER_SECOND);
    begun + (ARRIVAL_MIN + earned).min(ARRIVAL_MAX)
}

/// Returns the JSON of a body, or `None` if it is empty or of another content type than JSON: such
/// a body counts as absent.
///
/// # Errors
/// [`Error::InvalidPayload`] if it is no JSON, neither an object nor a list, nests deeper than `depth_max` or
/// has numbers that would be rounded.
pub fn parse(
    content_type: Option<&str>,
    body: &[u8],
    depth_max: usize,
) -> Result<Option<Json>, Error> {
    if !content_type.is_some_and(is_json) || body.is_empty() {
        return Ok(None);
    }
    json::check(body, depth_max).map_err(|unfit| Error::payload(unfit.to_string()))?;
    match lone_surrogates::from_slice::<Json>(body) {
        Ok(json @ (Json::Object(_) | Json::Array(_))) => Ok(Some(json)),
        Ok(_) => Err(Error::payload("The body has to be a JSON object or a list")),
        Err(error) => Err(Error::payload(format!("The body is not JSON: {error}"))),
    }
}

/// Makes sure that a body is said to be JSON.
///
/// # Errors
/// [`Error::InvalidPayload`], naming the content type.
pub fn require_json(content_type: Option<&str>) -> Result<(), Error> {
    if content_type.is_some_and(is_json) {
        return Ok(());
    }
    let found = match content_type {
        Some(content_type) => {
            let content_type: String = content_type.chars().take(CONTENT_TYPE_SHOWN).collect();
            format!("The body has the Content-Type \"{content_type}\", not JSON")
        }
        None => "The body has no Content-Type".to_owned(),
    };
    Err(Error::payload(format!("{found}: send it with \"Content-Type: application/json\"")))
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

async fn collect(body: Body, bytes_max: usize, begun: Instant) -> Result<Bytes, Refusal> {
    let mut chunks = Box::pin(body.into_bytes_stream());
    let mut collected = BytesMut::new();
    loop {
        let next = tokio::time::timeout_at(due(begun, collected.len()), chunks.next()).await;
        let Some(chunk) = next.map_err(|_| Refusal::OutOfTime)? else { break };
        let chunk = chunk.map_err(|_| Error::payload("The request body broke off"))?;
        if collected.len() + chunk.len() > bytes_max {
            return Err(Refusal::ContentTooLarge);
        }
        collected.extend_from_slice(&chunk);
    }
    Ok(collected.freeze())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_json_objects_and_lists_are_bodies() {
        let json = Some("application/json; charset=utf-8");

        assert_eq!(parse(json, br#"{"a":1}"#, 32).unwrap(), Some(json!({"a": 1})));
        assert_eq!(parse(Some("Application/JSON"), b"[]", 32).unwrap(), Some(json!([])));
        assert_eq!(parse(json, b"", 32).unwrap(), None);
        assert_eq!(parse(Some("text/plain"), b"{}", 32).unwrap(), None);
        assert_eq!(parse(None, b"{}", 32).unwrap(), None);
        for refused in [&b"{\"a\":"[..], b"\"text\"", b"5", b"null", b"\xff"] {
            assert!(
                matches!(parse(json, refused, 32), Err(Error::InvalidPayload(_))),
                "{refused:?}"
            );
        }
    }

    #[test]
    fn numbers_are_kept_or_refused() {
        let json = Some("application/json");
        let kept = parse(json, br#"{"a":9007199254740993}"#, 32).unwrap().unwrap();

        assert_eq!(kept["a"].to_string(), "9007199254740993");
        for number in ["123456789012345678901234567890", "1e400", "9007199254740993.0"] {
            let refused = parse(json, format!("[{number}]").as_bytes(), 32).unwrap_err();

            let Error::InvalidPayload(reason) = refused else { panic!("{number}: {refused}") };
            assert!(reason.starts_with(&format!("The number {number} would be")), "{reason}");
        }
    }

    #[test]
    fn a_body_nests_as_deep_as_it_may_and_no_deeper() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let json = Some("application/json");

        for most in [8, 32] {
            let deeper = nested(most + 1);

            assert!(parse(json, nested(most).as_bytes(), most).is_ok());
            assert!(matches!(parse(json, deeper.as_bytes(), most), Err(Error::InvalidPayload(_))));
        }
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused() {
        let read = async |text: &str| {
            let mut request = Request::builder().body(text.to_owned());
            read(&mut request, 5).await
        };

        assert_eq!(read("12345").await.unwrap(), "12345");
        assert!(matches!(read("123456").await, Err(Refusal::ContentTooLarge)));
    }

    #[tokio::test]
    async fn a_body_that_drips_is_not_waited_for() {
        let dripping = futures_util::stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            Some((Ok::<_, std::io::Error>("x"), ()))
        });
        let begun = Instant::now().checked_sub(ARRIVAL_MIN.mul_f32(0.95)).unwrap();

        let read = collect(Body::from_bytes_stream(dripping), 1 << 20, begun).await;

        assert!(matches!(read, Err(Refusal::OutOfTime)));
    }

    #[test]
    fn a_body_has_the_longer_the_larger_it_is_up_to_a_bound() {
        let begun = Instant::now();

        for (received, seconds) in
            [(0, 10), (1023, 10), (5 << 10, 15), (20 << 10, 30), (1 << 20, 30)]
        {
            assert_eq!(due(begun, received), begun + Duration::from_secs(seconds));
        }
    }
}
