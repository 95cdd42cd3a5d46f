//! Keys that sign: one trait, what implements it, and the software check of every signature.

mod checker;
mod pooled;
mod software;

use async_trait::async_trait;

pub(crate) use self::checker::Checker;
pub use self::pooled::PooledKey;
pub(crate) use self::pooled::Replica;
pub use self::software::SoftwareKey;
use crate::HsmError;

/// A key that signs what goes into X.509 structures.
///
/// * [`SigningKey::sign`] takes the whole message and hashes it itself: SHA-256 for RSA and for curves of up to 256
///   bits, SHA-384 up to 384 bits, SHA-512 above (RFC 5480, RFC 5758).
/// * The signature value is what stands in a certificate: `Ecdsa-Sig-Value` in DER (RFC 3279 2.2.3), or
///   RSASSA-PKCS1-v1_5 (RFC 8017 8.2).
/// * A signature that is given out verifies with [`SigningKey::public_key`].
/// * Calls may be made from many tasks at a time, and a call that is dropped harms no other.
#[async_trait]
pub trait SigningKey: Send + Sync {
    /// SubjectPublicKeyInfo, DER.
    fn public_key(&self) -> &[u8];

    /// The signature over a message of any length.
    ///
    /// # Errors
    /// [`KeyError`] says what stands in the way.
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError>;
}

/// Why a key did not sign.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Custodians must act: no HSM that holds the key is open.
    #[error("no HSM that holds the key is unlocked: {what}")]
    Locked {
        /// The HSMs and their states.
        what: String,
    },
    /// The HSMs that are open, or all of them, failed; this is the last failure.
    #[error("no HSM that holds the key could sign")]
    Unavailable {
        /// The failure.
        #[source]
        source: HsmError,
    },
    /// An HSM gave a signature that the public key does not verify. It was not given out.
    #[error("HSM {hsm} gave a signature that does not verify with the key's public key")]
    WrongSignature {
        /// The HSM.
        hsm: String,
    },
    /// No HSM that holds the key is attached.
    #[error("no HSM that holds the key is attached")]
    NoReplica,
    /// The public key cannot be used here, or the crypto library failed.
    #[error("the key cannot be used: {what}")]
    Internal {
        /// Why.
        what: String,
    },
}
