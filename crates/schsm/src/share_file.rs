//! Share files (`.pbe`): one share of a device key encryption key under a password.
//!
//! Layout, 64 bytes: `Salted__` | salt (8) | AES-256-CBC of the share (32 bytes) and 16 bytes of padding. The key
//! comes from the password by 30 million rounds of MD5, in the manner of OpenSSL's `EVP_BytesToKey`. That takes
//! seconds: derive once, and never on a path that has to be quick.

use std::fmt;

use aes::Aes256;
use aes::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::KekShare;

/// Length of a share file in bytes.
pub const LENGTH: usize = 64;

const MAGIC: [u8; 8] = *b"Salted__";
const PADDING: [u8; 16] = [0x10; 16];
const ITERATIONS: u32 = 10_000_000;

/// Why a share file gives no share.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ShareFileError {
    /// Not 64 bytes.
    #[error("a share file has {LENGTH} bytes, this one has {length}")]
    Length {
        /// Bytes given.
        length: usize,
    },
    /// Does not start with `Salted__`.
    #[error("not a share file: it does not start with \"Salted__\"")]
    Magic,
    /// The padding is wrong, so the password is, or the file is damaged. A damaged share under intact padding can
    /// not be told; only the key check value of the whole key tells it.
    #[error("wrong password, or damaged share file")]
    WrongPassword,
}

/// Gives the share in a file. The password is bytes; typed ones are UTF-8.
///
/// # Errors
/// [`ShareFileError`].
pub fn decrypt(file: &[u8], password: &[u8]) -> Result<KekShare, ShareFileError> {
    decrypt_with_progress(file, password, |_| ())
}

/// As [`decrypt`]; `progress` hears from time to time how much is done, as a fraction of 1, the last time 1.
///
/// # Errors
/// [`ShareFileError`].
pub fn decrypt_with_progress(
    file: &[u8],
    password: &[u8],
    progress: impl FnMut(f64),
) -> Result<KekShare, ShareFileError> {
    decrypt_iterated(file, password, ITERATIONS, progress)
}

/// Makes a share file. `salt` must be random.
#[must_use]
pub fn encrypt(share: &KekShare, password: &[u8], salt: [u8; 8]) -> [u8; LENGTH] {
    encrypt_with_progress(share, password, salt, |_| ())
}

/// As [`encrypt`], with `progress` as in [`decrypt_with_progress`].
#[must_use]
pub fn encrypt_with_progress(
    share: &KekShare,
    password: &[u8],
    salt: [u8; 8],
    progress: impl FnMut(f64),
) -> [u8; LENGTH] {
    encrypt_iterated(share, password, salt, ITERATIONS, progress)
}

fn decrypt_iterated(
    file: &[u8],
    password: &[u8],
    iterations: u32,
    progress: impl FnMut(f64),
) -> Result<KekShare, ShareFileError> {
    let file = ShareFile::parse(file)?;
    file.open(&ShareFileKey::derive(password, file.salt, iterations, progress))
}

fn encrypt_iterated(
    share: &KekShare,
    password: &[u8],
    salt: [u8; 8],
    iterations: u32,
    progress: impl FnMut(f64),
) -> [u8; LENGTH] {
    ShareFile::seal(
        share,
        salt,
        &ShareFileKey::derive(password, salt, iterations, progress),
    )
    .to_bytes()
}

/// A share file taken apart: one key can be derived and tried in several ways. Nothing in it is secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShareFile {
    salt: [u8; 8],
    body: [u8; 48],
}

impl ShareFile {
    /// Takes a share file apart.
    ///
    /// # Errors
    /// [`ShareFileError::Length`] or [`ShareFileError::Magic`].
    pub fn parse(file: &[u8]) -> Result<Self, ShareFileError> {
        let Ok(file) = <[u8; LENGTH]>::try_from(file) else {
            return Err(ShareFileError::Length { length: file.len() });
        };
        if !file.starts_with(&MAGIC) {
            return Err(ShareFileError::Magic);
        }
        let (mut salt, mut body) = ([0; 8], [0; 48]);
        salt.copy_from_slice(&file[8..16]);
        body.copy_from_slice(&file[16..]);
        Ok(Self { salt, body })
    }

    /// The salt, which makes two files under one password differ.
    #[must_use]
    pub const fn salt(&self) -> [u8; 8] {
        self.salt
    }

    /// Encrypts a share under a key that was derived with this salt.
    #[must_use]
    pub fn seal(share: &KekShare, salt: [u8; 8], key: &ShareFileKey) -> Self {
        let mut body = Zeroizing::new([0x10; 48]);
        body[..32].copy_from_slice(share.secret_bytes());
        let mut cipher = cbc::Encryptor::<Aes256>::new((&*key.key).into(), (&*key.iv).into());
        for block in body.as_chunks_mut::<16>().0 {
            cipher.encrypt_block(block.into());
        }
        Self { salt, body: *body }
    }

    /// The file.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; LENGTH] {
        let mut file = [0; LENGTH];
        file[..8].copy_from_slice(&MAGIC);
        file[8..16].copy_from_slice(&self.salt);
        file[16..].copy_from_slice(&self.body);
        file
    }

    /// Derives the key of this file from a password: seconds. `progress` as in [`decrypt_with_progress`].
    #[must_use]
    pub fn derive(&self, password: &[u8], progress: impl FnMut(f64)) -> ShareFileKey {
        ShareFileKey::derive(password, self.salt, ITERATIONS, progress)
    }

    /// The share, when all of the padding says that the key is right.
    ///
    /// # Errors
    /// [`ShareFileError::WrongPassword`].
    pub fn open(&self, key: &ShareFileKey) -> Result<KekShare, ShareFileError> {
        let body = self.decrypted(key);
        let (share, padding) = body.split_at(32);
        if !bool::from(padding.ct_eq(&PADDING)) {
            return Err(ShareFileError::WrongPassword);
        }
        KekShare::from_slice(share).map_err(|_| ShareFileError::WrongPassword)
    }

    /// What a tool takes for the share that only removes padding (PKCS#7: the last byte says how many bytes of its own value end
    /// the text) and takes the first 32 bytes, whatever is left: under one wrong key of 256 this is no error. `None` when even
    /// such a tool refuses. To find out what was imported so; never to import it.
    #[must_use]
    pub fn open_by_padding_alone(&self, key: &ShareFileKey) -> Option<KekShare> {
        let body = self.decrypted(key);
        let last = body.last().copied().unwrap_or_default();
        let count = usize::from(last);
        let fits = (1..=16).contains(&count) && body.iter().rev().take(count).all(|byte| *byte == last);
        fits.then(|| KekShare::from_slice(&body[..32]).ok()).flatten()
    }

    fn decrypted(&self, key: &ShareFileKey) -> Zeroizing<[u8; 48]> {
        let mut body = Zeroizing::new(self.body);
        let mut cipher = cbc::Decryptor::<Aes256>::new((&*key.key).into(), (&*key.iv).into());
        for block in body.as_chunks_mut::<16>().0 {
            cipher.decrypt_block(block.into());
        }
        body
    }
}

/// Key and IV of a share file, derived from a password and the file's salt.
#[derive(Clone)]
pub struct ShareFileKey {
    key: Zeroizing<[u8; 32]>,
    iv: Zeroizing<[u8; 16]>,
}

impl fmt::Debug for ShareFileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShareFileKey(..)")
    }
}

impl ShareFileKey {
    /// A key and IV derived elsewhere.
    #[must_use]
    pub fn from_parts(key: [u8; 32], iv: [u8; 16]) -> Self {
        Self {
            key: Zeroizing::new(key),
            iv: Zeroizing::new(iv),
        }
    }

    fn derive(password: &[u8], salt: [u8; 8], iterations: u32, mut progress: impl FnMut(f64)) -> Self {
        let derived = chancery_share_kdf::derive(password, salt, iterations, &mut progress);
        let mut key = Zeroizing::new([0; 32]);
        let mut iv = Zeroizing::new([0; 16]);
        key.copy_from_slice(&derived[..32]);
        iv.copy_from_slice(&derived[32..]);
        Self { key, iv }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_wrong_passwords() {
        let share = KekShare::new([0x5A; 32]);
        let file = encrypt_iterated(&share, b"correct \0 horse", [7; 8], 3, |_| ());
        assert_eq!(decrypt_iterated(&file, b"correct \0 horse", 3, |_| ()), Ok(share));
        for wrong in [&b"correct"[..], b"", b"correct \0 horse "] {
            assert_eq!(
                decrypt_iterated(&file, wrong, 3, |_| ()),
                Err(ShareFileError::WrongPassword)
            );
        }
    }

    #[test]
    fn all_sixteen_padding_bytes_count() {
        // A change in one ciphertext block garbles it and flips the same bits of the next one: flipping block two
        // changes a chosen byte of the padding while its last byte stays 10.
        let file = encrypt_iterated(&KekShare::new([1; 32]), b"pw", [0; 8], 2, |_| ());
        for index in 32..48 {
            let mut changed = file;
            changed[index] ^= 1;
            assert_eq!(
                decrypt_iterated(&changed, b"pw", 2, |_| ()),
                Err(ShareFileError::WrongPassword)
            );
        }
    }

    #[test]
    fn padding_alone_lets_wrong_keys_pass() {
        let file = ShareFile::parse(&encrypt_iterated(
            &KekShare::new([1; 32]),
            b"pw",
            [0; 8],
            2,
            |_| (),
        ))
        .unwrap();
        let right = ShareFileKey::derive(b"pw", [0; 8], 2, |_| ());
        assert_eq!(file.open_by_padding_alone(&right), Some(KekShare::new([1; 32])));
        // About one in 256, and the share is another one.
        let passed: Vec<_> = (0..2000_u32)
            .map(|wrong| ShareFileKey::derive(&wrong.to_be_bytes(), [0; 8], 2, |_| ()))
            .filter_map(|key| {
                assert!(file.open(&key).is_err());
                file.open_by_padding_alone(&key)
            })
            .collect();
        assert!((1..40).contains(&passed.len()), "{}", passed.len());
        assert!(passed.iter().all(|share| *share != KekShare::new([1; 32])));
    }

    #[test]
    fn shape_is_checked_before_anything_is_derived() {
        assert_eq!(decrypt(&[0; 63], b""), Err(ShareFileError::Length { length: 63 }));
        assert_eq!(decrypt(&[0; 64], b""), Err(ShareFileError::Magic));
    }
}
