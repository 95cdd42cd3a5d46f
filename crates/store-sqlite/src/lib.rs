//! SQLite storage: the [`chancery_store::Store`] of a trust center that lives in one data directory.
//!
//! - one file, mode 0600, in WAL mode with `synchronous=FULL`: what [`SqliteStore`] has acknowledged survives
//!   a power cut;
//! - one connection writes, a few read, and reading never waits for writing;
//! - a group of changes is one transaction, so that many share one flush of the disk.
//!
//! Invariants: nothing here decides anything, a change is applied as it is or refused as a conflict; nothing
//! here talks to a token; two openings of one database are prevented by whoever owns the data directory.
//!
//! # Layout
//! `src/sql` is written once for all databases, against what `database.rs` names; the PostgreSQL crate compiles
//! the same files. What has to be fast is SQLite's own: `group` writes the changes of a group and `everybody` reads what a
//! decision needs, each in one call (`script`) on a connection of its own (`kept`). The macros check each query against the metadata in `.sqlx`, which is one file a
//! query and different for each database: hence one crate each.
//!
//! # Changing a query or the schema
//! 1. Add a migration; never edit one that is committed.
//! 2. `cat migrations/*.sql | sqlite3 NEW_FILE`
//! 3. `rm .sqlx/*; touch src/lib.rs`, then
//!    `SQLX_OFFLINE=false DATABASE_URL=sqlite://NEW_FILE SQLX_OFFLINE_DIR=$PWD/.sqlx cargo check`
//!    in this crate's folder, and commit `.sqlx` with the change.

mod database;
mod everybody;
mod group;
mod kept;
mod open;
mod script;
mod sql;

pub use open::{Options, SqliteStore};
