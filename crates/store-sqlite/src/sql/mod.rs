//! The queries, once for all databases.
//!
//! Compiled by each database's crate against its own `crate::database`, which names the pool, the connection
//! and the few things the databases do not agree on. Only SQL that all of them understand is used: `$1`,
//! BIGINT, TEXT, bytes, `ON CONFLICT`, `RETURNING`, row values, partial indices.
//!
//! A file has one concept: its rows, how a row becomes a model, its reads and its writes.

mod acts;
mod apply;
mod audit;
mod batch;
mod cas;
mod certificates;
mod commit;
mod crls;
mod decided;
mod error;
mod hsms;
mod people;
mod requests;
mod signers;
mod store;

pub(crate) use error::failed;
