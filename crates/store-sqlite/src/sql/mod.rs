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
mod cas;
mod certificates;
mod commit;
mod crls;
mod decided;
mod error;
mod hsms;
mod lease_digests;
mod lease_widenings;
mod leases;
mod network;
mod people;
mod requests;
mod signers;
mod signing_keys;
mod store;

pub(crate) use acts::{ACT, ActRow};
pub(crate) use audit::{CHECKPOINT, HEAD, LEAF, frontier_now, stored};
pub(crate) use certificates::CERTIFICATE;
pub(crate) use commit::rows;
pub(crate) use decided::{DecisionKeyRow, assemble};
pub(crate) use error::{Table, WriteError, failed};
pub(crate) use lease_digests::{LEASE_DIGEST, LEASE_SIGNATURE};
pub(crate) use leases::{LEASE, Update};
pub(crate) use people::{PERSON, PersonRow};
pub(crate) use requests::{DECISION, REQUEST, RequestRow};
