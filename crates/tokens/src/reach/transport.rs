//! The way to a token that is held.

use std::fmt;

use chancery_iso7816::{Transport, TransportError};
use zeroize::Zeroizing;

/// Carries bytes to the token that was reached, whatever lies between. Dropping it gives the token back.
pub struct TokenTransport {
    inner: Box<dyn Transport>,
}

impl TokenTransport {
    /// Takes any transport; what it leads to is for the caller to know.
    #[must_use]
    pub fn new(inner: Box<dyn Transport>) -> Self {
        Self { inner }
    }

    /// Puts another transport around it: a log, a limit.
    #[must_use]
    pub fn wrapped<T: Transport + 'static>(self, wrap: impl FnOnce(Box<dyn Transport>) -> T) -> Self {
        Self::new(Box::new(wrap(self.inner)))
    }
}

impl Transport for TokenTransport {
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        self.inner.transmit(command)
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        self.inner.reset()
    }
}

impl fmt::Debug for TokenTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenTransport(..)")
    }
}
