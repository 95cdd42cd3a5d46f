//! Storage models and traits; knows no database.
