//! Unmodified programs sign with a node's keys through the PKCS#11 module, while custodians agree, refuse or say nothing.

#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "../common/artefacts.rs"]
mod artefacts;
#[path = "../common/mod.rs"]
mod common;
mod firmware;
mod next;
#[path = "../common/pkcs11.rs"]
mod pkcs11;
#[path = "../common/programs.rs"]
mod programs;
mod refusals;
mod signatures;
#[path = "../common/terminal.rs"]
mod terminal;
mod waits;
mod world;
