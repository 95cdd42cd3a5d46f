//! What can be proven of a key, and what cannot.
#![expect(clippy::unwrap_used, reason = "tests")]

mod common;
mod damage;
mod receipts;
mod transcripts;
mod verdicts;
