//! What a person and a custodian are shown, and what they sign.
#![expect(clippy::unwrap_in_result, clippy::unwrap_used, reason = "tests")]

mod common;
mod lease;
mod person;
