//! Why a token is not attached.

use chancery_iso7816::TransportError;
use chancery_ram::client::End;
use chancery_tokens::reach::ReachError;
use thiserror::Error;

/// Why a server cannot be spoken to at all.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The address is none.
    #[error("{text:?} is no address of a server")]
    Address {
        /// What was given, up to its path: that may hold a ticket.
        text: String,
    },
    /// The address is one of another kind.
    #[error("{scheme}: the address of a server begins with https")]
    Scheme {
        /// What it begins with.
        scheme: String,
    },
    /// The ticket and all commands would be readable on the way.
    #[error("http, without encryption, is for this machine only, not for {host}")]
    Plain {
        /// Where it would go.
        host: String,
    },
    /// A certificate is named, and without encryption nobody shows one.
    #[error("http, without encryption, does not show the server's certificate: use https")]
    Unproven,
    /// The address holds a name and a password.
    #[error("a name or password does not belong into the address of a server")]
    Credentials,
    /// A certificate cannot be used.
    #[error("the certificate of the server cannot be used: {why}")]
    Certificate {
        /// Why.
        why: String,
    },
    /// The HTTP client cannot be made.
    #[error("the connection to the server cannot be set up: {why}")]
    Client {
        /// Why.
        why: String,
    },
}

/// Why a token is not in our hands.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TakeError {
    /// It was not reached.
    #[error(transparent)]
    Reach(Box<ReachError>),
    /// The way to it fails.
    #[error("the token cannot be reached")]
    Transport(#[from] TransportError),
    /// The thread that would hold it could not be started.
    #[error("no thread for the token: {why}")]
    Thread {
        /// Why.
        why: String,
    },
}

impl From<ReachError> for TakeError {
    fn from(error: ReachError) -> Self {
        Self::Reach(Box::new(error))
    }
}

/// Why an attachment has ended that was not to be kept up for ever.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AttachError {
    /// The token is not in our hands.
    #[error("the token is not in our hands")]
    Take(#[from] TakeError),
    /// The session did not end in order.
    #[error("{0}")]
    Session(End),
}
