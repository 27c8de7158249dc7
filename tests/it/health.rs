//! `GET /server/health?check=integrity`: corruption in the database file.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde_json::json;
use sqlx::{Connection, Row, SqliteConnection};

use crate::support::TestServer;
use crate::support::secrets;

const CHECK: &str = "/server/health?check=integrity";

/// Overwrites the root page of the messages.
async fn damage(database: &Path) {
    let mut connection =
        SqliteConnection::connect(&format!("sqlite:{}?mode=ro", database.display())).await.unwrap();
    let sql = "select rootpage, (select page_size from pragma_page_size) from sqlite_schema \
               where name = 'messages'";
    let row = sqlx::query(sql).fetch_one(&mut connection).await.unwrap();
    let (page, size): (i64, i64) = (row.get(0), row.get(1));
    connection.close().await.unwrap();
    let noise = vec![0xA5; usize::try_from(size).unwrap()];
    let file = File::options().write(true).open(database).unwrap();
    file.write_all_at(&noise, u64::try_from((page - 1) * size).unwrap()).unwrap();
}

#[tokio::test]
async fn corruption_is_found_on_request_and_logged() {
    let server = TestServer::start().await;
    let (admin, alice) = (server.admin().await, server.member("alice").await);
    alice.say("hello").await;
    let well = admin.get(CHECK).await;
    assert_eq!((well.status, &well.body["status"]), (200, &json!("ok")), "{}", well.text);
    assert_eq!(well.body["checks"]["sqlite3:integrity"][0]["status"], "ok", "{}", well.text);
    assert_eq!(alice.get(CHECK).await.body, json!({"status": "ok"}));
    assert_eq!(server.anonymous().get(CHECK).await.body, json!({"status": "ok"}));
    admin.get("/server/health?check=cholesterol").await.refused(400, "INVALID_QUERY");

    // Cached pages and the write-ahead log would hide the corruption.
    let server = server.restart().await;
    let admin = server.signed_in_again(&admin);
    damage(&server.database()).await;

    let ill = admin.get(CHECK).await;
    assert_eq!((ill.status, &ill.body["status"]), (503, &json!("error")), "{}", ill.text);
    let check = &ill.body["checks"]["sqlite3:integrity"][0];
    assert_eq!(check["status"], "error", "{}", ill.text);
    assert!(check["output"].as_str().unwrap().starts_with("messages: "), "{}", ill.text);
    assert_eq!(admin.get("/server/health").await.status, 200);

    assert_eq!(admin.get("/items/messages?filter[id][_gt]=0").await.status, 500);
    assert!(secrets::logged("the database file is damaged"));
    server.stop().await;
}
