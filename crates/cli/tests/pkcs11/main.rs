//! Unchanged programs with the PKCS#11 module on a virtual token, behind a socket and in a reader. What they make is checked
//! with openssl.

#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "../common/artefacts.rs"]
mod artefacts;
#[path = "../common/mod.rs"]
mod common;
mod listing;
#[path = "../common/pcscd.rs"]
mod pcscd;
#[path = "../common/pkcs11.rs"]
mod pkcs11;
#[path = "../common/programs.rs"]
mod programs;
mod reader;
mod signing;
mod tool;
mod world;
