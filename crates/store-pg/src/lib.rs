//! PostgreSQL storage: will hold the PostgreSQL side of the queries in the SQLite crate's `src/sql`.
//!
//! It compiles the same files against its own `database.rs`, and has its own migrations and `.sqlx`.
//! Nothing is here yet.
