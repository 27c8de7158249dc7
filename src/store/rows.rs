//! Encodes rows for SQL and decodes them.

use std::sync::Arc;

use sea_query::Value as SqlValue;
use serde_json::Value as Json;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::model::{Collection, Field, Key, Kind, Row, Value};
use crate::query::date;
use crate::store::StoreError;

/// The placeholder for a secret in events and in the log.
const MASK: &str = "**********";

/// Decodes a row with the columns [`Collection::columns`], in that order.
pub(super) fn decode(collection: &'static Collection, row: &SqliteRow) -> Result<Row, StoreError> {
    let mut decoded = Row::empty(collection);
    for (place, field) in collection.columns().enumerate() {
        decoded.set(field, decode_value(collection, field, row, place)?);
    }
    Ok(decoded)
}

/// Decodes the value of a field from the column at this index.
pub(super) fn decode_value(
    collection: &'static Collection,
    field: &'static Field,
    row: &SqliteRow,
    place: usize,
) -> Result<Value, StoreError> {
    let inconsistent = || StoreError::Inconsistent { table: collection.name, column: field.name };
    let value = match field.kind {
        Kind::Integer => row.try_get::<Option<i64>, _>(place)?.map(Value::Integer),
        Kind::ToOne(target) if target.counts_keys() => {
            row.try_get::<Option<i64>, _>(place)?.map(Value::Integer)
        }
        Kind::Boolean => {
            row.try_get::<Option<i64>, _>(place)?.map(|flag| Value::Boolean(flag != 0))
        }
        Kind::Timestamp => row
            .try_get::<Option<i64>, _>(place)?
            .map(|millis| Value::Timestamp(Timestamp::from_millis(millis))),
        Kind::Text | Kind::Secret => row.try_get::<Option<&str>, _>(place)?.map(Value::text),
        Kind::Uuid | Kind::ToOne(_) => row
            .try_get::<Option<&str>, _>(place)?
            .map(|text| Uuid::try_parse(text).map(Value::Uuid).map_err(|_| inconsistent()))
            .transpose()?,
        Kind::Json => row
            .try_get::<Option<&str>, _>(place)?
            .map(|text| {
                serde_json::from_str(text)
                    .map(|json| Value::Json(Arc::new(json)))
                    .map_err(|_| inconsistent())
            })
            .transpose()?,
        Kind::ToMany(..) => None,
    };
    Ok(value.unwrap_or(Value::Null))
}

/// Returns the value as a parameter of a statement.
pub(super) fn bind(value: &Value) -> SqlValue {
    match value {
        Value::Null => SqlValue::String(None),
        Value::Boolean(flag) => SqlValue::BigInt(Some(i64::from(*flag))),
        Value::Integer(number) => SqlValue::BigInt(Some(*number)),
        Value::Text(text) => SqlValue::String(Some(text.to_string())),
        Value::Uuid(id) => SqlValue::String(Some(id.to_string())),
        Value::Timestamp(at) => SqlValue::BigInt(Some(at.millis())),
        Value::Json(document) => SqlValue::String(Some(document.to_string())),
    }
}

/// Returns the row as a JSON list in the order of its columns, to be unpacked by the database.
pub(super) fn pack(row: &Row) -> Json {
    row.collection().columns().map(|field| pack_value(&row[field])).collect()
}

fn pack_value(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Boolean(flag) => Json::from(i64::from(*flag)),
        Value::Integer(number) => Json::from(*number),
        Value::Text(text) => Json::from(text.as_ref()),
        Value::Uuid(id) => Json::from(id.to_string()),
        Value::Timestamp(at) => Json::from(at.millis()),
        // Packed as text, since the column stores the text of the document.
        Value::Json(document) => Json::from(document.to_string()),
    }
}

/// Returns the row as a JSON object for the log. Values are keyed by name, so that the row can be
/// read after changes of the schema. Fields with the values of `implied` are omitted.
pub(super) fn describe(row: &Row, implied: &Row) -> Json {
    row.collection()
        .columns()
        .filter(|field| row[field] != implied[field])
        .map(|field| (field.name.to_owned(), row[field].to_json()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// Returns the row of a description. Unknown names are skipped; omitted fields have the values of
/// `implied`. `None` if a value does not fit its field.
pub(super) fn restore(implied: Row, described: &serde_json::Map<String, Json>) -> Option<Row> {
    let mut row = implied;
    for (name, value) in described {
        let field = row.collection().field(name);
        if let Some(field) = field.filter(|field| field.is_stored()) {
            row.set(field, restore_value(field, value)?);
        }
    }
    Some(row)
}

fn restore_value(field: &'static Field, value: &Json) -> Option<Value> {
    Some(match (field.kind, value) {
        (Kind::Json, document) => Value::Json(Arc::new(document.clone())),
        (_, Json::Null) | (Kind::ToMany(..), _) => Value::Null,
        (Kind::Integer, number) => Value::Integer(number.as_i64()?),
        (Kind::Boolean, flag) => Value::Boolean(flag.as_bool()?),
        (Kind::Timestamp, at) => Value::Timestamp(date::parse(at.as_str()?)?),
        (Kind::Text | Kind::Secret, text) => Value::text(text.as_str()?),
        (Kind::Uuid | Kind::ToOne(_), id) => match id {
            Json::String(text) => Value::Uuid(Uuid::try_parse(text).ok()?),
            number => Value::Integer(number.as_i64()?),
        },
    })
}

/// Returns the keys as a JSON list.
pub(super) fn pack_keys(keys: impl IntoIterator<Item = Key>) -> Json {
    keys.into_iter().map(|key| pack_value(&Value::from(key))).collect()
}

/// Returns the keys that were packed; `None` if the text is not a list of keys.
pub(super) fn unpack_keys(packed: &str) -> Option<Vec<Key>> {
    let keys: Vec<Json> = serde_json::from_str(packed).ok()?;
    keys.iter()
        .map(|key| match key {
            Json::String(text) => Uuid::try_parse(text).ok().map(Key::Uuid),
            number => number.as_i64().map(Key::Integer),
        })
        .collect()
}

/// Returns values as a JSON list, for comparison with a column.
pub(super) fn pack_values(values: &[Value]) -> Json {
    values.iter().map(pack_value).collect()
}

/// Returns the row as events expose it: secrets are masked, so that only their presence is visible.
pub(super) fn mask(row: &Row) -> Row {
    let mut masked = row.clone();
    for field in row.collection().columns() {
        if matches!(field.kind, Kind::Secret) && !row[field].is_null() {
            masked.set(field, Value::text(MASK));
        }
    }
    masked
}
