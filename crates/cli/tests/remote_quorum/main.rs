//! All parties are elsewhere: node, HSM, requester and custodians are in network namespaces of their own and reach each other
//! only through a relay that takes 25 ms in each direction.
//!
//! Where namespaces are not permitted each party gets an address 127.0.0.x instead, and the test says so.

#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "../common/mod.rs"]
mod common;
mod place;
mod quorum;
mod relay;
