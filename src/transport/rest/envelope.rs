//! `{"data":…}`, preceded by `"meta":…` if counts were requested.
//!
//! Built by concatenating bytes in place: the domain returns JSON, which is not parsed again.

use bytes::Bytes;
use poem::Response;
use poem::http::header;
use poem::http::{HeaderValue, StatusCode};
use poem_openapi::types::ToJSON;
use serde_json::Value as Json;

use crate::domain::items::{Answer, Counts};

/// The content type of JSON responses.
pub const JSON: &str = "application/json; charset=utf-8";

/// Returns `200` with the result and its counts.
#[must_use]
pub fn list(answer: Answer) -> Response {
    ok(wrap(answer.data.into_string(), answer.counts))
}

/// Returns `200` with the result, without counts.
#[must_use]
pub fn one(answer: Answer) -> Response {
    ok(wrap(answer.data.into_string(), None))
}

/// Returns `200` with this JSON as data.
#[must_use]
pub fn data(data: &Json) -> Response {
    ok(wrap(data.to_string(), None))
}

/// Returns `200` with this value as data.
#[must_use]
pub fn value(value: &impl ToJSON) -> Response {
    ok(wrap(value.to_json_string(), None))
}

/// Returns `204` without a body.
#[must_use]
pub fn nothing() -> Response {
    Response::builder().status(StatusCode::NO_CONTENT).finish()
}

/// Marks a response that contains secrets as not cacheable.
#[must_use]
pub fn without_store(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn ok(body: Bytes) -> Response {
    Response::builder().content_type(JSON).body(body)
}

/// Wraps the data in its envelope, reusing its buffer if the capacity suffices.
fn wrap(data: String, counts: Option<Counts>) -> Bytes {
    let mut head = String::from("{");
    if let Some(counts) = counts {
        let named = [("total_count", counts.total), ("filter_count", counts.filter)];
        let shown = named.into_iter().filter_map(|(name, count)| Some((name, count?)));
        let shown = shown.map(|(name, count)| format!("\"{name}\":{count}")).collect::<Vec<_>>();
        head.push_str(r#""meta":{"#);
        head.push_str(&shown.join(","));
        head.push_str("},");
    }
    head.push_str(r#""data":"#);
    let mut body = data;
    body.reserve_exact(head.len() + "}".len());
    body.insert_str(0, &head);
    body.push('}');
    Bytes::from(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_requested_counts_precede_the_data() {
        let both = Counts { total: Some(13), filter: Some(1) };
        let one = Counts { total: None, filter: Some(0) };

        assert_eq!(wrap("[1]".into(), None), r#"{"data":[1]}"#);
        assert_eq!(
            wrap("[]".into(), Some(both)),
            r#"{"meta":{"total_count":13,"filter_count":1},"data":[]}"#
        );
        assert_eq!(wrap("[]".into(), Some(one)), r#"{"meta":{"filter_count":0},"data":[]}"#);
    }
}
