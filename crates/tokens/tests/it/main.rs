//! Work on single tokens.
#![expect(clippy::unwrap_used, reason = "tests")]

mod acceptance;
mod archive;
mod bench;
mod common;
mod domains;
mod initialise;
mod keys;
mod lying;
mod reach;
