//! Receipts of signatures that virtual tokens made and virtual custodians permitted: what holds, and that nothing else does.
#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "../common/mod.rs"]
mod common;
mod log;
mod permission;
mod scene;
mod whole;
