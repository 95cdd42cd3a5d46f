//! A key as the commands use it: any kind, operations by algorithm identifier.
//!
//! An operation has two steps. Preparing checks algorithm and input and changes nothing; running computes.
//! Between the two the use counter is written, so a refused use costs nothing and a computed one always counts.

use openssl::ec::EcPoint;
use zeroize::Zeroizing;

use super::aes::BLOCK;
use super::rsa::Scheme;
use super::{AesKey, CryptoError, EcKey, Hash, RsaKey};
use crate::state::{KeyKind, KeyRecord};

/// A parsed key of the key store.
pub(crate) enum PrivateKey {
    /// Elliptic curve.
    Ec(EcKey),
    /// RSA.
    Rsa(RsaKey),
    /// AES.
    Aes(AesKey),
}

impl PrivateKey {
    /// Parses a stored key.
    pub(crate) fn from_record(record: &KeyRecord) -> Result<Self, CryptoError> {
        Ok(match record.kind {
            KeyKind::Ec => Self::Ec(EcKey::from_pkcs8(record.secret.expose())?),
            KeyKind::Rsa => Self::Rsa(RsaKey::from_pkcs8(record.secret.expose())?),
            KeyKind::Aes => Self::Aes(AesKey::new(record.secret.expose())?),
        })
    }

    /// Checks that SIGN with this algorithm identifier can process `input`.
    pub(crate) fn prepare_sign<'k>(&'k self, algorithm: u8, input: &'k [u8]) -> Result<Job<'k>, CryptoError> {
        let operation = match self {
            Self::Ec(key) => Operation::Ecdsa(key, ecdsa_input(algorithm, input)?),
            Self::Rsa(key) => prepare_rsa(key, algorithm, input)?,
            Self::Aes(_) => return Err(CryptoError::Algorithm),
        };
        Ok(Job(operation))
    }

    /// Checks that DECIPHER with this algorithm identifier (21 raw RSA, 80 ECDH) can process `input`.
    pub(crate) fn prepare_decipher<'k>(
        &'k self,
        algorithm: u8,
        input: &'k [u8],
    ) -> Result<Job<'k>, CryptoError> {
        let operation = match (self, algorithm) {
            (Self::Rsa(key), 0x21) => raw_rsa(key, input)?,
            (Self::Ec(key), 0x80) => Operation::Agree(key, key.curve().point(input)?),
            _ => return Err(CryptoError::Algorithm),
        };
        Ok(Job(operation))
    }

    /// Checks that CIPHER with this algorithm identifier (10 and 11 CBC, 18 CMAC, 99 derivation) can process `input`.
    pub(crate) fn prepare_cipher<'k>(
        &'k self,
        algorithm: u8,
        input: &'k [u8],
    ) -> Result<Job<'k>, CryptoError> {
        let Self::Aes(key) = self else {
            return Err(CryptoError::Algorithm);
        };
        let blocks = !input.is_empty() && input.len().is_multiple_of(BLOCK);
        let (fits, run): (bool, SecretOperation) = match algorithm {
            0x10 => (blocks, AesKey::encrypt),
            0x11 => (blocks, AesKey::decrypt),
            0x18 => (true, AesKey::mac),
            0x99 => (!input.is_empty(), AesKey::derive),
            _ => return Err(CryptoError::Algorithm),
        };
        if !fits {
            return Err(CryptoError::Data);
        }
        Ok(Job(Operation::Secret(key, run, input)))
    }
}

/// An operation that is known to fit key and input.
pub(crate) struct Job<'k>(Operation<'k>);

impl Job<'_> {
    /// Computes the result.
    pub(crate) fn run(self) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        match self.0 {
            Operation::Ecdsa(key, hash) => key.sign_hash(hash.as_ref()).map(Zeroizing::new),
            Operation::Agree(key, peer) => key.agree(&peer),
            Operation::Rsa(key, scheme, hash, value) => {
                key.sign_hash(scheme, hash, value.as_ref()).map(Zeroizing::new)
            }
            Operation::RsaPadded(key, input) => key.sign_padded(input).map(Zeroizing::new),
            Operation::RsaRaw(key, block) => key.raw(block),
            Operation::Secret(key, run, input) => run(key, input),
        }
    }
}

enum Operation<'k> {
    Ecdsa(&'k EcKey, Hashed<'k>),
    Agree(&'k EcKey, EcPoint),
    Rsa(&'k RsaKey, Scheme, Hash, Hashed<'k>),
    RsaPadded(&'k RsaKey, &'k [u8]),
    RsaRaw(&'k RsaKey, &'k [u8]),
    Secret(&'k AesKey, SecretOperation, &'k [u8]),
}

/// What an AES key does with input that was found to fit.
type SecretOperation = fn(&AesKey, &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError>;

/// A hash that the host sent or the token made.
enum Hashed<'k> {
    Sent(&'k [u8]),
    Made(aws_lc_rs::digest::Digest),
}

impl AsRef<[u8]> for Hashed<'_> {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Sent(bytes) => bytes,
            Self::Made(digest) => digest.as_ref(),
        }
    }
}

/// Longest hash that SIGN with algorithm 70 takes: the widest field is 66 bytes, and hosts pad to it.
const LONGEST_HASH: usize = 128;

fn ecdsa_input(algorithm: u8, input: &[u8]) -> Result<Hashed<'_>, CryptoError> {
    match algorithm {
        0x70 if input.is_empty() || input.len() > LONGEST_HASH => Err(CryptoError::Data),
        0x70 => Ok(Hashed::Sent(input)),
        0x71..=0x75 => {
            let hash = Hash::by_digit(algorithm & 0x0F).ok_or(CryptoError::Algorithm)?;
            Ok(Hashed::Made(hash.of(input)))
        }
        _ => Err(CryptoError::Algorithm),
    }
}

fn prepare_rsa<'k>(key: &'k RsaKey, algorithm: u8, input: &'k [u8]) -> Result<Operation<'k>, CryptoError> {
    match algorithm {
        0x20 => raw_rsa(key, input),
        0x30 => match Hash::from_digest_info(input) {
            Some((hash, value)) => Ok(Operation::Rsa(key, Scheme::Pkcs1, hash, Hashed::Sent(value))),
            // Block type 01 needs 11 bytes (RFC 8017 9.2).
            None if input.is_empty() || input.len() + 11 > key.length() => Err(CryptoError::Data),
            None => Ok(Operation::RsaPadded(key, input)),
        },
        0x40 => {
            let bare = || Hash::by_length(input.len()).map(|hash| (hash, input));
            let (hash, value) = bare()
                .or_else(|| Hash::from_digest_info(input))
                .ok_or(CryptoError::Data)?;
            pss_fits(key, hash)?;
            Ok(Operation::Rsa(key, Scheme::Pss, hash, Hashed::Sent(value)))
        }
        0x31..=0x35 | 0x41..=0x45 => {
            let hash = Hash::by_digit(algorithm & 0x0F).ok_or(CryptoError::Algorithm)?;
            let scheme = if algorithm & 0xF0 == 0x30 {
                Scheme::Pkcs1
            } else {
                Scheme::Pss
            };
            if scheme == Scheme::Pss {
                pss_fits(key, hash)?;
            }
            Ok(Operation::Rsa(key, scheme, hash, Hashed::Made(hash.of(input))))
        }
        _ => Err(CryptoError::Algorithm),
    }
}

/// RFC 8017 9.1.1: hash, equally long salt and two bytes have to fit the modulus.
fn pss_fits(key: &RsaKey, hash: Hash) -> Result<(), CryptoError> {
    if 2 * hash.length() + 2 > key.length() {
        Err(CryptoError::Data)
    } else {
        Ok(())
    }
}

/// The private operation on a block. A block that the host padded for a v1.5 signature over a known hash takes
/// the faster way to the same bytes.
fn raw_rsa<'k>(key: &'k RsaKey, block: &'k [u8]) -> Result<Operation<'k>, CryptoError> {
    if !key.takes_block(block)? {
        return Err(CryptoError::Data);
    }
    if let Some((hash, value)) = unpadded(block).and_then(Hash::from_digest_info) {
        return Ok(Operation::Rsa(key, Scheme::Pkcs1, hash, Hashed::Sent(value)));
    }
    Ok(Operation::RsaRaw(key, block))
}

/// What a complete PKCS#1 v1.5 block of type 01 holds.
fn unpadded(block: &[u8]) -> Option<&[u8]> {
    let padded = block.strip_prefix(&[0, 1])?;
    let filling = padded.iter().take_while(|byte| **byte == 0xFF).count();
    if filling < 8 {
        return None;
    }
    padded.get(filling..)?.strip_prefix(&[0])
}
