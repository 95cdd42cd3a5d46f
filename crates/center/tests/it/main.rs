//! The rules under bad input and faults: one module for each thing that goes wrong.

#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "../support/mod.rs"]
mod support;

mod csr;
mod custodians;
mod failing_store;
mod figures;
mod hsm_faults;
mod hsm_setup;
mod lease_answers;
mod lease_keys;
mod lease_limits;
mod leases;
mod managers;
mod people;
mod requests;
mod requests_bad;
mod restart;
mod revocation;
mod trials;
mod two_nodes;
mod unlock;
