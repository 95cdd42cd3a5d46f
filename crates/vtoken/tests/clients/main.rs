//! What host software sends, byte for byte, and what it relies on in the answers. Nothing here uses this project's
//! parsers: what is read is read by the test's own.
#![expect(clippy::unwrap_used, reason = "tests")]

mod ber;
mod buffers;
mod embedded;
mod host;
mod opensc;
mod opensc_tool;
mod scripting;
#[path = "../support/mod.rs"]
mod support;
