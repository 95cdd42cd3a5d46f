//! Virtual tokens in readers.
#![expect(clippy::unwrap_used, reason = "tests")]

mod common;
mod socket;
mod vpcd;
