//! AES keys: CBC with a zero IV, CMAC and derivation.

use aws_lc_rs::cipher::{
    self, DecryptingKey, DecryptionContext, EncryptingKey, EncryptionContext, UnboundCipherKey,
};
use aws_lc_rs::cmac;
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::iv::FixedLength;
use zeroize::Zeroizing;

use super::CryptoError;
use crate::secret::SecretBytes;

/// Length of a block in bytes.
pub(crate) const BLOCK: usize = 16;
/// Length of a derived key in bytes.
const DERIVED: usize = 32;

/// An AES key of 128, 192 or 256 bits.
pub(crate) struct AesKey {
    key: SecretBytes,
    algorithms: (&'static cipher::Algorithm, cmac::Algorithm),
}

impl AesKey {
    /// Takes a key.
    ///
    /// # Errors
    /// [`CryptoError::Data`] for another length.
    pub(crate) fn new(key: &[u8]) -> Result<Self, CryptoError> {
        let algorithms = match key.len() {
            16 => (&cipher::AES_128, cmac::AES_128),
            24 => (&cipher::AES_192, cmac::AES_192),
            32 => (&cipher::AES_256, cmac::AES_256),
            _ => return Err(CryptoError::Data),
        };
        Ok(Self {
            key: SecretBytes::from(key),
            algorithms,
        })
    }

    /// The key itself.
    pub(crate) fn expose(&self) -> &[u8] {
        self.key.expose()
    }

    /// CBC encryption of whole blocks, zero IV, no padding (NIST SP 800-38A 6.2).
    pub(crate) fn encrypt(&self, plain: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let key = EncryptingKey::cbc(self.unbound()?)?;
        let mut blocks = Zeroizing::new(plain.to_vec());
        key.less_safe_encrypt(&mut blocks, EncryptionContext::Iv128(zero_iv()))?;
        Ok(blocks)
    }

    /// CBC decryption of whole blocks, zero IV, no padding.
    pub(crate) fn decrypt(&self, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let key = DecryptingKey::cbc(self.unbound()?)?;
        let mut blocks = Zeroizing::new(ciphertext.to_vec());
        key.decrypt(&mut blocks, DecryptionContext::Iv128(zero_iv()))?;
        Ok(blocks)
    }

    /// CMAC, 16 bytes (NIST SP 800-38B).
    pub(crate) fn mac(&self, message: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let key = cmac::Key::new(self.algorithms.1, self.key.expose())?;
        Ok(Zeroizing::new(cmac::sign(&key, message)?.as_ref().to_vec()))
    }

    /// 32 secret bytes that belong to this key and `label`: HKDF-SHA-256 without salt, the label as info (RFC 5869).
    ///
    /// What a SmartCard-HSM computes here is not public; this is what an open firmware of the same command set does,
    /// with a fixed output length.
    pub(crate) fn derive(&self, label: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let mut derived = Zeroizing::new(vec![0; DERIVED]);
        Salt::new(HKDF_SHA256, &[])
            .extract(self.key.expose())
            .expand(&[label], HKDF_SHA256)?
            .fill(&mut derived)?;
        Ok(derived)
    }

    fn unbound(&self) -> Result<UnboundCipherKey, CryptoError> {
        Ok(UnboundCipherKey::new(self.algorithms.0, self.key.expose())?)
    }
}

fn zero_iv() -> FixedLength<BLOCK> {
    FixedLength::from([0; BLOCK])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivation_is_that_of_the_open_firmware() {
        let key: Vec<u8> = (0x40..0x60).collect();
        let derived = AesKey::new(&key).unwrap().derive(b"test").unwrap();
        assert_eq!(
            (derived.len(), &derived[..4]),
            (32, &[0x02, 0x43, 0xFE, 0xAF][..])
        );
    }

    #[test]
    fn cmac_of_rfc_4493() {
        let key = hex::decode("2B7E151628AED2A6ABF7158809CF4F3C").unwrap();
        let key = AesKey::new(&key).unwrap();
        let empty = key.mac(&[]).unwrap();
        assert_eq!(hex::encode_upper(&*empty), "BB1D6929E95937287FA37D129B756746");
    }

    #[test]
    fn other_lengths_are_no_keys() {
        for length in [0, 15, 17, 31, 33, 64] {
            assert!(AesKey::new(&vec![0; length]).is_err(), "{length}");
        }
    }
}
