//! The seam between whoever speaks to a token and the token.

use thiserror::Error;
use zeroize::Zeroizing;

/// The seam every token is reached through: command APDU bytes in, response APDU bytes out.
///
/// Implementations carry bytes and do not interpret them: they neither retry, nor chain, nor fetch more data on
/// their own. One command is answered before the next is sent.
pub trait Transport: Send {
    /// Sends one command and waits for its response, which ends with the two bytes of a status word.
    ///
    /// # Errors
    /// [`TransportError::Lost`] when the device is gone; what it then did with the command is unknown.
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError>;

    /// Power cycle: afterwards all volatile card state (selection, authentication, challenges, channels) is gone.
    ///
    /// # Errors
    /// [`TransportError`] when the device could not be restarted.
    fn reset(&mut self) -> Result<(), TransportError>;
}

/// Why bytes did not go through.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TransportError {
    /// The device is gone: pulled, crashed, taken by somebody else. Its volatile state must be taken for lost.
    #[error("the token is gone: {reason}")]
    Lost {
        /// What was seen, without any APDU content.
        reason: String,
    },
    /// Somebody else has reset the device: it is there, but its volatile state is gone (selection, authentication,
    /// challenges, channels). The command was not sent.
    #[error("the token was reset by another program: {reason}")]
    Reset {
        /// What was seen, without any APDU content.
        reason: String,
    },
    /// The command is longer than this way to the token can carry; it was not sent.
    #[error("command of {length} bytes is over the limit of {limit} bytes of this connection")]
    TooLong {
        /// Bytes of the command.
        length: usize,
        /// Bytes that fit.
        limit: usize,
    },
    /// The exchange failed but the device is still there.
    #[error("exchange with the token failed: {reason}")]
    Failed {
        /// What was seen, without any APDU content.
        reason: String,
    },
}

impl TransportError {
    /// [`Self::Lost`] with a reason.
    pub fn lost(reason: impl Into<String>) -> Self {
        Self::Lost {
            reason: reason.into(),
        }
    }

    /// Whether the device is gone.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Lost { .. })
    }

    /// Whether somebody else has reset the device.
    #[must_use]
    pub fn is_reset(&self) -> bool {
        matches!(self, Self::Reset { .. })
    }
}

impl<T: Transport + ?Sized> Transport for Box<T> {
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        (**self).transmit(command)
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        (**self).reset()
    }
}

impl<T: Transport + ?Sized> Transport for &mut T {
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        (**self).transmit(command)
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        (**self).reset()
    }
}
