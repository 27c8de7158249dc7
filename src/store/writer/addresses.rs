//! Unique email addresses of accounts, ignoring case: checked within the transaction.
//!
//! The unique index of the table ignores case in ASCII addresses only.

use std::collections::HashMap;

use serde_json::Value as Json;
use sqlx::{AssertSqlSafe, Row as _, SqliteConnection};

use crate::model::Row;
use crate::model::schema::USERS;
use crate::model::schema::users;
use crate::store::StoreError;
use crate::store::dialect;
use crate::text::fold;

/// Refuses rows, as they will be written, with the address of another account or of one another.
/// Rows that keep their address or change only its case are accepted: the database may contain
/// duplicates from an earlier version.
///
/// # Errors
/// [`StoreError::NotUnique`]; when the database fails.
pub(super) async fn check(
    connection: &mut SqliteConnection,
    before: &[Row],
    after: &[Row],
) -> Result<(), StoreError> {
    let mut taken = HashMap::new();
    for (place, row) in after.iter().enumerate().filter(|(_, row)| *row.collection() == USERS) {
        let Some(email) = row.get(&users::email) else { continue };
        let folded = fold(email);
        let known = before.get(place).and_then(|row| row.get(&users::email));
        if known.is_some_and(|known| fold(known) == folded) {
            continue;
        }
        if taken.insert(folded.into_owned(), email).is_some() {
            return Err(not_unique(email));
        }
    }
    if taken.is_empty() {
        return Ok(());
    }
    let folds: Json = taken.keys().cloned().collect();
    let own: Json = after.iter().map(|row| row[USERS.key()].to_json()).collect();
    let sql = format!(
        "select new.value from json_each(?1) as new where exists (select 1 from ({}) \
         where id not in (select value from json_each(?2))) limit 1",
        dialect::with_address("new.value")
    );
    let found = sqlx::query(AssertSqlSafe(sql))
        .bind(folds.to_string())
        .bind(own.to_string())
        .fetch_optional(connection)
        .await?;
    let Some(found) = found else { return Ok(()) };
    let folded: String = found.try_get(0)?;
    Err(not_unique(taken.get(&folded).copied().unwrap_or_default()))
}

fn not_unique(email: &str) -> StoreError {
    let value = email.to_owned();
    StoreError::NotUnique { collection: USERS.name, field: "email", value }
}
