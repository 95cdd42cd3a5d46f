//! The log and its signed heads.
#![expect(clippy::unwrap_used, reason = "tests")]

mod merkle;
mod note;
