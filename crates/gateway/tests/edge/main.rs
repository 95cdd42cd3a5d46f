//! What strangers, slow clients and large requests meet at a node's listeners.
#![expect(clippy::unwrap_used, reason = "tests")]

mod listeners;
mod strangers;
mod world;
