//! Every function with null, wrong handles, in the wrong order and with small buffers.

#![expect(clippy::unwrap_used, reason = "tests")]

mod decryption;
mod every;
mod objects;
mod sessions;
mod signatures;
mod start;
#[path = "../support/mod.rs"]
mod support;
