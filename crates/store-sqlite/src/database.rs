//! What `src/sql` must know of this database: names for its types, and how it reports what went wrong.

use sqlx::{error::DatabaseError, sqlite};

pub(crate) use crate::{everybody::everybody_and, group::together, open::SqliteStore as DatabaseStore};

/// The connection that writes, and the head of the log as it wrote it last.
pub(crate) type Writer<'a> = crate::kept::Taken<'a, Option<chancery_audit::Frontier>>;
/// A connection that reads.
pub(crate) type Questions<'a> = crate::kept::Taken<'a, ()>;

pub(crate) type Pool = sqlx::SqlitePool;
pub(crate) type Connection = sqlx::SqliteConnection;
pub(crate) type QueryResult = sqlite::SqliteQueryResult;

/// A connection or a pool of them.
pub(crate) trait Executes<'c>: sqlx::Executor<'c, Database = sqlx::Sqlite> {}
impl<'c, E: sqlx::Executor<'c, Database = sqlx::Sqlite>> Executes<'c> for E {}

/// Starts a transaction that writes. Taking the lock at once means that nothing fails half-way for the lack of it.
pub(crate) const BEGIN: &str = "BEGIN IMMEDIATE";

/// Whether the failure means that no space is left.
pub(crate) fn is_full(error: &dyn DatabaseError) -> bool {
    error
        .code()
        .and_then(|code| code.parse::<i32>().ok())
        // Extended result codes keep the primary code in the lowest byte.
        .is_some_and(|code| code & 0xff == SQLITE_FULL || code == SQLITE_IOERR_SHMSIZE)
}

/// The columns or the constraint that a failed statement would have violated.
///
/// SQLite says `UNIQUE constraint failed: person.name` and names no values.
pub(crate) fn violated(error: &dyn DatabaseError) -> String {
    let message = error.message();
    message
        .split_once("failed: ")
        .map_or(message, |(_, what)| what)
        .to_owned()
}

/// Result code of SQLite for a full disk or a database at its largest size.
const SQLITE_FULL: i32 = 13;

/// Extended result code of SQLite when the index of the write-ahead log cannot grow, which a full disk is the cause
/// of as good as always.
const SQLITE_IOERR_SHMSIZE: i32 = 4874;
