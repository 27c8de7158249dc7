//! Selectors of `items` frames: the items a frame refers to, and the change it makes.

use serde_json::Value as Json;

use crate::domain::Error;
use crate::domain::items::{Update, Which};
use crate::transport::ws::directus::fields::Invalid;
use crate::transport::ws::directus::frames::Items;

/// The error message of Directus for a delete without a selector.
const DELETE_WHAT: &str = "Either 'ids', 'id' or 'query' is required for a DELETE request.";
/// The error message for an update without a selector.
const UPDATE_WHAT: &str = "Either 'ids', 'id', 'query' or a list of items as 'data' is required \
                           for an UPDATE request";

/// Returns the selector of a read and its query.
#[must_use]
pub fn read(frame: Items) -> (Which, Json) {
    let query = frame.query.unwrap_or_else(empty);
    match (frame.id, frame.ids) {
        (Some(id), _) => (Which::One(id), query),
        (None, Some(ids)) => (Which::Keys(ids), query),
        (None, None) => (Which::Query(query.clone()), query),
    }
}

/// Returns an update and the query that shapes its response.
///
/// # Errors
/// [`Error::InvalidPayload`] if the frame has no values or no selector. A query without a filter,
/// search or limit is not a selector, since it would match the first hundred of all items.
pub fn update(frame: Items) -> Result<(Update, Json), Error> {
    let query = frame.query.unwrap_or_else(empty);
    let which = match (frame.id, frame.ids) {
        (Some(id), _) => Which::One(id),
        (None, Some(ids)) => Which::Keys(ids),
        (None, None) => match frame.data {
            Json::Array(items) => return Ok((Update::Each(items), query)),
            _ if is_narrow(&query) => Which::Query(query.clone()),
            _ => return Err(Error::payload(UPDATE_WHAT)),
        },
    };
    if !frame.data.is_object() {
        return Err(Error::payload("'data' has to be an object with the values to set"));
    }
    Ok((Update::Same(which, frame.data), query))
}

/// Returns the selector of a delete.
///
/// # Errors
/// [`Invalid`] if the frame has no selector, as in [`update`].
pub fn delete(frame: Items) -> Result<Which, Invalid> {
    match (frame.id, frame.ids, frame.query) {
        (Some(id), _, _) => Ok(Which::One(id)),
        (None, Some(ids), _) => Ok(Which::Keys(ids)),
        (None, None, Some(query)) if is_narrow(&query) => Ok(Which::Query(query)),
        (None, None, _) => {
            Err(Invalid { area: "items", message: DELETE_WHAT.to_owned(), uid: frame.uid })
        }
    }
}

/// Returns the default query.
pub fn empty() -> Json {
    Json::Object(serde_json::Map::new())
}

/// Returns whether a query restricts the items: by a filter, a search or a limit.
fn is_narrow(query: &Json) -> bool {
    let says = |name: &str| match query.get(name) {
        None | Some(Json::Null) => false,
        Some(Json::Object(fields)) => !fields.is_empty(),
        Some(Json::String(text)) => !matches!(text.trim(), "" | "{}"),
        Some(_) => true,
    };
    ["filter", "search", "limit"].into_iter().any(says)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::transport::ws::directus::frames::ItemsAction;

    use super::*;

    fn frame(fields: &Json) -> Items {
        let field = |name: &str| fields.get(name).cloned();
        Items {
            action: ItemsAction::Update,
            collection: "messages".to_owned(),
            id: field("id"),
            ids: field("ids").and_then(|ids| ids.as_array().cloned()),
            data: field("data").unwrap_or_default(),
            query: field("query"),
            idempotency_key: None,
            uid: None,
        }
    }

    #[test]
    fn an_id_precedes_ids_and_ids_precede_a_query() {
        let all = json!({"id": 3, "ids": [4], "query": {"limit": 1}});
        let two = json!({"ids": [4], "query": {"limit": 1}});
        let one = json!({"query": {"limit": 1}});

        assert!(matches!(read(frame(&all)).0, Which::One(id) if id == json!(3)));
        assert!(matches!(read(frame(&two)).0, Which::Keys(ids) if ids == [json!(4)]));
        assert!(matches!(read(frame(&one)).0, Which::Query(query) if query == json!({"limit": 1})));
        assert!(matches!(read(frame(&json!({}))).0, Which::Query(query) if query == json!({})));
    }

    #[test]
    fn a_list_of_items_updates_each_item_separately() {
        let list = json!({"data": [{"id": 3, "content": "x"}], "query": {"fields": "id"}});

        let (update, query) = update(frame(&list)).unwrap();

        assert!(matches!(update, Update::Each(items) if items.len() == 1));
        assert_eq!(query, json!({"fields": "id"}));
    }

    #[test]
    fn an_update_without_values_is_rejected() {
        for fields in [
            json!({"id": 3}),
            json!({"id": 3, "data": [{"id": 3}]}),
            json!({"ids": [3], "data": "x"}),
            json!({"query": {"limit": 1}}),
        ] {
            assert!(matches!(update(frame(&fields)), Err(Error::InvalidPayload(_))), "{fields}");
        }
    }

    #[test]
    fn an_unbounded_update_or_deletion_is_rejected() {
        for query in [
            json!(null),
            json!({}),
            json!({"fields": "id"}),
            json!({"filter": {}}),
            json!({"filter": "{}", "search": ""}),
            json!({"filter": null, "sort": "id"}),
        ] {
            let mut fields = json!({"data": {"content": "x"}});
            if !query.is_null() {
                fields["query"] = query;
            }

            assert!(matches!(update(frame(&fields)), Err(Error::InvalidPayload(_))), "{fields}");
            assert_eq!(delete(frame(&fields)).unwrap_err().message, DELETE_WHAT, "{fields}");
        }
    }

    #[test]
    fn a_query_with_a_filter_search_or_limit_is_accepted() {
        for query in [
            json!({"filter": {"id": {"_gt": 3}}}),
            json!({"filter": "{\"id\":{\"_gt\":3}}"}),
            json!({"search": "x"}),
            json!({"limit": "1"}),
            json!({"limit": -1}),
        ] {
            let fields = json!({"data": {"content": "x"}, "query": query});

            assert!(matches!(update(frame(&fields)), Ok((Update::Same(Which::Query(_), _), _))));
            assert!(matches!(delete(frame(&fields)), Ok(Which::Query(_))));
        }
    }

    #[test]
    fn a_deletion_takes_an_id_or_a_list() {
        assert!(matches!(delete(frame(&json!({"id": 3}))), Ok(Which::One(_))));
        assert!(matches!(delete(frame(&json!({"ids": []}))), Ok(Which::Keys(_))));
    }
}
