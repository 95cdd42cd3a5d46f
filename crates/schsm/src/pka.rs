//! What a token says about public key authentication.

use thiserror::Error;

/// The state of public key authentication (n of m): four bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PkaStatus {
    /// m: how many public keys the token was initialised for.
    pub total: u8,
    /// How many of them are not registered yet.
    pub missing: u8,
    /// n: how many have to answer.
    pub required: u8,
    /// How many have answered.
    pub authenticated: u8,
}

/// An answer that is no status of public key authentication.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("status of public key authentication has {length} bytes instead of 4")]
pub struct PkaStatusError {
    /// Bytes received.
    pub length: usize,
}

impl PkaStatus {
    /// How many public keys are registered.
    #[must_use]
    pub fn registered(&self) -> u8 {
        self.total.saturating_sub(self.missing)
    }

    /// Whether all public keys are registered; before that, public key authentication is not in force.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        self.missing == 0
    }

    /// Whether enough have answered.
    #[must_use]
    pub fn is_satisfied(&self) -> bool {
        self.is_configured() && self.required > 0 && self.authenticated >= self.required
    }

    /// The answer: total | missing | required | authenticated.
    #[must_use]
    pub fn encode(&self) -> [u8; 4] {
        [self.total, self.missing, self.required, self.authenticated]
    }

    /// Reads the answer.
    ///
    /// # Errors
    /// [`PkaStatusError`] unless it has four bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, PkaStatusError> {
        let &[total, missing, required, authenticated] = bytes else {
            return Err(PkaStatusError { length: bytes.len() });
        };
        Ok(Self {
            total,
            missing,
            required,
            authenticated,
        })
    }
}
