//! The seam between whoever speaks to a token and the token.

use std::sync::Arc;

use thiserror::Error;
use zeroize::Zeroizing;

/// The seam every token is reached through: command APDU bytes in, response APDU bytes out.
///
/// Implementations carry bytes and do not interpret them: they neither retry, nor chain, nor fetch more data on
/// their own. With [`Self::transmit`] one command is answered before the next is sent.
///
/// A way that is long beside the card's work can take several commands before the first answer comes: see
/// [`Self::window`].
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

    /// How many commands may be under way at a time with [`Self::send`] and [`Self::receive`]. 1, which is the default,
    /// means that those two are not offered.
    fn window(&self) -> usize {
        1
    }

    /// Sends a command without waiting for its response. The card executes commands in the order in which they were
    /// sent; no [`Self::transmit`] and no [`Self::reset`] may come before every response was received.
    ///
    /// # Errors
    /// As [`Self::transmit`]. After any error but [`TransportError::TooLong`] no more responses come, and what the card
    /// did with the commands under way is unknown. [`TransportError::Failed`] where sending ahead is not offered.
    fn send(&mut self, command: &[u8]) -> Result<(), TransportError> {
        let _ = command;
        Err(TransportError::not_ahead())
    }

    /// Waits for the response to the oldest command that was sent and has none yet.
    ///
    /// # Errors
    /// As [`Self::send`]; [`TransportError::Failed`] when no command is under way.
    fn receive(&mut self) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        Err(TransportError::not_ahead())
    }

    /// As [`Self::receive`], but `None` when that would have to wait. What does not implement it waits.
    ///
    /// # Errors
    /// As [`Self::receive`].
    fn try_receive(&mut self) -> Result<Option<Zeroizing<Vec<u8>>>, TransportError> {
        self.receive().map(Some)
    }

    /// Has `ready` called, on any thread, whenever a response or a failure has come that [`Self::try_receive`] gives. `false`
    /// where this is not offered, which is the default.
    fn on_ready(&mut self, ready: Arc<dyn Fn() + Send + Sync>) -> bool {
        drop(ready);
        false
    }
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

    /// What [`Transport::send`] and [`Transport::receive`] answer where they are not offered.
    fn not_ahead() -> Self {
        Self::Failed {
            reason: "this way to the token takes one command at a time".to_owned(),
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

    fn window(&self) -> usize {
        (**self).window()
    }

    fn send(&mut self, command: &[u8]) -> Result<(), TransportError> {
        (**self).send(command)
    }

    fn receive(&mut self) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        (**self).receive()
    }

    fn try_receive(&mut self) -> Result<Option<Zeroizing<Vec<u8>>>, TransportError> {
        (**self).try_receive()
    }

    fn on_ready(&mut self, ready: Arc<dyn Fn() + Send + Sync>) -> bool {
        (**self).on_ready(ready)
    }
}

impl<T: Transport + ?Sized> Transport for &mut T {
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        (**self).transmit(command)
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        (**self).reset()
    }

    fn window(&self) -> usize {
        (**self).window()
    }

    fn send(&mut self, command: &[u8]) -> Result<(), TransportError> {
        (**self).send(command)
    }

    fn receive(&mut self) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        (**self).receive()
    }

    fn try_receive(&mut self) -> Result<Option<Zeroizing<Vec<u8>>>, TransportError> {
        (**self).try_receive()
    }

    fn on_ready(&mut self, ready: Arc<dyn Fn() + Send + Sync>) -> bool {
        (**self).on_ready(ready)
    }
}
