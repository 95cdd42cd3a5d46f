//! A custodian's side of leases with real virtual tokens, and nodes that lie.

mod answers;
mod lies;
mod scene;
mod shown;
