//! The SQLite store: one story for every database, and what only a file can do wrong.
#![expect(clippy::unwrap_used, reason = "tests")]

mod audit;
mod cancel;
mod chapters;
mod conflicts;
mod corrupt;
mod crash;
mod dump;
mod file;
mod full;
mod groups;
mod leases;
mod network;
mod power;
mod queries;
mod samples;
mod space;
mod story;

use chancery_store_sqlite::SqliteStore;
use tempfile::TempDir;

/// A new database in a directory of its own.
async fn fresh() -> (TempDir, SqliteStore) {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&directory.path().join("store.db"))
        .await
        .unwrap();
    (directory, store)
}

#[tokio::test]
async fn the_story_of_a_trust_center() {
    let (_directory, store) = fresh().await;
    story::tell(&store).await;
}
