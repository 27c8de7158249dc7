//! All that the database holds, to show that something has changed nothing.

use std::collections::BTreeMap;

use sqlx::AssertSqlSafe;
use sqlx::Connection;
use sqlx::Row as _;
use sqlx::SqliteConnection;

use crate::support::TestServer;

/// The rows of each table, each row as text.
pub type Dump = BTreeMap<String, Vec<String>>;

/// Returns all rows of all tables, apart from the indexes of searches, which follow in their time.
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
        if is_virtual(sql) || searched.iter().any(|prefix| table.starts_with(prefix)) {
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
        dump.insert(table.clone(), rows.iter().map(|row| row.get(0)).collect());
    }
    database.close().await.unwrap();
    dump
}
