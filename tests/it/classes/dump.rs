//! Snapshots of the whole database, which show that a request changed nothing.

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, Connection, Row as _, SqliteConnection};

use crate::support::TestServer;

/// The rows of each table, each row as text.
pub type Dump = BTreeMap<String, Vec<String>>;

/// Rows of this table are projected from the event log later, independent of the current request.
const ACTIVITY: &str = "directus_activity";

/// Returns all rows of all tables except asynchronous projections: the search index, activity, and
/// their positions.
pub async fn dump(server: &TestServer) -> Dump {
    let file = format!("sqlite:{}", server.database().display());
    let mut database = SqliteConnection::connect(&file).await.unwrap();
    let tables: Vec<(String, String)> =
        sqlx::query_as("select name, sql from sqlite_master where type = 'table' and sql not null")
            .fetch_all(&mut database)
            .await
            .unwrap();
    let is_virtual = |sql: &str| sql.to_ascii_lowercase().starts_with("create virtual");
    let searched: Vec<String> = tables
        .iter()
        .filter(|(_, sql)| is_virtual(sql))
        .map(|(name, _)| format!("{name}_"))
        .collect();
    let mut dump = Dump::new();
    for (table, sql) in &tables {
        // The position of the search index changes in the background.
        let follows = table == ACTIVITY || table == "chinwag_search";
        if follows || is_virtual(sql) || searched.iter().any(|prefix| table.starts_with(prefix)) {
            continue;
        }
        let columns: Vec<String> = sqlx::query_scalar("select name from pragma_table_info(?)")
            .bind(table)
            .fetch_all(&mut database)
            .await
            .unwrap();
        let values: Vec<String> =
            columns.iter().map(|column| format!("quote(\"{column}\")")).collect();
        let select = format!("select {} from \"{table}\" order by 1", values.join(" || '|' || "));
        let rows = sqlx::query(AssertSqlSafe(select)).fetch_all(&mut database).await.unwrap();
        let rows = rows.iter().map(|row| row.get(0));
        let is_progress = |row: &String| row.starts_with(&format!("'{ACTIVITY}'|"));
        dump.insert(table.clone(), rows.filter(|row| !is_progress(row)).collect());
    }
    database.close().await.unwrap();
    dump
}

/// Asserts that the database is unchanged.
pub async fn assert_unchanged(server: &TestServer, before: &Dump, by: &str) {
    let after = dump(server).await;
    if after == *before {
        return;
    }
    for (table, rows) in &after {
        let new: Vec<&String> = rows.iter().filter(|row| !before[table].contains(row)).collect();
        let gone = before[table].iter().filter(|row| !rows.contains(row)).count();
        assert!(new.is_empty() && gone == 0, "{by}: {table} lost {gone} rows and has {new:#?}");
    }
    assert_eq!(after.len(), before.len(), "{by}: tables were added or removed");
}
