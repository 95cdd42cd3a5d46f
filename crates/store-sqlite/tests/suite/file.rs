//! The file: its mode, its schema, its life beyond a process.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use chancery_store::{Store, StoreError};
use chancery_store_sqlite::SqliteStore;

use crate::{audit::checked_leaves, corrupt::edit, fresh, samples::*};

#[tokio::test]
async fn only_the_owner_can_read_the_files() {
    let (directory, store) = fresh().await;
    found(&store).await;
    let files: Vec<PathBuf> = std::fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(files.len() >= 2, "{files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[tokio::test]
async fn a_file_that_others_could_read_is_closed_to_them() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    std::fs::write(&path, []).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
    SqliteStore::open(&path).await.unwrap();
    assert_eq!(mode(&path), 0o600);
}

#[tokio::test]
async fn what_was_closed_is_there_when_opened_again() {
    let (directory, store) = fresh().await;
    found(&store).await;
    let leaves = checked_leaves(&store).await;
    assert_eq!(store.begin_epoch(1).await.unwrap(), 1);
    store.close().await;
    let store = SqliteStore::open(&directory.path().join("store.db"))
        .await
        .unwrap();
    assert_eq!(checked_leaves(&store).await, leaves);
    assert_eq!(store.person(person_id(1)).await.unwrap(), Some(person(1)));
    assert_eq!(store.begin_epoch(2).await.unwrap(), 2);
}

#[tokio::test]
async fn a_schema_from_the_future_is_refused_and_left_alone() {
    let (directory, store) = fresh().await;
    store.close().await;
    let path = directory.path().join("store.db");
    edit(
        &path,
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9000, 'from the future', TRUE, X'00', 0)",
    )
    .await;
    let before = std::fs::read(&path).unwrap();
    let error = SqliteStore::open(&path).await.unwrap_err();
    let migrations = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations")).unwrap();
    let newest = i64::try_from(migrations.count()).unwrap();
    assert!(
        matches!(error, StoreError::UnknownSchema { found: 9000, known } if known == newest),
        "{error}"
    );
    assert!(error.to_string().contains("use a newer program"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_migration_that_was_changed_is_refused() {
    let (directory, store) = fresh().await;
    store.close().await;
    let path = directory.path().join("store.db");
    edit(&path, "UPDATE _sqlx_migrations SET checksum = X'00'").await;
    let error = SqliteStore::open(&path).await.unwrap_err();
    assert!(matches!(error, StoreError::Database { .. }), "{error}");
}

#[tokio::test]
async fn a_file_that_is_no_database_and_a_missing_folder_are_errors() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notes.txt");
    std::fs::write(
        &path,
        "these are my notes, and they are long enough for a header. ".repeat(20),
    )
    .unwrap();
    let before = std::fs::read(&path).unwrap();
    assert!(SqliteStore::open(&path).await.is_err());
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let error = SqliteStore::open(&directory.path().join("missing/store.db"))
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::Database {
                doing: "opening the database",
                ..
            }
        ),
        "{error}"
    );
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}
