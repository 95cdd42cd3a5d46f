//! What a token says about a key domain.

use thiserror::Error;

use crate::Kcv;

/// The state of a key domain: the answer to every command that manages one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyDomainStatus {
    /// How many shares the key encryption key was set up with.
    pub shares: u8,
    /// How many of them are still missing.
    pub outstanding: u8,
    /// Key check value; [`Kcv::NONE`] while shares are missing.
    pub kcv: Kcv,
    /// Identifier of an exchange key domain: x | y of its group signer's key, 64 bytes on curves of 256 bits.
    pub uid: Option<Vec<u8>>,
}

/// An answer that is no status of a key domain.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyDomainStatusError {
    /// Shorter than its fixed part.
    #[error("status of a key domain has {length} bytes, at least 10 are expected")]
    Truncated {
        /// Bytes received.
        length: usize,
    },
    /// An identifier longer than any curve gives.
    #[error("status of a key domain has {length} bytes, more than the longest identifier allows")]
    TooLong {
        /// Bytes received.
        length: usize,
    },
}

impl KeyDomainStatus {
    /// x | y on a curve of 521 bits.
    const MAX_UID: usize = 132;

    /// Whether no share is missing.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.outstanding == 0
    }

    /// The answer: shares | outstanding | KCV (8 bytes), then the identifier if there is one.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![self.shares, self.outstanding];
        out.extend_from_slice(&self.kcv.0);
        out.extend_from_slice(self.uid.as_deref().unwrap_or_default());
        out
    }

    /// Reads the answer.
    ///
    /// # Errors
    /// [`KeyDomainStatusError`] when it is too short or too long.
    pub fn parse(bytes: &[u8]) -> Result<Self, KeyDomainStatusError> {
        let length = bytes.len();
        let Some((&[shares, outstanding, ref kcv @ ..], uid)) = bytes.split_first_chunk::<10>() else {
            return Err(KeyDomainStatusError::Truncated { length });
        };
        if uid.len() > Self::MAX_UID {
            return Err(KeyDomainStatusError::TooLong { length });
        }
        let uid = (!uid.is_empty()).then(|| uid.to_vec());
        Ok(Self {
            shares,
            outstanding,
            kcv: Kcv(*kcv),
            uid,
        })
    }
}
