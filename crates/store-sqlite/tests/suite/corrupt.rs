//! Rows that somebody has written over.

use chancery_store::{Store, StoreError, Write};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, sqlite::SqliteConnectOptions};

use crate::{fresh, samples::*};

/// Runs statements on the file as somebody with a text editor for databases would.
pub(crate) async fn edit(path: &std::path::Path, sql: &str) {
    let mut connection = SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(false)
        .connect()
        .await
        .unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_row_with_an_unknown_word_is_named() {
    let (directory, store) = fresh().await;
    found(&store).await;
    commit(&store, vec![Write::InsertCertificate(certificate(1))])
        .await
        .unwrap();
    let path = directory.path().join("store.db");
    edit(&path, "UPDATE request SET state = 'sideways'").await;
    let error = store.request(request_number(1)).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Corrupt { table: "request", key, detail } if key == "1" && detail.contains("state")),
        "{error}"
    );
    edit(&path, "UPDATE certificate SET ca_id = X'0102'").await;
    let error = store.certificate(certificate_id(1)).await.unwrap_err();
    let id = certificate_id(1).to_string();
    assert!(
        matches!(&error, StoreError::Corrupt { table: "certificate", key, detail } if *key == id && detail.contains("ca_id")),
        "{error}"
    );
}

#[tokio::test]
async fn a_log_head_that_contradicts_itself_is_not_appended_to() {
    let (directory, store) = fresh().await;
    found(&store).await;
    for sql in [
        "UPDATE audit_head SET size = size + 1",
        "UPDATE audit_head SET frontier = X'0001'",
    ] {
        edit(&directory.path().join("store.db"), sql).await;
        let group = vec![change(vec![Write::InsertRequest(request(2))])];
        let error = store.commit(group).await.unwrap_err();
        assert!(
            matches!(
                &error,
                StoreError::Corrupt {
                    table: "audit_head",
                    ..
                }
            ),
            "{error}"
        );
        assert!(store.audit_head().await.is_err());
        assert_eq!(store.request(request_number(2)).await.unwrap(), None);
    }
}
