//! Behaviour of the crate from outside; the judge of what it emits is the `openssl` command.
#![expect(clippy::unwrap_used, reason = "tests")]

mod crl;
mod issue;
mod lint;
mod profile;
mod properties;
mod refusals;
mod reproduce;
mod support;
