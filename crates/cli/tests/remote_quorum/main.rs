//! All parties are elsewhere: node, HSM, requester and custodians are in network namespaces of their own and reach each other
//! only through a relay that takes 25 ms in each direction. Each custodian has a data directory of their own, which knows of the
//! installation what they accepted; the token of one stands in a reader of pcscd.
//!
//! Where namespaces are not permitted each party gets an address 127.0.0.x instead, and the test says so.

#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "../common/background.rs"]
mod background;
#[path = "../common/mod.rs"]
mod common;
#[path = "../common/cupboard.rs"]
mod cupboard;
#[path = "../common/elsewhere.rs"]
mod elsewhere;
#[path = "../common/pcscd.rs"]
mod pcscd;
mod place;
mod quorum;
mod relay;
