//! A whole database as text, read beside the store.

use std::path::Path;

use sqlx::{AssertSqlSafe, ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};

/// A connection of its own, through a file system layer when one is named.
pub(crate) async fn beside(path: &Path, vfs: Option<&str>) -> SqliteConnection {
    let mut options = SqliteConnectOptions::new().filename(path);
    if let Some(vfs) = vfs {
        options = options.vfs(vfs.to_owned());
    }
    options.connect().await.unwrap()
}

/// Every value of every row of every table, those of the migrations excepted, which hold times.
pub(crate) async fn dump(connection: &mut SqliteConnection) -> String {
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '\\_%' ESCAPE '\\' \
         AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name",
    )
    .fetch_all(&mut *connection)
    .await
    .unwrap();
    assert!(tables.len() > 10, "{tables:?}");
    let mut text = String::new();
    for table in tables {
        let columns: String = sqlx::query_scalar(
            "SELECT group_concat('quote(\"' || name || '\")', ' || '','' || ') FROM pragma_table_info($1)",
        )
        .bind(&table)
        .fetch_one(&mut *connection)
        .await
        .unwrap();
        let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!(
            "SELECT {columns} AS row FROM \"{table}\" ORDER BY row"
        )))
        .fetch_all(&mut *connection)
        .await
        .unwrap();
        for row in rows {
            text.push_str(&format!("{table}: {row}\n"));
        }
    }
    text
}

/// What SQLite itself finds wrong with the file.
pub(crate) async fn assert_sound(connection: &mut SqliteConnection, context: &str) {
    let findings: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check")
        .fetch_all(&mut *connection)
        .await
        .unwrap();
    assert_eq!(findings, ["ok"], "{context}");
    let orphans = sqlx::query("PRAGMA foreign_key_check")
        .fetch_all(&mut *connection)
        .await
        .unwrap();
    assert_eq!(orphans.len(), 0, "{context}");
}

/// Closes a connection without regard for what a fault does to it.
pub(crate) async fn close(connection: SqliteConnection) {
    let _ = connection.close().await;
}
