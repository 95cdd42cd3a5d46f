//! Key blobs: a key wrapped under the key encryption key of a key domain.
//!
//! Layout: KCV (8) | type (1) | four fields of a two-byte length and a value (algorithm OID, allowed algorithms,
//! access conditions, key OID) | AES-256-CBC ciphertext, zero IV | AES-256-CMAC (16) over everything before.
//! The plaintext starts with 8 random bytes; the key follows, then `80 00..` up to the block size.

mod fields;
mod plain;

use aes::Aes256;
use aes::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyInit, KeyIvInit};
use cmac::{Cmac, Mac};
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{AlgorithmList, AlgorithmListError, Kcv, Kek, KeyMaterial, KeyType};
use fields::{Fields, Sink};

/// Longest blob in bytes that is looked at; an RSA key of 4096 bits takes less than half of it.
pub const MAX_LENGTH: usize = 4096;

const TYPE_RSA: u8 = 0x05;
const TYPE_RSA_CRT: u8 = 0x06;
const TYPE_EC: u8 = 0x0C;
const TYPE_AES: u8 = 0x0F;
const MAC_LENGTH: usize = 16;

/// What was in a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedBlob {
    /// The key.
    pub material: KeyMaterial,
    /// What it may be used for.
    pub algorithms: AlgorithmList,
}

/// Why a blob cannot be opened or made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BlobError {
    /// Longer than [`MAX_LENGTH`].
    #[error("key blob of {length} bytes is over the limit of {MAX_LENGTH}")]
    TooLong {
        /// Bytes given.
        length: usize,
    },
    /// It ends before the field that is named.
    #[error("key blob is cut short: {field} is missing or incomplete")]
    Truncated {
        /// What was being read.
        field: &'static str,
    },
    /// It was wrapped under another key encryption key.
    #[error("key blob is wrapped under the key with check value {blob}, not {kek}")]
    KcvMismatch {
        /// Check value in the blob.
        blob: Kcv,
        /// Check value of the key that is at hand.
        kek: Kcv,
    },
    /// It was changed, or damaged.
    #[error("key blob is damaged: its authentication code is wrong")]
    Mac,
    /// A type of key that is not known.
    #[error("key blob holds a key of unknown type {type_byte:02X}")]
    UnknownType {
        /// The type byte.
        type_byte: u8,
    },
    /// The encrypted part is no whole number of blocks.
    #[error("encrypted part of the key blob has {length} bytes, not a multiple of 16")]
    Ciphertext {
        /// Its length in bytes.
        length: usize,
    },
    /// Its list of allowed algorithms is too long.
    #[error("list of allowed algorithms in the key blob")]
    Algorithms(#[from] AlgorithmListError),
    /// A part of the key has a value it cannot have.
    #[error("key in the blob is malformed: {field}")]
    Key {
        /// What is wrong with which part.
        field: &'static str,
    },
}

/// Wraps a key. `random_prefix` must be fresh random bytes: the IV is zero, so they alone keep two blobs of one key
/// from showing that it is the same key.
///
/// Numbers are written in fixed lengths: those of the modulus, of p and of n.
///
/// # Errors
/// [`BlobError::Key`] when a part is longer than its place, [`BlobError::TooLong`] when the whole is.
pub fn seal(
    kek: &Kek,
    material: &KeyMaterial,
    algorithms: &AlgorithmList,
    random_prefix: [u8; 8],
) -> Result<Vec<u8>, BlobError> {
    let plaintext = plain::encode(material, random_prefix)?;

    let mut blob = Vec::with_capacity(9 + 32 + plaintext.len() + MAC_LENGTH);
    blob.extend_from_slice(&kek.kcv().0);
    blob.push(type_byte(material));
    let mut header = Sink::new(&mut blob);
    header.field(algorithm_oid(material.key_type()), "algorithm OID")?;
    header.field(algorithms.ids(), "allowed algorithms")?;
    header.field(&[], "access conditions")?;
    header.field(&[], "key OID")?;

    let encryption_key = kek.encryption_key();
    let mut ciphertext = plaintext;
    let mut cipher = cbc::Encryptor::<Aes256>::new((&*encryption_key).into(), (&[0; 16]).into());
    for block in ciphertext.as_chunks_mut::<16>().0 {
        cipher.encrypt_block(block.into());
    }
    blob.extend_from_slice(&ciphertext);
    let mac = mac_of(kek, &blob);
    blob.extend_from_slice(&mac);
    if blob.len() > MAX_LENGTH {
        return Err(BlobError::TooLong { length: blob.len() });
    }
    Ok(blob)
}

/// Unwraps a key: the check value is compared first, then the authentication code in constant time, and only then
/// is anything decrypted.
///
/// Blobs of all known token makers are taken: numbers without leading zeros, padding left out, and a missing
/// coefficient a, which then is -3. The material that comes out always is complete and of fixed lengths. Whether
/// its numbers make a key (the point is on the curve, d belongs to q) is for the crypto library to check.
///
/// # Errors
/// [`BlobError`]; nothing of the key is in it.
pub fn open(kek: &Kek, blob: &[u8]) -> Result<OpenedBlob, BlobError> {
    if blob.len() > MAX_LENGTH {
        return Err(BlobError::TooLong { length: blob.len() });
    }
    let in_blob = kcv_of(blob)?;
    if in_blob != kek.kcv() {
        return Err(BlobError::KcvMismatch {
            blob: in_blob,
            kek: kek.kcv(),
        });
    }
    let (signed, mac) = blob
        .split_last_chunk::<MAC_LENGTH>()
        .ok_or(BlobError::Truncated {
            field: "authentication code",
        })?;
    if !bool::from(mac_of(kek, signed).ct_eq(mac)) {
        return Err(BlobError::Mac);
    }

    let mut header = Fields::new(signed.get(8..).unwrap_or_default());
    let type_byte = header.byte("key type")?;
    // The type byte alone says what follows; the OID repeats it, access conditions and key OID have no meaning yet.
    header.field("algorithm OID")?;
    let algorithms = AlgorithmList::from_ids(header.field("allowed algorithms")?)?;
    header.field("access conditions")?;
    header.field("key OID")?;

    let mut plaintext = Zeroizing::new(header.rest().to_vec());
    let length = plaintext.len();
    let (blocks, []) = plaintext.as_chunks_mut::<16>() else {
        return Err(BlobError::Ciphertext { length });
    };
    let encryption_key = kek.encryption_key();
    let mut cipher = cbc::Decryptor::<Aes256>::new((&*encryption_key).into(), (&[0; 16]).into());
    for block in blocks {
        cipher.decrypt_block(block.into());
    }
    Ok(OpenedBlob {
        material: plain::decode(type_byte, &plaintext)?,
        algorithms,
    })
}

/// The check value of the key encryption key a blob was wrapped under.
///
/// # Errors
/// [`BlobError::Truncated`] below eight bytes.
pub fn kcv_of(blob: &[u8]) -> Result<Kcv, BlobError> {
    blob.first_chunk().copied().map(Kcv).ok_or(BlobError::Truncated {
        field: "key check value",
    })
}

/// The kind of key a blob says it holds. Nothing vouches for it before the blob is opened.
///
/// # Errors
/// [`BlobError::Truncated`] or [`BlobError::UnknownType`].
pub fn key_type_of(blob: &[u8]) -> Result<KeyType, BlobError> {
    match blob.get(8).copied() {
        None => Err(BlobError::Truncated { field: "key type" }),
        Some(TYPE_RSA | TYPE_RSA_CRT) => Ok(KeyType::Rsa),
        Some(TYPE_EC) => Ok(KeyType::Ec),
        Some(TYPE_AES) => Ok(KeyType::Aes),
        Some(type_byte) => Err(BlobError::UnknownType { type_byte }),
    }
}

fn type_byte(material: &KeyMaterial) -> u8 {
    match material {
        KeyMaterial::Ec { .. } => TYPE_EC,
        KeyMaterial::Rsa {
            secret: crate::RsaSecret::Exponent(_),
            ..
        } => TYPE_RSA,
        KeyMaterial::Rsa {
            secret: crate::RsaSecret::Crt(_),
            ..
        } => TYPE_RSA_CRT,
        KeyMaterial::Aes { .. } => TYPE_AES,
    }
}

fn algorithm_oid(key_type: KeyType) -> &'static [u8] {
    match key_type {
        KeyType::Rsa => &[0x04, 0x00, 0x7F, 0x00, 0x07, 0x02, 0x02, 0x02, 0x01, 0x02],
        KeyType::Ec => &[0x04, 0x00, 0x7F, 0x00, 0x07, 0x02, 0x02, 0x02, 0x02, 0x03],
        KeyType::Aes => &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01],
    }
}

fn mac_of(kek: &Kek, bytes: &[u8]) -> [u8; MAC_LENGTH] {
    let mac_key = kek.mac_key();
    let mut mac = Cmac::<Aes256>::new((&*mac_key).into());
    mac.update(bytes);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests;
