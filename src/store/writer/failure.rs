//! Constraint violations as store errors, instead of the driver's messages.

use sqlx::error::ErrorKind;

use crate::model::{Collection, Field, Kind, Row};
use crate::store::StoreError;

/// Returns the store error of a failed statement on these rows.
pub(super) fn name(
    error: sqlx::Error,
    collection: &'static Collection,
    rows: &[Row],
) -> StoreError {
    match error.as_database_error().map(|inner| (inner.kind(), inner.message().to_owned())) {
        Some((ErrorKind::UniqueViolation, message)) => {
            let field = violated(collection, &message).unwrap_or(collection.key());
            // Among several rows, the violating one is unknown.
            let value = match rows {
                [row] if !matches!(field.kind, Kind::Secret) => match row[field].to_json() {
                    serde_json::Value::String(text) => text,
                    other => other.to_string(),
                },
                _ => String::new(),
            };
            StoreError::NotUnique { collection: collection.name, field: field.name, value }
        }
        Some((ErrorKind::NotNullViolation, message)) => {
            let field = violated(collection, &message).unwrap_or(collection.key());
            StoreError::Null { collection: collection.name, field: field.name }
        }
        Some((ErrorKind::ForeignKeyViolation, _)) => {
            StoreError::NoSuchTarget { collection: collection.name, field: None }
        }
        _ => StoreError::Database(error),
    }
}

/// Finds the field in `… failed: table.column` or `… failed: index 'table_column'`.
fn violated(collection: &'static Collection, message: &str) -> Option<&'static Field> {
    let place = message.rsplit(": ").next()?.trim_end_matches('\'');
    let column = place.rsplit(['.', '\'']).next()?;
    let column = column.strip_prefix(collection.name).map_or(column, |rest| &rest[1..]);
    collection.field(column)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::schema::{MESSAGES, USERS};

    #[test]
    fn the_violated_field_is_parsed_from_the_engine_message() {
        let field = |collection, message| violated(collection, message).map(|field| field.name);

        assert_eq!(field(&MESSAGES, "UNIQUE constraint failed: messages.id"), Some("id"));
        assert_eq!(
            field(&USERS, "UNIQUE constraint failed: index 'directus_users_email'"),
            Some("email")
        );
        assert_eq!(
            field(&USERS, "NOT NULL constraint failed: directus_users.provider"),
            Some("provider")
        );
        assert_eq!(field(&USERS, "something else"), None);
    }
}
