//! Request bodies: read within limits of size, time and memory, and parsed as JSON within limits of
//! nesting and memory.

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use poem::{Body, Request};
use serde_json::Value as Json;
use tokio::time::Instant;

use crate::domain::Error;
use crate::domain::memory::Reservation;
use crate::text::json;
use crate::transport::arrival;
use crate::transport::error::Refusal;
use crate::transport::json_size;
use crate::transport::lone_surrogates;
use crate::transport::rest::content_coding::Coding;

/// Initial capacity for a body. An announced length does not increase it.
const ROOM: usize = 8 << 10;
/// Maximum length of a content type in an error message.
const CONTENT_TYPE_SHOWN: usize = 100;

/// Returns the body of a request as bytes, decompressed if necessary, and reserves memory for them
/// beside the `other` reserved bytes.
///
/// # Errors
/// [`Refusal::ContentTooLarge`] above `bytes_max`, compressed or not; [`Refusal::OutOfTime`] if it
/// arrives too slowly (`arrival`); [`Refusal::UnsupportedCoding`]; [`Error::InvalidPayload`] if it
/// is incomplete or cannot be decompressed; and the error of the reservation.
pub async fn read(
    request: &mut Request,
    bytes_max: usize,
    memory: &mut Reservation,
    other: usize,
) -> Result<Bytes, Refusal> {
    let body = request.take_body();
    if body.is_empty() {
        return Ok(Bytes::new());
    }
    let coding = Coding::of(request.headers())?;
    let bytes = collect(body, bytes_max, memory, other, Instant::now()).await?;
    match coding {
        Some(coding) if !bytes.is_empty() => {
            // Before decompression, the only known bound of the size is the limit.
            memory.resize(other.saturating_add(bytes.len()).saturating_add(bytes_max))?;
            let inflated = coding.inflate(&bytes, bytes_max)?;
            memory.resize(other.saturating_add(inflated.len()))?;
            Ok(inflated)
        }
        _ => Ok(bytes),
    }
}

/// Returns the JSON of a body, or `None` if it is empty or its content type is not JSON: such a
/// body counts as absent. Reserves memory for the JSON and the body, beside the `other` bytes.
///
/// # Errors
/// [`Error::InvalidPayload`] if it is not JSON, neither an object nor a list, nested deeper than
/// `depth_max`, or has numbers that would be rounded; [`Error::LimitExceeded`] if it would exceed
/// the owner's whole budget; and the error of the reservation.
pub fn parse(
    content_type: Option<&str>,
    body: &Bytes,
    depth_max: usize,
    memory: &mut Reservation,
    other: usize,
) -> Result<Option<Json>, Error> {
    if !content_type.is_some_and(is_json) || body.is_empty() {
        return Ok(None);
    }
    json::check(body, depth_max).map_err(|unfit| Error::payload(unfit.to_string()))?;
    let tree = other.saturating_add(json_size::of_tree(body));
    if tree + body.len() > memory.max() {
        return Err(Error::LimitExceeded(
            "the JSON of the request has so many values that it would take too much memory: send fewer \
             items at a time"
                .to_owned(),
        ));
    }
    memory.resize(tree + body.len())?;
    match lone_surrogates::from_slice::<Json>(body) {
        Ok(json @ (Json::Object(_) | Json::Array(_))) => Ok(Some(json)),
        Ok(_) => Err(Error::payload("The body has to be a JSON object or a list")),
        Err(error) => Err(Error::payload(format!("The body is not JSON: {error}"))),
    }
}

/// Requires the content type of a body to be JSON.
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

async fn collect(
    body: Body,
    bytes_max: usize,
    memory: &mut Reservation,
    other: usize,
    begun: Instant,
) -> Result<Bytes, Refusal> {
    let mut chunks = Box::pin(body.into_bytes_stream());
    let mut collected = BytesMut::new();
    loop {
        let due = begun + arrival::allowed(collected.len() as u64);
        let next = tokio::time::timeout_at(due, chunks.next()).await;
        let Some(chunk) = next.map_err(|_| Refusal::OutOfTime)? else { break };
        let chunk = chunk.map_err(|_| Error::payload("The request body broke off"))?;
        if collected.len() + chunk.len() > bytes_max {
            return Err(Refusal::ContentTooLarge);
        }
        reserve(&mut collected, chunk.len(), memory, other)?;
        collected.extend_from_slice(&chunk);
    }
    Ok(collected.freeze())
}

/// Grows the buffer of a body, doubling its capacity. While the content is moved, both buffers are
/// held and reserved.
fn reserve(
    collected: &mut BytesMut,
    more: usize,
    memory: &mut Reservation,
    other: usize,
) -> Result<(), Error> {
    let (length, needed) = (collected.len(), collected.len() + more);
    if needed > collected.capacity() {
        let room = needed.max(2 * length).max(ROOM);
        memory.resize(other.saturating_add(room).saturating_add(length))?;
        collected.reserve(room - length);
        // The smaller buffer has been freed.
        memory.resize(other.saturating_add(collected.capacity()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use crate::domain::memory::VISITORS_SHARE;
    use crate::domain::memory::budget;
    use crate::domain::quota::Owner;

    use super::*;

    const PLENTY: usize = 1 << 30;

    fn memory(bytes_max: usize) -> Reservation {
        Reservation::new(&budget(bytes_max), Owner::Visitors(None))
    }

    fn parse(content_type: Option<&str>, body: &[u8], depth: usize) -> Result<Option<Json>, Error> {
        super::parse(content_type, &Bytes::copy_from_slice(body), depth, &mut memory(PLENTY), 0)
    }

    async fn read(request: &mut Request, bytes_max: usize) -> Result<Bytes, Refusal> {
        super::read(request, bytes_max, &mut memory(PLENTY), 0).await
    }

    #[test]
    fn a_body_is_a_json_object_or_array() {
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
    fn numbers_that_would_be_rounded_are_rejected() {
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
    fn the_nesting_of_a_body_is_limited() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let json = Some("application/json");

        for most in [8, 32] {
            let deeper = nested(most + 1);

            assert!(parse(json, nested(most).as_bytes(), most).is_ok());
            assert!(matches!(parse(json, deeper.as_bytes(), most), Err(Error::InvalidPayload(_))));
        }
    }

    #[tokio::test]
    async fn a_body_over_the_size_limit_is_rejected() {
        let read = async |text: &str| {
            let mut request = Request::builder().body(text.to_owned());
            read(&mut request, 5).await
        };

        assert_eq!(read("12345").await.unwrap(), "12345");
        assert!(matches!(read("123456").await, Err(Refusal::ContentTooLarge)));
    }

    #[tokio::test]
    async fn a_slow_body_times_out() {
        let dripping = futures_util::stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            Some((Ok::<_, std::io::Error>("x"), ()))
        });
        let begun = Instant::now().checked_sub(Duration::from_millis(9500)).unwrap();

        let body = Body::from_bytes_stream(dripping);
        let read = collect(body, 1 << 20, &mut memory(PLENTY), 0, begun).await;

        assert!(matches!(read, Err(Refusal::OutOfTime)));
    }

    #[tokio::test]
    async fn the_memory_of_a_body_and_its_json_is_reserved_and_released() {
        let owner = Owner::Visitors(None);
        let shares = budget(VISITORS_SHARE << 20);
        let mut held = Reservation::new(&shares, owner);
        let pieces = || {
            let pieces = (0..50).map(|_| Ok::<_, std::io::Error>(vec![b' '; 10_000]));
            Request::builder().body(Body::from_bytes_stream(futures_util::stream::iter(pieces)))
        };

        let body = super::read(&mut pieces(), PLENTY, &mut held, 0).await.unwrap();
        assert!(held.left() < (1 << 20) - body.len(), "{}", held.left());
        let mut second = Reservation::new(&shares, owner);
        let refused = super::read(&mut pieces(), PLENTY, &mut second, 0).await;
        assert!(matches!(refused, Err(Refusal::Domain(Error::ShareExceeded { .. }))));
        drop(second);
        let many = Bytes::from(format!("[{}0]", "[0],".repeat(1500)));
        let refused = super::parse(Some("application/json"), &many, 32, &mut held, 1 << 19);
        assert!(matches!(refused, Err(Error::LimitExceeded(_))));
        drop(held);

        assert_eq!(Reservation::new(&shares, owner).left(), 1 << 20);
    }
}
