//! Receipts of signatures that virtual tokens made and virtual custodians permitted: what holds, and that nothing else does.

mod log;
mod permission;
mod scene;
mod whole;
