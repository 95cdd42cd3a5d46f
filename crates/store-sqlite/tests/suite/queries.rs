//! The committed query metadata fits the committed schema.

use sqlx::{
    AssertSqlSafe, Column, ConnectOptions, Executor, SqlSafeStr, Statement, TypeInfo,
    sqlite::SqliteConnectOptions,
};

use crate::fresh;

#[tokio::test]
async fn every_cached_query_means_on_the_schema_what_its_metadata_says() {
    let (directory, store) = fresh().await;
    store.close().await;
    let options = SqliteConnectOptions::new().filename(directory.path().join("store.db"));
    let mut connection = options.connect().await.unwrap();
    let mut checked = 0;
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.sqlx")).unwrap() {
        let path = entry.unwrap().path();
        let data: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let sql = data["query"].as_str().unwrap().to_owned();
        let statement = (&mut connection)
            .prepare(AssertSqlSafe(sql.clone()).into_sql_str())
            .await
            .unwrap();
        let columns = data["describe"]["columns"].as_array().unwrap();
        assert_eq!(statement.columns().len(), columns.len(), "{sql}");
        for (column, cached) in statement.columns().iter().zip(columns) {
            assert_eq!(column.name(), cached["name"].as_str().unwrap(), "{sql}");
            let (found, cached) = (column.type_info().name(), cached["type_info"].as_str().unwrap());
            // Results of expressions have no type until a row is there.
            assert!(
                found == "NULL" || found.eq_ignore_ascii_case(cached) || cached == "Null",
                "{sql}: {found} {cached}"
            );
        }
        checked += 1;
    }
    assert!(checked > 50, "{checked}");
}
