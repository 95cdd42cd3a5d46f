//! Exchange key domains: groups, membership, agreement, and what must not leave a group.
#![expect(clippy::unwrap_used, reason = "tests")]

mod agreement;
mod group;
mod membership;
#[path = "../support/mod.rs"]
mod support;
