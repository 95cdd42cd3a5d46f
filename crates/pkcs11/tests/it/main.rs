//! The module without its C interface.
#![expect(clippy::unwrap_in_result, clippy::unwrap_used, reason = "tests")]

mod apdus;
mod node;
