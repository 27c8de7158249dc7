//! Conversion of a JSON value to the value of a field, by the field's type.

use std::borrow::Cow;
use std::ops::RangeInclusive;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::domain::items::keys;
use crate::domain::{Error, Forbidden};
use crate::model::collection::Document;
use crate::model::{Collection, Field, Kind, Value};
use crate::query::date;
use crate::text::names;
use crate::text::number::whole;

/// The integers that JavaScript represents exactly.
const INTEGERS: RangeInclusive<i64> = -((1 << 53) - 1)..=(1 << 53) - 1;

/// Converts JSON to a value of the field, from any form that the field's type accepts.
pub(super) fn value(
    collection: &'static Collection,
    field: &'static Field,
    json: &Json,
    text_max: usize,
) -> Result<Value, Error> {
    if json.is_null() {
        return Ok(Value::Null);
    }
    let must_be = |what: &str| Error::payload(format!("\"{}\" must be {what}", field.name));
    match field.kind {
        Kind::Text | Kind::Secret => text(collection, field, json, text_max),
        Kind::Integer => match json {
            Json::Number(number) => whole(&number.to_string()).ok(),
            Json::String(text) => text.trim().parse().ok(),
            _ => None,
        }
        .filter(|number| INTEGERS.contains(number))
        .map(Value::Integer)
        .ok_or_else(|| must_be("an integer between -(2^53 - 1) and 2^53 - 1")),
        Kind::Boolean => match json {
            Json::Bool(flag) => Some(*flag),
            Json::Number(number) => number.as_i64().map(|number| number != 0),
            Json::String(text) => text.parse().ok(),
            _ => None,
        }
        .map(Value::Boolean)
        .ok_or_else(|| must_be("a boolean")),
        Kind::Timestamp => json
            .as_str()
            .and_then(date::parse)
            .map(Value::Timestamp)
            .ok_or_else(|| must_be("a date in ISO 8601")),
        Kind::Uuid => match keys::parse(collection, json) {
            Some(key) => Ok(Value::from(key)),
            None => Err(must_be("a UUID")),
        },
        Kind::ToOne(target) => match json {
            // An object would mean writing the item behind the relation.
            Json::Object(_) | Json::Array(_) => Err(Error::Forbidden(Forbidden::Item)),
            _ => keys::parse(target, json).map(Value::from).ok_or(Error::InvalidForeignKey {
                collection: collection.name,
                field: Some(field.name),
            }),
        },
        Kind::Json => {
            let document = document(field, json)?;
            collection.check_length(field, &document.to_string(), text_max)?;
            Ok(Value::Json(Arc::new(document)))
        }
        Kind::ToMany(..) => Ok(Value::Null),
    }
}

/// Returns a document of the field's shape. A list of texts may also be comma-separated text.
fn document(field: &'static Field, json: &Json) -> Result<Json, Error> {
    let must_be = |what: &str| Error::payload(format!("\"{}\" must be {what}", field.name));
    match (field.document, json) {
        (Document::Texts, Json::String(text)) => Ok(names(text).collect()),
        (Document::Texts, Json::Array(parts)) if parts.iter().all(Json::is_string) => {
            Ok(json.clone())
        }
        (Document::Texts, _) => Err(must_be("a list of strings")),
        (Document::Object, Json::Object(_)) | (Document::Any, _) => Ok(json.clone()),
        (Document::Object, _) => Err(must_be("of type object")),
    }
}

/// Converts any JSON to text of the field; null stays null.
pub(super) fn text(
    collection: &'static Collection,
    field: &'static Field,
    json: &Json,
    text_max: usize,
) -> Result<Value, Error> {
    let text = match json {
        Json::Null => return Ok(Value::Null),
        Json::String(text) => Cow::Borrowed(text.as_str()),
        other => Cow::Owned(other.to_string()),
    };
    if text.contains('\0') {
        let name = field.name;
        return Err(Error::payload(format!("\"{name}\" must not contain the character U+0000")));
    }
    Ok(collection.text(field, &text, text_max)?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::schema::access;
    use crate::model::schema::messages;
    use crate::model::schema::permissions;
    use crate::model::schema::users;
    use crate::model::schema::{ACCESS, MESSAGES, PERMISSIONS, USERS};

    #[test]
    fn any_json_value_converts_to_text() {
        let content = messages::content.field();
        for (json, expected) in [
            (json!("a"), "a"),
            (json!(12), "12"),
            (json!(true), "true"),
            (json!({"a": [1]}), r#"{"a":[1]}"#),
        ] {
            let found = value(&MESSAGES, content, &json, 100).expect("valid text");
            assert_eq!(found, Value::text(expected));
        }
    }

    #[test]
    fn integers_must_be_exact_in_javascript() {
        let sort = access::sort.field();
        let most = (1_i64 << 53) - 1;
        for (sent, number) in [(json!(5), 5), (json!(5.0), 5), (json!("5"), 5), (json!(most), most)]
        {
            assert_eq!(value(&ACCESS, sort, &sent, 9).ok(), Some(Value::Integer(number)), "{sent}");
        }
        for sent in [json!(most + 1), json!(i64::MIN), json!(u64::MAX), json!(0.5), json!("x")] {
            let refused = value(&ACCESS, sort, &sent, 9);
            assert!(matches!(refused, Err(Error::InvalidPayload(_))), "{sent}: {refused:?}");
        }
    }

    #[test]
    fn too_long_and_unstorable_text_is_refused() {
        let content = messages::content.field();

        assert!(value(&MESSAGES, content, &json!("äöü"), 3).is_ok());
        assert!(value(&MESSAGES, content, &json!("äöü!"), 3).is_err());
        assert!(value(&MESSAGES, content, &json!("a\0b"), 9).is_err());
        let (name, tags) = (users::first_name.field(), users::tags.field());
        assert!(value(&USERS, name, &json!("x".repeat(255)), 9).is_ok());
        for (field, long) in [(name, json!("x".repeat(256))), (tags, json!(["x".repeat(5000)]))] {
            let refused = value(&USERS, field, &long, 9);
            let Err(Error::ValueTooLong(too_long)) = refused else { panic!("{refused:?}") };
            assert_eq!(too_long.field, field.name);
        }
    }

    #[test]
    fn json_documents_must_have_the_expected_shape() {
        let fields = permissions::fields.field();
        let filter = permissions::permissions.field();
        let overrides = users::theme_dark_overrides.field();
        let read = |field, json| match value(&PERMISSIONS, field, &json, 9) {
            Ok(Value::Json(json)) => Some(Json::clone(&json)),
            Err(Error::InvalidPayload(_)) => None,
            other => panic!("{other:?}"),
        };

        assert_eq!(read(fields, json!(["a", "b"])), Some(json!(["a", "b"])));
        assert_eq!(read(fields, json!("a, b,")), Some(json!(["a", "b"])));
        assert_eq!(read(filter, json!({"id": 1})), Some(json!({"id": 1})));
        assert_eq!(read(overrides, json!([5])), Some(json!([5])));
        for wrong in [json!({}), json!(5), json!(["a", 5])] {
            assert_eq!(read(fields, wrong.clone()), None, "{wrong}");
        }
        for wrong in [json!([]), json!("x"), json!(false)] {
            assert_eq!(read(filter, wrong.clone()), None, "{wrong}");
        }
    }

    #[test]
    fn a_relation_accepts_only_a_key() {
        let role = users::role.field();

        assert!(value(&USERS, role, &json!("7be1c9a2-4ec7-4666-a819-30f8e7ed735d"), 9).is_ok());
        for wrong in [json!("x"), json!(7), json!({"name": "Admins", "admin_access": true})] {
            assert!(value(&USERS, role, &wrong, 9).is_err(), "{wrong}");
        }
    }
}
