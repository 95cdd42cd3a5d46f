//! A P-256 key in this process' memory.

use std::fmt;

use async_trait::async_trait;
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};

use super::{KeyError, SigningKey};

/// A P-256 key in memory: for tests and as the reference other implementations are held against. No quorum protects
/// it; a trust center's keys are [`PooledKey`](crate::PooledKey)s.
pub struct SoftwareKey {
    pair: EcdsaKeyPair,
    spki: Vec<u8>,
    random: SystemRandom,
}

impl SoftwareKey {
    /// A new key.
    ///
    /// # Errors
    /// [`KeyError::Internal`] when the crypto library fails.
    pub fn generate() -> Result<Self, KeyError> {
        EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)
            .map_err(|_| library())
            .and_then(Self::new)
    }

    /// The key in a PKCS#8 structure, DER.
    ///
    /// # Errors
    /// [`KeyError::Internal`] when it holds no P-256 key.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der)
            .map_err(|error| KeyError::Internal {
                what: error.to_string(),
            })
            .and_then(Self::new)
    }

    fn new(pair: EcdsaKeyPair) -> Result<Self, KeyError> {
        let spki = pair
            .public_key()
            .as_der()
            .map_err(|_| library())?
            .as_ref()
            .to_vec();
        Ok(Self {
            pair,
            spki,
            random: SystemRandom::new(),
        })
    }
}

#[async_trait]
impl SigningKey for SoftwareKey {
    fn public_key(&self) -> &[u8] {
        &self.spki
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let signature = self.pair.sign(&self.random, message).map_err(|_| library())?;
        Ok(signature.as_ref().to_vec())
    }
}

impl fmt::Debug for SoftwareKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SoftwareKey(..)")
    }
}

fn library() -> KeyError {
    KeyError::Internal {
        what: "the crypto library failed".to_owned(),
    }
}
