//! `chancery token` at work with keys: what comes out is checked with openssl, and with Debian's sc-hsm-tool.

#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "../common/mod.rs"]
mod common;
mod interrupted;
mod keys;
mod opensc;
#[path = "../common/pcscd.rs"]
mod pcscd;
mod travel;
mod truth;
mod uses;
mod world;
