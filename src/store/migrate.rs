//! Embedded migrations. Applied ones are never edited; a schema newer than this program is refused.

use std::borrow::Cow;

use sqlx::migrate::{Migrate, Migration, MigrationType, Migrator};
use sqlx::{SqlSafeStr, SqliteConnection};

use crate::store::StoreError;

const SQLITE: [(i64, &str, &str); 16] = [
    (1, "accounts", include_str!("../../migrations/sqlite/0001_accounts.sql")),
    (2, "messages", include_str!("../../migrations/sqlite/0002_messages.sql")),
    (3, "event log", include_str!("../../migrations/sqlite/0003_event_log.sql")),
    (4, "settings", include_str!("../../migrations/sqlite/0004_settings.sql")),
    (5, "search", include_str!("../../migrations/sqlite/0005_search.sql")),
    (6, "idempotency", include_str!("../../migrations/sqlite/0006_idempotency.sql")),
    (7, "cursors", include_str!("../../migrations/sqlite/0007_cursors.sql")),
    (8, "second factors", include_str!("../../migrations/sqlite/0008_second_factors.sql")),
    (9, "mails", include_str!("../../migrations/sqlite/0009_mails.sql")),
    (10, "activity", include_str!("../../migrations/sqlite/0010_activity.sql")),
    (12, "guests", include_str!("../../migrations/sqlite/0012_guests.sql")),
    (13, "providers", include_str!("../../migrations/sqlite/0013_providers.sql")),
    (14, "folds", include_str!("../../migrations/sqlite/0014_folds.sql")),
    (15, "purges", include_str!("../../migrations/sqlite/0015_purges.sql")),
    (16, "text_keys", include_str!("../../migrations/sqlite/0016_text_keys.sql")),
    (17, "deletions", include_str!("../../migrations/sqlite/0017_deletions.sql")),
];

/// Migrates the schema to the version that this program knows, each migration in a transaction.
///
/// # Errors
/// [`StoreError::NewerSchema`] before any migration is applied; [`StoreError::Migrate`].
pub(super) async fn run(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let migrations = SQLITE.map(|(version, name, sql)| {
        let name = Cow::Borrowed(name);
        Migration::new(version, name, MigrationType::Simple, sql.into_sql_str(), false)
    });
    let migrator = Migrator::with_migrations(migrations.into());
    let known = SQLITE[SQLITE.len() - 1].0;
    let table = migrator.table_name.as_ref();
    connection.ensure_migrations_table(table).await.map_err(StoreError::Migrate)?;
    let applied = connection.list_applied_migrations(table).await.map_err(StoreError::Migrate)?;
    if let Some(found) = applied.iter().map(|migration| migration.version).max()
        && found > known
    {
        return Err(StoreError::NewerSchema { found, known });
    }
    migrator.run(connection).await.map_err(StoreError::Migrate)
}
