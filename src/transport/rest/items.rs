//! Handlers for items of any collection: decode the request, call the domain, encode the response.

use percent_encoding::utf8_percent_encode;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};
use poem::Response;
use poem::http::HeaderValue;
use serde_json::{Map, Value as Json};

use crate::domain::Error;
use crate::domain::items::{Answer, Update, Which, Written};
use crate::model::Collection;
use crate::model::collection::SINGLE_KEY;
use crate::transport::error::Refusal;
use crate::transport::rest::envelope;
use crate::transport::rest::export;
use crate::transport::rest::fields;
use crate::transport::rest::fields::not_an_object;
use crate::transport::rest::fields::nothing_else;
use crate::transport::rest::operation::{Reply, RequestContext};

/// Characters escaped in the header `Ignored-Fields`: all but letters, digits and `-._~`.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// `GET` of a list.
pub(super) async fn list(call: RequestContext) -> Reply {
    let collection = call.collection()?;
    let which = Which::Query(call.query()?);
    let answer =
        call.context.services.items.read(call.actor(), collection, which, &Json::Null).await?;
    Ok(listed(&call, collection, answer))
}

/// `SEARCH`: a list, with the query in the body.
pub(super) async fn search(mut call: RequestContext) -> Reply {
    let collection = call.collection()?;
    let body = call.body().await?;
    let address = call.query()?;
    let (which, query) = searched(body, address)?;
    let answer = call.context.services.items.read(call.actor(), collection, which, &query).await?;
    Ok(listed(&call, collection, answer))
}

/// `GET` of one item.
pub(super) async fn one(call: RequestContext) -> Reply {
    let collection = call.collection()?;
    let query = call.query()?;
    let answer =
        call.context.services.items.read(call.actor(), collection, call.item(), &query).await?;
    Ok(shown(&call, collection, answer))
}

/// Returns the response to a read without counts: JSON, or a file if the query requests one.
pub(super) fn shown(
    call: &RequestContext,
    collection: &'static Collection,
    answer: Answer,
) -> Response {
    let file = export::file(collection, &answer, call.context.services.clock.now());
    file.unwrap_or_else(|| envelope::one(answer))
}

/// Returns the response to a list: JSON, or a file if the query requests one.
fn listed(call: &RequestContext, collection: &'static Collection, answer: Answer) -> Response {
    let file = export::file(collection, &answer, call.context.services.clock.now());
    file.unwrap_or_else(|| envelope::list(answer))
}

/// `GET` and, with the query in the body, `SEARCH` of a singleton.
pub(super) async fn single(mut call: RequestContext) -> Reply {
    let collection = call.collection()?;
    let address = call.query()?;
    let query = match call.request().method().as_str() {
        "SEARCH" => searched_single(call.body().await?, address)?,
        _ => address,
    };
    let which = Which::One(Json::from(SINGLE_KEY));
    let answer = call.context.services.items.read(call.actor(), collection, which, &query).await?;
    Ok(shown(&call, collection, answer))
}

/// `PATCH` of a singleton.
pub(super) async fn update_single(mut call: RequestContext) -> Reply {
    let payload = fields::object(call.values().await?)?;
    update(&call, Which::One(Json::from(SINGLE_KEY)), payload).await
}

/// `POST` of one item or a list. Without a body it creates one item without values.
pub(super) async fn create(mut call: RequestContext) -> Reply {
    let collection = call.collection()?;
    let payload = call.values().await?.unwrap_or_else(|| Json::Object(Map::new()));
    let query = call.query()?;
    let items = &call.context.services.items;
    written(match idempotency_key(&call)? {
        Some(key) => items.create_once(call.actor(), collection, payload, &query, key).await?,
        None => items.create(call.actor(), collection, payload, &query).await?,
    })
}

/// Returns the idempotency key of a create, if the request has one.
fn idempotency_key(call: &RequestContext) -> Result<Option<String>, Error> {
    let Some(key) = call.headers().get("idempotency-key") else { return Ok(None) };
    match key.to_str() {
        Ok(key) => Ok(Some(key.to_owned())),
        Err(_) => Err(Error::payload("the header Idempotency-Key must be plain text")),
    }
}

/// `PATCH` of one item.
pub(super) async fn update_one(mut call: RequestContext) -> Reply {
    let payload = fields::object(call.values().await?)?;
    let which = call.item();
    update(&call, which, payload).await
}

/// Sets the same fields on the selected items.
pub(super) async fn update(
    call: &RequestContext,
    which: Which,
    payload: Map<String, Json>,
) -> Reply {
    let query = call.query()?;
    let update = Update::Same(which, Json::Object(payload));
    let items = &call.context.services.items;
    written(items.update(call.actor(), call.collection()?, update, &query).await?)
}

/// `PATCH` of several items.
pub(super) async fn update_many(mut call: RequestContext) -> Reply {
    let collection = call.collection()?;
    let update = updated(call.values().await?)?;
    let query = call.query()?;
    let items = &call.context.services.items;
    written(items.update(call.actor(), collection, update, &query).await?)
}

/// `DELETE` of one item.
pub(super) async fn delete_one(call: RequestContext) -> Reply {
    let collection = call.collection()?;
    call.context.services.items.delete(call.actor(), collection, call.item()).await?;
    Ok(envelope::nothing())
}

/// `DELETE` of several items.
pub(super) async fn delete_many(mut call: RequestContext) -> Reply {
    let collection = call.collection()?;
    let which = deleted(call.body().await?)?;
    call.context.services.items.delete(call.actor(), collection, which).await?;
    Ok(envelope::nothing())
}

/// Returns the response to a write. The write has been committed; if the caller may not read the
/// result, the response has no body. A header lists unknown fields of the payload.
fn written(written: Written) -> Result<Response, Refusal> {
    let mut response = match written.answer {
        Ok(answer) => envelope::one(answer),
        Err(Error::Forbidden(_)) => envelope::nothing(),
        Err(other) => return Err(other.into()),
    };
    if !written.ignored.is_empty() {
        let names = written.ignored.iter().map(|name| utf8_percent_encode(name, ESCAPED));
        let names = names.map(|name| name.to_string()).collect::<Vec<_>>().join(", ");
        if let Ok(names) = HeaderValue::try_from(names) {
            response.headers_mut().insert("ignored-fields", names);
        }
    }
    Ok(response)
}

/// Returns the items selected by a `SEARCH`, and the query that shapes the response. A query in the
/// body replaces that of the URL.
fn searched(body: Option<Json>, address: Json) -> Result<(Which, Json), Error> {
    let mut body = fields::object(body)?;
    nothing_else(&body, &["keys", "query"])?;
    let query = optional_query(&mut body)?.unwrap_or(address);
    Ok(match optional_keys(&mut body)? {
        Some(keys) => (Which::Keys(keys), query),
        None => (Which::Query(query), Json::Null),
    })
}

/// Returns the query of a `SEARCH` on a singleton.
fn searched_single(body: Option<Json>, address: Json) -> Result<Json, Error> {
    let mut body = fields::object(body)?;
    nothing_else(&body, &["query"])?;
    Ok(optional_query(&mut body)?.unwrap_or(address))
}

/// Returns the changes of a `PATCH` of several items.
fn updated(body: Option<Json>) -> Result<Update, Error> {
    let mut body = match body {
        None => return Err(missing()),
        Some(Json::Array(items)) => return Ok(Update::Each(items)),
        Some(Json::Object(body)) => body,
        Some(_) => return Err(not_an_object()),
    };
    nothing_else(&body, &["keys", "query", "data"])?;
    let payload = match body.remove("data") {
        None => return Err(Error::payload("\"data\" is required")),
        Some(payload @ Json::Object(_)) => payload,
        Some(_) => return Err(Error::payload("\"data\" must be of type object")),
    };
    Ok(Update::Same(named(&mut body)?, payload))
}

/// Returns the items selected by a `DELETE` of several items.
fn deleted(body: Option<Json>) -> Result<Which, Error> {
    match body {
        None => Err(missing()),
        Some(Json::Array(keys)) => Ok(Which::Keys(checked_keys(keys)?)),
        Some(Json::Object(mut body)) => {
            nothing_else(&body, &["keys", "query"])?;
            named(&mut body)
        }
        Some(_) => Err(not_an_object()),
    }
}

fn missing() -> Error {
    Error::payload("Payload in body is required: a list, or an object with \"keys\" or \"query\"")
}

/// Returns the items selected by `keys` or by `query`. The body must have exactly one of the two.
fn named(body: &mut Map<String, Json>) -> Result<Which, Error> {
    match (optional_keys(body)?, optional_query(body)?) {
        (Some(keys), None) => Ok(Which::Keys(keys)),
        (None, Some(query)) => Ok(Which::Query(query)),
        (None, None) => Err(Error::payload("\"value\" must contain at least one of [query, keys]")),
        (Some(_), Some(_)) => Err(Error::payload(
            "\"value\" contains a conflict between exclusive peers [query, keys]",
        )),
    }
}

fn optional_query(body: &mut Map<String, Json>) -> Result<Option<Json>, Error> {
    match body.remove("query") {
        None => Ok(None),
        Some(query @ Json::Object(_)) => Ok(Some(query)),
        Some(_) => Err(Error::payload("\"query\" must be of type object")),
    }
}

fn optional_keys(body: &mut Map<String, Json>) -> Result<Option<Vec<Json>>, Error> {
    match body.remove("keys") {
        None => Ok(None),
        Some(Json::Array(keys)) => Ok(Some(checked_keys(keys)?)),
        Some(_) => Err(Error::payload("\"keys\" must be an array")),
    }
}

fn checked_keys(keys: Vec<Json>) -> Result<Vec<Json>, Error> {
    match keys.iter().position(|key| !key.is_string() && !key.is_number()) {
        None => Ok(keys),
        Some(place) => {
            Err(Error::payload(format!("\"keys[{place}]\" must be one of [string, number]")))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reason<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
        match result {
            Err(Error::InvalidPayload(reason)) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_update_of_several_items_needs_a_selector_and_data() {
        assert!(
            matches!(updated(Some(json!([{"id": 1}]))), Ok(Update::Each(items)) if items.len() == 1)
        );
        assert!(matches!(
            updated(Some(json!({"keys": [1, "2"], "data": {}}))),
            Ok(Update::Same(Which::Keys(keys), _)) if keys.len() == 2
        ));
        assert!(matches!(
            updated(Some(json!({"query": {}, "data": {}}))),
            Ok(Update::Same(Which::Query(_), _))
        ));
        let table = [
            (json!({"keys": [1]}), "\"data\" is required"),
            (json!({"data": {}}), "\"value\" must contain at least one of [query, keys]"),
            (
                json!({"keys": [1], "query": {}, "data": {}}),
                "\"value\" contains a conflict between exclusive peers [query, keys]",
            ),
            (json!({"keys": 1, "data": {}}), "\"keys\" must be an array"),
            (json!({"keys": [1, {}], "data": {}}), "\"keys[1]\" must be one of [string, number]"),
            (json!({"query": "x", "data": {}}), "\"query\" must be of type object"),
            (json!({"keys": [], "data": 5}), "\"data\" must be of type object"),
            (json!({"keys": [], "data": {}, "x": 1}), "\"x\" is not allowed"),
        ];
        for (body, expected) in table {
            assert_eq!(reason(updated(Some(body.clone()))), expected, "{body}");
        }
    }

    #[test]
    fn a_deletion_of_several_items_needs_a_selector() {
        assert!(matches!(deleted(Some(json!([1]))), Ok(Which::Keys(_))));
        assert!(matches!(deleted(Some(json!({"keys": []}))), Ok(Which::Keys(_))));
        assert!(matches!(deleted(Some(json!({"query": {}}))), Ok(Which::Query(_))));
        assert!(reason(deleted(None)).starts_with("Payload in body is required"));
        assert_eq!(
            reason(deleted(Some(json!({})))),
            "\"value\" must contain at least one of [query, keys]"
        );
        assert_eq!(reason(deleted(Some(json!({"data": {}})))), "\"data\" is not allowed");
    }

    #[test]
    fn the_query_in_a_search_body_overrides_the_url() {
        let address = json!({"limit": "1"});

        let (which, _) = searched(Some(json!({"query": {"limit": 2}})), address.clone()).unwrap();
        assert!(matches!(which, Which::Query(query) if query == json!({"limit": 2})));

        for body in [None, Some(json!({}))] {
            let (which, _) = searched(body, address.clone()).unwrap();
            assert!(matches!(which, Which::Query(query) if query == address));
        }

        let (which, query) = searched(Some(json!({"keys": [1]})), address.clone()).unwrap();
        assert!(matches!(which, Which::Keys(_)));
        assert_eq!(query, address);

        assert_eq!(
            reason(searched(Some(json!([])), Json::Null)),
            "\"value\" must be of type object"
        );
        assert_eq!(reason(searched(Some(json!({"x": 1})), Json::Null)), "\"x\" is not allowed");
    }
}
