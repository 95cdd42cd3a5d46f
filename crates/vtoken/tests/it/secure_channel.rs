//! Secure messaging with a token, driven by the host's end of the channel.

pub(crate) mod channel;
mod messages;
mod session_pin;
