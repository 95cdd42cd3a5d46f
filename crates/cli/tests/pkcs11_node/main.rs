//! Unmodified programs sign with a node's keys through the PKCS#11 module, while custodians agree, refuse or say nothing.

#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "../common/artefacts.rs"]
mod artefacts;
#[path = "../common/mod.rs"]
mod common;
mod firmware;
mod packages;
#[path = "../common/pkcs11.rs"]
mod pkcs11;
mod refusals;
mod signatures;
mod world;
