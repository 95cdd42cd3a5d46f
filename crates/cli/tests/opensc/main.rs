//! Debian's smart card programs, unmodified, on virtual tokens in a private pcscd. What they say is checked with openssl.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod certificates;
#[path = "../common/mod.rs"]
mod common;
#[path = "../kill/dice.rs"]
mod dice;
mod firmware;
mod idle;
mod keys;
mod kill;
mod pcsc;
#[path = "../common/pcscd.rs"]
mod pcscd;
mod pins;
mod readers;
mod sign;
mod token;
