//! Secure messaging with a token, driven by the host's end of the channel.
#![expect(clippy::unwrap_used, reason = "tests")]

mod channel;
mod messages;
mod session_pin;
#[path = "../support/mod.rs"]
mod support;
