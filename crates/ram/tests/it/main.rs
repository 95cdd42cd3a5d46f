//! RAMOverHTTP: messages and both ends.
#![expect(clippy::unwrap_used, reason = "tests")]

mod client;
mod message;
mod server;
