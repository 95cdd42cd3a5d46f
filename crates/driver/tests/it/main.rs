//! The host side of the wire: on recorded cards, virtual tokens, and cards that lie.
#![expect(clippy::unwrap_in_result, clippy::unwrap_used, reason = "tests")]

mod common;
mod exchange;
mod firmwares;
mod manage;
mod nonsense;
mod replication;
mod secure_channel;
mod traced;
mod traced_quorum;
mod traced_symmetric;
mod virtual_channel;
mod virtual_custodians;
mod virtual_tokens;
