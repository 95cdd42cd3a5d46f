//! Custodians whose machines have nothing of the installation: card, invitation, acceptance, and leases answered from there.

#![expect(clippy::unwrap_used, reason = "tests")]

mod answers;
#[path = "../common/background.rs"]
mod background;
#[path = "../common/mod.rs"]
mod common;
#[path = "../common/elsewhere.rs"]
mod elsewhere;
mod files;
mod names;
#[path = "../common/pcscd.rs"]
mod pcscd;
#[path = "../common/terminal.rs"]
mod terminal;
mod world;
