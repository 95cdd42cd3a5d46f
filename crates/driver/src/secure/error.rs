//! Why there is no secure channel, or none any more.

use chancery_cvc::KeyError;
use chancery_iso7816::{StatusWord, TransportError};
use chancery_schsm::secure_messaging::SecureMessagingError;
use openssl::error::ErrorStack;

/// A secure channel that could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChannelError {
    /// The link failed.
    #[error("no answer from the token while a secure channel was opened")]
    Link(#[source] TransportError),
    /// The token does not do chip authentication with any protocol known here, or not now.
    #[error("the token refuses a secure channel: {status}")]
    Refused {
        /// What it answered.
        status: StatusWord,
    },
    /// The token's answer is no nonce and token.
    #[error("the token's answer to chip authentication cannot be understood")]
    Answer,
    /// The token does not have the private key that belongs to its certificate: it is another device, or somebody
    /// stands between.
    #[error(
        "the token does not have the key of its device certificate: this is not the device it says it is"
    )]
    NotTheDevice,
    /// The device key is none for key agreement.
    #[error("the device key cannot be used for key agreement")]
    DeviceKey(#[source] KeyError),
    /// The device key is an RSA key or a bare point.
    #[error("the device key is no EC key with its curve")]
    NoCurve,
    /// The crypto library failed.
    #[error("key agreement for a secure channel")]
    Crypto(#[source] ErrorStack),
}

/// How a secure channel was lost. Nothing passes through it any more; open another.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChannelLost {
    /// The token answered outside of the channel: it has closed its end.
    #[error("the token closed the secure channel: {status}")]
    Closed {
        /// What it answered.
        status: StatusWord,
    },
    /// The answer is not authentic: somebody stands between, or the token is broken.
    #[error("the token's answer in the secure channel is not authentic")]
    NotAuthentic(#[source] SecureMessagingError),
    /// The link failed; the token may have counted a command that was not answered.
    #[error("the link failed within the secure channel")]
    Link(#[source] TransportError),
    /// The token was reset.
    #[error("the token was reset, and the secure channel with it")]
    Reset,
}
