//! Response APDUs (reference: ISO/IEC 7816-4 5.1).

use std::fmt;

use thiserror::Error;
use zeroize::Zeroizing;

use crate::StatusWord;

/// A card's answer: response data and status word. The data is wiped on drop and absent from `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct ResponseApdu {
    /// Response data, empty when there is none.
    pub data: Zeroizing<Vec<u8>>,
    /// SW1-SW2.
    pub status: StatusWord,
}

/// An answer that is not one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ResponseError {
    /// Fewer than the two bytes of a status word.
    #[error("response APDU of {length} bytes has no status word")]
    Truncated {
        /// Bytes present.
        length: usize,
    },
    /// More data than any command can ask for.
    #[error("response APDU of {length} bytes is over the limit of 65538 bytes")]
    TooLong {
        /// Bytes present.
        length: usize,
    },
}

impl ResponseApdu {
    /// Largest response in bytes: 65536 bytes of data and the status word.
    pub const MAX_LENGTH: usize = 65_538;

    /// An answer with data.
    #[must_use]
    pub fn new(data: Vec<u8>, status: StatusWord) -> Self {
        Self {
            data: Zeroizing::new(data),
            status,
        }
    }

    /// Splits an answer into data and status word.
    ///
    /// # Errors
    /// [`ResponseError`] when it is shorter than a status word or longer than [`Self::MAX_LENGTH`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ResponseError> {
        if bytes.len() > Self::MAX_LENGTH {
            return Err(ResponseError::TooLong { length: bytes.len() });
        }
        let Some((data, &status)) = bytes.split_last_chunk::<2>() else {
            return Err(ResponseError::Truncated { length: bytes.len() });
        };
        Ok(Self {
            data: Zeroizing::new(data.to_vec()),
            status: StatusWord(u16::from_be_bytes(status)),
        })
    }

    /// The bytes a card sends: data, then SW1 SW2.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(self.data.len() + 2));
        out.extend_from_slice(&self.data);
        out.extend_from_slice(&self.status.0.to_be_bytes());
        out
    }

    /// Whether the status word is 9000.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.status.is_ok()
    }
}

impl fmt::Debug for ResponseApdu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "ResponseApdu({} bytes of data, {})",
            self.data.len(),
            self.status
        )
    }
}
