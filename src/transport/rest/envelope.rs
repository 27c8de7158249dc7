//! `{"data":…}`, with `"meta":…` before it where counts were asked for.
//!
//! Built by joining bytes, in place: what the domain answers is JSON already and is not looked at again.

use bytes::Bytes;
use poem::Response;
use poem::http::HeaderValue;
use poem::http::StatusCode;
use poem::http::header;
use serde_json::Value as Json;

use crate::domain::items::Answer;
use crate::domain::items::Counts;

/// The content type of every JSON answer.
pub const JSON: &str = "application/json; charset=utf-8";

/// Returns `200` with an answer of the domain, counts included.
#[must_use]
pub fn list(answer: Answer) -> Response {
    ok(wrap(answer.data.into_string(), answer.counts))
}

/// Returns `200` with an answer of the domain, without counts.
#[must_use]
pub fn one(answer: Answer) -> Response {
    ok(wrap(answer.data.into_string(), None))
}

/// Returns `200` with some JSON as the data.
#[must_use]
pub fn data(data: &Json) -> Response {
    ok(wrap(data.to_string(), None))
}

/// Returns `204` without a body.
#[must_use]
pub fn nothing() -> Response {
    Response::builder().status(StatusCode::NO_CONTENT).finish()
}

/// Keeps an answer with secrets in it out of caches.
#[must_use]
pub fn without_store(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn ok(body: Bytes) -> Response {
    Response::builder().content_type(JSON).body(body)
}

/// Puts the data into its envelope, within its own memory as far as there is room.
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
    fn data_stands_alone_or_after_the_counts_asked_for() {
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
