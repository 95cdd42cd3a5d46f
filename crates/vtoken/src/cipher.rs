//! Keys at rest and the authenticated encryption made with them.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use thiserror::Error;
use zeroize::Zeroizing;

/// The crypto library or the system's random source failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the cryptographic library failed")]
pub struct CipherFailure;

/// Fresh random bytes.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], CipherFailure> {
    let mut bytes = [0u8; N];
    getrandom::fill(&mut bytes).map_err(|_| CipherFailure)?;
    Ok(bytes)
}

/// A 256-bit key from which keys for single files are derived.
pub(crate) struct RootKey(Zeroizing<[u8; 32]>);

impl RootKey {
    /// A new random key.
    pub(crate) fn random() -> Result<Self, CipherFailure> {
        random().map(|bytes| Self(Zeroizing::new(bytes)))
    }

    /// A key from elsewhere.
    pub(crate) fn from_bytes(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    /// The key itself, to be sealed under another.
    pub(crate) fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// The cipher for one file: HKDF-SHA-256 with the file's salt and a word for its purpose.
    pub(crate) fn cipher(&self, salt: &[u8], purpose: &str) -> Result<Cipher, CipherFailure> {
        let key: UnboundKey = Salt::new(HKDF_SHA256, salt)
            .extract(self.0.as_slice())
            .expand(&[b"chancery-vtoken", purpose.as_bytes()], &AES_256_GCM)
            .map_err(|_| CipherFailure)?
            .into();
        Ok(Cipher(LessSafeKey::new(key)))
    }
}

impl fmt::Debug for RootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RootKey")
    }
}

/// AES-256-GCM with a random nonce in front.
///
/// Random, not counted: a file's tail may be cut and written again, and a copied-back file would repeat a counter.
/// A key lives for one file, far below the 2^32 messages for which random nonces are safe.
pub(crate) struct Cipher(LessSafeKey);

impl Cipher {
    /// Bytes that sealing adds.
    pub(crate) const OVERHEAD: usize = NONCE_LEN + 16;

    /// `nonce | ciphertext | tag`.
    pub(crate) fn seal(&self, bound: &[u8], plain: &[u8]) -> Result<Vec<u8>, CipherFailure> {
        let nonce: [u8; NONCE_LEN] = random()?;
        let mut sealed = Vec::with_capacity(plain.len() + Self::OVERHEAD);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plain);
        let (_, text) = sealed.split_at_mut(NONCE_LEN);
        let tag = self
            .0
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(bound), text)
            .map_err(|_| CipherFailure)?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// The plain text, or `None` when the bytes are not what was sealed with this key and these bound bytes.
    pub(crate) fn open(&self, bound: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, text) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut plain = Zeroizing::new(text.to_vec());
        let length = self
            .0
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(bound),
                plain.as_mut_slice(),
            )
            .ok()?
            .len();
        plain.truncate(length);
        Some(plain)
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher")
    }
}
