//! What a reader needs of a token.

use chancery_iso7816::{Transport, TransportError};
use zeroize::Zeroizing;

/// A card as a reader sees it.
pub trait Inserted: Transport {
    /// Answer to reset (ISO/IEC 7816-3 8): 2 to 33 bytes.
    fn atr(&self) -> &[u8];
}

/// A transport together with the answer to reset it is shown with.
#[derive(Debug)]
pub struct WithAtr<T> {
    token: T,
    atr: Vec<u8>,
}

impl<T: Transport> WithAtr<T> {
    /// Shows `token` with this answer to reset.
    pub fn new(token: T, atr: impl Into<Vec<u8>>) -> Self {
        Self {
            token,
            atr: atr.into(),
        }
    }

    /// The token.
    pub fn into_inner(self) -> T {
        self.token
    }
}

impl<T: Transport> Transport for WithAtr<T> {
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        self.token.transmit(command)
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        self.token.reset()
    }
}

impl<T: Transport> Inserted for WithAtr<T> {
    fn atr(&self) -> &[u8] {
        &self.atr
    }
}
