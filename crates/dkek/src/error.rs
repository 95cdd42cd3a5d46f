//! What can go wrong in the scheme.

use openssl::error::ErrorStack;
use thiserror::Error;

/// No random bytes could be had.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("no random bytes: {0}")]
pub struct RandomError(
    /// Why.
    pub String,
);

/// Why no shares or no secret come of what is given.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SchemeError {
    /// Threshold or number of shares out of range.
    #[error(
        "{threshold} of {shares} is no way to split: at least 3 and at most {max} shares, of which at least 2 and at most all are needed",
        max = crate::MAX_SHARES
    )]
    Threshold {
        /// Shares needed.
        threshold: u8,
        /// Shares in all.
        shares: u8,
    },
    /// Fewer than two shares.
    #[error("{count} password shares give no password: at least 2 are needed")]
    TooFew {
        /// Shares given.
        count: usize,
    },
    /// Two shares with the same id.
    #[error("two password shares have the id {id}")]
    DuplicateId {
        /// The id.
        id: u64,
    },
    /// Shares with different primes.
    #[error(
        "password shares {first} and {other} have different primes: they are of different sets, or a prime is mistyped"
    )]
    OtherSet {
        /// Id of the first share.
        first: u64,
        /// Id of a share with another prime.
        other: u64,
    },
    /// The modulus is no prime, or a value is none of its field.
    #[error("these numbers are no password shares: {0}")]
    NoField(&'static str),
    /// The source of randomness failed.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The crypto library failed.
    #[error("the crypto library failed to calculate with password shares")]
    Crypto(#[from] ErrorStack),
}
