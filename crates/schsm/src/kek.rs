//! Key encryption keys and their shares.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::Zeroizing;

/// One share of a device key encryption key: 32 bytes. All shares together, combined by XOR, are the key.
#[derive(Clone)]
pub struct KekShare(Secret);

/// The key encryption key of a key domain: 32 bytes under which keys leave a token.
#[derive(Clone)]
pub struct Kek(Secret);

/// On the heap, so that a value that moves leaves no copy where it was.
type Secret = Box<Zeroizing<[u8; 32]>>;

/// Key check value: the first 8 bytes of the SHA-256 of a key encryption key. Not secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Kcv(pub [u8; 8]);

/// Why no key comes of what is given.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KekError {
    /// A share or key has not 32 bytes.
    #[error("a key encryption key or a share of one has 32 bytes, not {length}")]
    Length {
        /// Bytes given.
        length: usize,
    },
    /// No shares at all.
    #[error("a key encryption key needs at least one share")]
    NoShares,
}

impl KekShare {
    /// A share that `fill` writes where it stays: nothing of it is left elsewhere.
    #[must_use]
    pub fn generate(fill: impl FnOnce(&mut [u8; 32])) -> Self {
        let mut bytes = Secret::default();
        fill(&mut bytes);
        Self(bytes)
    }

    /// A share from its bytes, of which the caller has a copy: for shares that are known. A new one comes from
    /// [`Self::generate`].
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Box::new(Zeroizing::new(bytes)))
    }

    /// A share from a slice.
    ///
    /// # Errors
    /// [`KekError::Length`] unless it has 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, KekError> {
        fixed(bytes).map(Self)
    }

    /// This share combined with another one. A token that takes shares one by one keeps this and nothing else.
    #[must_use]
    pub fn combine(&self, other: &Self) -> Self {
        let mut sum = self.clone();
        for (byte, more) in sum.0.iter_mut().zip(other.0.iter()) {
            *byte ^= more;
        }
        sum
    }

    /// The secret bytes.
    #[must_use]
    pub fn secret_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl Kek {
    /// A key from its bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Box::new(Zeroizing::new(bytes)))
    }

    /// A key from a slice.
    ///
    /// # Errors
    /// [`KekError::Length`] unless it has 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, KekError> {
        fixed(bytes).map(Self)
    }

    /// The key of which these are all the shares, in any order.
    ///
    /// # Errors
    /// [`KekError::NoShares`] when there are none.
    pub fn from_shares(shares: &[KekShare]) -> Result<Self, KekError> {
        let (first, more) = shares.split_first().ok_or(KekError::NoShares)?;
        Ok(Self(
            more.iter().fold(first.clone(), |sum, share| sum.combine(share)).0,
        ))
    }

    /// Its key check value, which may be shown.
    #[must_use]
    pub fn kcv(&self) -> Kcv {
        let digest: [u8; 32] = Sha256::digest(self.0.as_slice()).into();
        let [a, b, c, d, e, f, g, h, ..] = digest;
        Kcv([a, b, c, d, e, f, g, h])
    }

    /// Whether all bytes are zero, which is what two equal shares give: no key anybody wants.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.0.as_slice().ct_eq(&[0; 32]).into()
    }

    /// The secret bytes.
    #[must_use]
    pub fn secret_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Key for the encryption of key blobs.
    pub(crate) fn encryption_key(&self) -> Zeroizing<[u8; 32]> {
        self.derive(1)
    }

    /// Key for the MAC of key blobs.
    pub(crate) fn mac_key(&self) -> Zeroizing<[u8; 32]> {
        self.derive(2)
    }

    fn derive(&self, counter: u32) -> Zeroizing<[u8; 32]> {
        let digest = Sha256::new()
            .chain_update(self.0.as_slice())
            .chain_update(counter.to_be_bytes());
        Zeroizing::new(digest.finalize().into())
    }
}

impl From<KekShare> for Kek {
    /// The key of which this is the only share, or all shares combined.
    fn from(share: KekShare) -> Self {
        Self(share.0)
    }
}

impl PartialEq for Kek {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_slice().ct_eq(other.0.as_slice()).into()
    }
}

impl Eq for Kek {}

impl PartialEq for KekShare {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_slice().ct_eq(other.0.as_slice()).into()
    }
}

impl Eq for KekShare {}

impl fmt::Debug for KekShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KekShare(..)")
    }
}

impl fmt::Debug for Kek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kek(KCV {})", self.kcv())
    }
}

impl Kcv {
    /// What an incomplete key domain shows.
    pub const NONE: Self = Self([0; 8]);
}

impl fmt::Display for Kcv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

impl fmt::Debug for Kcv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kcv({self})")
    }
}

fn fixed(bytes: &[u8]) -> Result<Secret, KekError> {
    if bytes.len() != 32 {
        return Err(KekError::Length { length: bytes.len() });
    }
    let mut fixed = Secret::default();
    fixed.copy_from_slice(bytes);
    Ok(fixed)
}
