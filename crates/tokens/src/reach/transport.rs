//! The way to a token that is held.

use std::fmt;

use chancery_iso7816::{Transport, TransportError};
use zeroize::Zeroizing;

use super::Watch;

/// Carries bytes to the token that was reached, whatever lies between. Dropping it gives the token back.
///
/// A reset by another program is noted in its [`Watch`] and reported as [`TransportError::Reset`]: the command was not carried
/// out, and the application has to be selected again.
pub struct TokenTransport {
    inner: Box<dyn Transport>,
    watch: Watch,
}

impl TokenTransport {
    /// Takes any transport; what it leads to is for the caller to know.
    #[must_use]
    pub fn new(inner: Box<dyn Transport>) -> Self {
        Self::watched(inner, Watch::default())
    }

    pub(super) fn watched(inner: Box<dyn Transport>, watch: Watch) -> Self {
        Self { inner, watch }
    }

    /// What other programs did meanwhile.
    #[must_use]
    pub fn watch(&self) -> Watch {
        self.watch.clone()
    }

    /// Puts another transport around it: a log, a limit.
    #[must_use]
    pub fn wrapped<T: Transport + 'static>(self, wrap: impl FnOnce(Box<dyn Transport>) -> T) -> Self {
        Self {
            inner: Box::new(wrap(self.inner)),
            watch: self.watch,
        }
    }
}

impl Transport for TokenTransport {
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        let answer = self.inner.transmit(command);
        if let Err(TransportError::Reset { reason }) = &answer {
            self.watch.note(reason);
        }
        answer
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
