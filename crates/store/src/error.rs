//! What can go wrong with a database.

use thiserror::Error;

/// A failure of the database or of what is in it. Conflicts of single changes are [`crate::Conflict`].
#[derive(Debug, Error)]
pub enum StoreError {
    /// The database did not do what was asked; nothing of the group is durable.
    #[error("the database failed while {doing}")]
    Database {
        /// What was being done.
        doing: &'static str,
        /// The driver's error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No space is left; nothing of the group is durable.
    #[error("no space is left for the database while {doing}")]
    Full {
        /// What was being done.
        doing: &'static str,
    },
    /// A row does not say what it must.
    #[error("table {table}, row {key}: {detail}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The row's key.
        key: String,
        /// What is wrong.
        detail: String,
    },
    /// The database was written by another version of the program.
    #[error(
        "the database has schema version {found}, this program knows versions up to {known}: use a newer program"
    )]
    UnknownSchema {
        /// Version found.
        found: i64,
        /// Newest version known.
        known: i64,
    },
}
