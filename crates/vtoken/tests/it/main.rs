//! The virtual token, command by command.
#![expect(clippy::unwrap_used, reason = "tests")]

mod clients;
mod custodians;
mod derivation;
mod dialogues;
mod exchange;
mod robustness;
mod secure_channel;
mod signatures;
mod stored_state;
mod support;
mod symmetric;
mod wrapping;
