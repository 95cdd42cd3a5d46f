//! Secure messaging: every command to a token encrypted and authenticated, and the token authenticated by its device key
//! (reference: BSI TR-03110-3 3.4, chip authentication version 2).
//!
//! [`Selected::secured`](crate::Selected::secured) and [`Authenticated::secured`](crate::Authenticated::secured) turn a
//! token into one that is reached through a [`SecureChannel`]; everything else stays as it is. The device key must have
//! been verified ([`DeviceIdentity`](chancery_cvc::DeviceIdentity) cannot be had otherwise).
//!
//! What passes through a channel is known to the token and to who opened the channel, and to nobody between. A channel
//! that is lost stays lost: no command ever goes out in clear in its place.
//!
//! [`Authenticated::generate_recorded`](crate::Authenticated::generate_recorded) generates a key through a channel of its
//! own and keeps everything that is needed to check the authentication codes again: a [`ChannelRecord`].

mod agreement;
mod channel;
mod error;
mod record;
mod states;

pub use channel::{SecureChannel, Suspended};
pub use error::{ChannelError, ChannelLost};
pub use record::{ChannelRecord, Exchange};
pub(crate) use states::OVERHEAD;
pub use states::{RecordError, RecordedKey};

/// An error with its causes on one line, for where only text fits.
fn error_text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
