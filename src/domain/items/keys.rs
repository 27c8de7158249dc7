//! Keys as clients write them: a number, or text from a URL.

use std::sync::Arc;

use serde_json::Value as Json;
use uuid::Uuid;

use crate::domain::{Error, Forbidden};
use crate::model::{Collection, Key};
use crate::text::number::whole;

/// Returns the key, or `None` if it is invalid for this collection.
#[must_use]
pub fn parse(collection: &'static Collection, key: &Json) -> Option<Key> {
    if collection.counts_keys() {
        let number = match key {
            Json::Number(number) => whole(&number.to_string()).ok()?,
            Json::String(text) => text.trim().parse().ok()?,
            _ => return None,
        };
        Some(Key::Integer(number))
    } else {
        key.as_str().and_then(|text| Uuid::try_parse(text.trim()).ok()).map(Key::Uuid)
    }
}

/// Returns the key.
///
/// # Errors
/// [`Error::Forbidden`], as for a missing item, if it is invalid.
pub fn require(collection: &'static Collection, key: &Json) -> Result<Key, Error> {
    parse(collection, key).ok_or(Error::Forbidden(Forbidden::Item))
}

/// Returns the keys in order, without duplicates.
///
/// # Errors
/// [`Error::Forbidden`], as for a missing item, if a key is invalid.
pub fn parse_all(collection: &'static Collection, keys: &[Json]) -> Result<Vec<Key>, Error> {
    let mut parsed = Vec::with_capacity(keys.len());
    let mut seen = std::collections::HashSet::with_capacity(keys.len());
    for key in keys {
        let key = require(collection, key)?;
        if seen.insert(key) {
            parsed.push(key);
        }
    }
    Ok(parsed)
}

/// Returns the integer keys among these that are written as text, in ascending order.
#[must_use]
pub fn texts(collection: &'static Collection, keys: &[Json]) -> Arc<[Key]> {
    if !collection.counts_keys() {
        return Arc::default();
    }
    let texts = keys.iter().filter(|key| key.is_string());
    let mut texts: Vec<Key> = texts.filter_map(|key| parse(collection, key)).collect();
    texts.sort_unstable();
    texts.into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::schema::{MESSAGES, USERS};

    #[test]
    fn integer_keys_are_parsed_from_numbers_and_numeric_text() {
        assert_eq!(parse(&MESSAGES, &json!(7)), Some(Key::Integer(7)));
        assert_eq!(parse(&MESSAGES, &json!("7")), Some(Key::Integer(7)));
        assert_eq!(parse(&MESSAGES, &json!(7.0)), Some(Key::Integer(7)));
        assert_eq!(parse(&MESSAGES, &json!(7e0)), Some(Key::Integer(7)));
        for wrong in [json!(null), json!("seven"), json!(7.5), json!([7]), json!("7 or 1=1")] {
            assert_eq!(parse(&MESSAGES, &wrong), None, "{wrong}");
        }
    }

    #[test]
    fn only_system_collections_have_uuid_keys() {
        let id = json!("7be1c9a2-4ec7-4666-a819-30f8e7ed735d");

        assert!(parse(&USERS, &id).is_some());
        assert_eq!(parse(&MESSAGES, &id), None);
        assert_eq!(parse(&USERS, &json!(7)), None);
    }
}
