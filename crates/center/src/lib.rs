//! The rules of a trust center: people, roles, requests, approvals, signing, audit, and why something cannot be done.
//!
//! A command is an actor and an intent; it answers with an outcome or with the ordered list of conditions that are not met. Decisions
//! of people come as signed acts ([`Center::draft`], [`Center::perform`]); what needs none is a method of its own. Edges hold no rule.
//!
//! Invariants of this crate:
//! - rows give no rights: whoever acts is proven by signatures that lead to the key pinned at `init` (`trust`);
//! - to-be-signed bytes and the act are durable before an HSM is asked (`commands/sign.rs`);
//! - no HSM is asked anything inside a database transaction;
//! - every change is an audit event in the same commit (`event`);
//! - it knows no SQL, no socket and no file.

mod acts;
mod attest;
mod authority;
mod cache;
mod center;
mod checkpoint;
mod commands;
mod committer;
mod env;
mod event;
mod evidence;
mod issuance;
mod leases;
mod log_tree;
mod network;
mod reading;
mod request;
mod rights;
mod text;
mod tokens;
mod trust;

pub use center::{Center, Setup};
pub use env::{Clock, Entropy, Marks, TokenSource};
pub use network::{Connection, Network};
