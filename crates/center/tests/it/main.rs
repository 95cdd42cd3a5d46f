//! The rules: the story as it should go, and a module for each thing that goes wrong.

#![expect(clippy::unwrap_used, reason = "tests")]

mod csr;
mod custodians;
mod failing_store;
mod figures;
mod hsm_faults;
mod hsm_setup;
mod lease_answers;
mod lease_clients;
mod lease_keys;
mod lease_left;
mod lease_limits;
mod lease_restart;
mod lease_slow_hsm;
mod lease_tampering;
mod lease_turns;
mod lease_widen;
mod lease_widen_rows;
mod leases;
mod managers;
mod people;
mod requests;
mod requests_bad;
mod restart;
mod revocation;
mod story;
mod support;
mod tampering;
mod trials;
mod two_nodes;
mod unlock;
mod unlock_paths;
