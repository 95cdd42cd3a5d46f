//! The token's cryptography, chosen by algorithm in one place: `aws-lc-rs` where it can do the job
//! (P-256, P-384, P-521, RSA from 2048 bits with SHA-2, AES), OpenSSL for everything else.

mod aes;
mod curve;
mod ec;
mod hash;
mod key;
mod rsa;

pub(crate) use aes::AesKey;
pub(crate) use curve::Curve;
pub(crate) use ec::EcKey;
pub(crate) use hash::Hash;
pub(crate) use key::PrivateKey;
pub(crate) use rsa::RsaKey;

use openssl::error::ErrorStack;

/// Why a key operation did not happen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CryptoError {
    /// The key is not of the kind the algorithm needs, or nobody knows the algorithm.
    #[error("the algorithm does not fit the key")]
    Algorithm,
    /// The input can not be processed by this algorithm and key.
    #[error("the input does not fit algorithm and key")]
    Data,
    /// The library refused; nothing the host sent explains it.
    #[error("the cryptographic library failed")]
    Library,
}

impl From<ErrorStack> for CryptoError {
    fn from(_: ErrorStack) -> Self {
        Self::Library
    }
}

impl From<aws_lc_rs::error::Unspecified> for CryptoError {
    fn from(_: aws_lc_rs::error::Unspecified) -> Self {
        Self::Library
    }
}

impl From<aws_lc_rs::error::KeyRejected> for CryptoError {
    fn from(_: aws_lc_rs::error::KeyRejected) -> Self {
        Self::Library
    }
}

/// The number without its leading zero bytes; empty for zero.
pub(crate) fn trimmed(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}
