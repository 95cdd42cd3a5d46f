//! Decryption, and encryption with AES.

use chancery_driver::padding::{strip_oaep, strip_pkcs1};
use chancery_driver::{AES_BLOCK, Authenticated};
use chancery_iso7816::Transport;
use chancery_schsm::{Algorithm, Hash, KeyType};
use zeroize::Zeroizing;

use super::{KeyInUse, OperateError};

/// How a cryptogram was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decryption {
    /// RSAES-PKCS1-v1_5.
    Pkcs1,
    /// RSAES-OAEP.
    Oaep {
        /// The hash over the label.
        hash: Hash,
        /// The hash of the mask generation function.
        mask: Hash,
        /// The label, usually empty.
        label: Vec<u8>,
    },
    /// RSA without padding: the whole block is given out.
    Raw,
    /// AES-CBC.
    AesCbc {
        /// Initial vector.
        iv: [u8; AES_BLOCK],
        /// What fills the last block.
        padding: SymmetricPadding,
    },
}

/// What fills the last block of AES-CBC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SymmetricPadding {
    /// Nothing: whole blocks only.
    None,
    /// As many bytes as are missing, each their number (RFC 5652 6.3).
    Pkcs7,
}

impl KeyInUse {
    /// Decrypts. One command to the token; AES-CBC one for each kilobyte.
    ///
    /// # Errors
    /// The key is of another kind or does not permit it, the padding is wrong, or the token refuses.
    pub fn decrypt<T: Transport>(
        &self,
        card: &mut Authenticated<T>,
        how: &Decryption,
        cryptogram: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, OperateError> {
        if let Decryption::AesCbc { iv, padding } = how {
            self.require(KeyType::Aes, "AES decryption")?;
            self.permit(Algorithm::AesCbcDecrypt, "AES-CBC decryption")?;
            whole_blocks(cryptogram)?;
            let plain = card.decrypt_cbc(self.id, *iv, cryptogram)?;
            return match padding {
                SymmetricPadding::None => Ok(plain),
                SymmetricPadding::Pkcs7 => strip_pkcs7(&plain),
            };
        }
        self.require(KeyType::Rsa, "RSA decryption")?;
        self.permit(Algorithm::RsaDecrypt, "RSA decryption")?;
        if cryptogram.len() != self.size() {
            return Err(OperateError::Input(format!(
                "a cryptogram of this key has {} bytes, {} are given",
                self.size(),
                cryptogram.len()
            )));
        }
        let block = card.decipher(self.id, cryptogram)?;
        Ok(match how {
            Decryption::Pkcs1 => strip_pkcs1(&block)?,
            Decryption::Oaep { hash, mask, label } => strip_oaep(&block, *hash, *mask, label)?,
            Decryption::Raw | Decryption::AesCbc { .. } => block,
        })
    }

    /// AES-CBC encryption. One command to the token for each kilobyte.
    ///
    /// # Errors
    /// As [`Self::decrypt`].
    pub fn encrypt<T: Transport>(
        &self,
        card: &mut Authenticated<T>,
        iv: [u8; AES_BLOCK],
        padding: SymmetricPadding,
        data: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, OperateError> {
        self.require(KeyType::Aes, "AES encryption")?;
        self.permit(Algorithm::AesCbcEncrypt, "AES-CBC encryption")?;
        let mut data = Zeroizing::new(data.to_vec());
        if padding == SymmetricPadding::Pkcs7 {
            let fill = AES_BLOCK - data.len() % AES_BLOCK;
            let padded = data.len() + fill;
            data.resize(padded, u8::try_from(fill).unwrap_or_default());
        }
        whole_blocks(&data)?;
        Ok(card.encrypt_cbc(self.id, iv, &data)?)
    }

    fn permit(&self, algorithm: Algorithm, wanted: &'static str) -> Result<(), OperateError> {
        if self.allows(algorithm) {
            Ok(())
        } else {
            Err(self.not_permitted(wanted))
        }
    }
}

fn whole_blocks(data: &[u8]) -> Result<(), OperateError> {
    if data.is_empty() || !data.len().is_multiple_of(AES_BLOCK) {
        return Err(OperateError::Input(format!(
            "{} bytes are no whole number of blocks of {AES_BLOCK}",
            data.len()
        )));
    }
    Ok(())
}

fn strip_pkcs7(plain: &[u8]) -> Result<Zeroizing<Vec<u8>>, OperateError> {
    let bad = || OperateError::Padding(chancery_driver::padding::PaddingError);
    let fill = *plain.last().ok_or_else(bad)?;
    let length = plain.len().checked_sub(fill.into()).ok_or_else(bad)?;
    let (data, padding) = plain.split_at(length);
    if !(1..=16).contains(&fill) || padding.iter().any(|byte| *byte != fill) {
        return Err(bad());
    }
    Ok(Zeroizing::new(data.to_vec()))
}
