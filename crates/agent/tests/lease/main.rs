//! A custodian's side of leases with real virtual tokens, and nodes that lie.

#![expect(clippy::unwrap_used, reason = "tests")]

mod answers;
#[path = "../common/mod.rs"]
mod common;
mod lies;
mod scene;
mod shown;
