//! What can go wrong in a secure channel.

use chancery_iso7816::StatusWord;
use chancery_iso7816::tlv::{Tag, TlvError};
use thiserror::Error;

use super::MAX_PROTECTED_DATA;

/// Why a message was not protected or not believed. Nothing of its content is in it.
///
/// [`Self::Class`] and [`Self::TooLong`] come before anything is done and leave the channel as it was; after every
/// other error it is closed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SecureMessagingError {
    /// The channel was closed by an earlier error.
    #[error("the secure channel is closed")]
    Closed,
    /// Commands and answers do not alternate.
    #[error("a command and its answer have to alternate in a secure channel")]
    OutOfOrder,
    /// Only commands of the classes 00 and 80 travel in a channel, and only as 0C and 8C.
    #[error("a command of class {class:02X} does not travel in a secure channel")]
    Class {
        /// CLA of the command.
        class: u8,
    },
    /// Too much data for one protected message.
    #[error("{length} bytes do not fit into a protected message, which holds {MAX_PROTECTED_DATA}")]
    TooLong {
        /// Bytes of data.
        length: usize,
    },
    /// The token answered outside the channel, which it does when it has closed its end.
    #[error("the token left the secure channel: {status}")]
    Refused {
        /// What it answered.
        status: StatusWord,
    },
    /// A data object that has to be there is not.
    #[error("protected message without data object {object}")]
    Missing {
        /// The data object.
        object: Tag,
    },
    /// The message is no sequence of the data objects it has to be made of.
    #[error("protected message is not made of the data objects of secure messaging")]
    Objects(#[source] TlvError),
    /// A data object has a length or a content it cannot have.
    #[error("protected message with a wrong data object {object}")]
    Content {
        /// The data object.
        object: Tag,
    },
    /// The MAC is wrong: another key, another place in the sequence, or altered on the way.
    #[error("wrong authentication code of a protected message")]
    Mac,
}

impl SecureMessagingError {
    /// What a token answers, outside the channel: 6987 when a data object is missing, 6988 when one is wrong.
    #[must_use]
    pub fn card_status(&self) -> StatusWord {
        match self {
            Self::Missing { .. } => StatusWord::SECURE_MESSAGING_MISSING,
            Self::Class { .. } => StatusWord::CLASS_NOT_SUPPORTED,
            Self::Closed | Self::OutOfOrder => StatusWord::SECURE_MESSAGING_NOT_SUPPORTED,
            _ => StatusWord::SECURE_MESSAGING_INCORRECT,
        }
    }
}

impl From<TlvError> for SecureMessagingError {
    fn from(error: TlvError) -> Self {
        match error {
            TlvError::Missing { expected, .. } => Self::Missing { object: expected },
            other => Self::Objects(other),
        }
    }
}
