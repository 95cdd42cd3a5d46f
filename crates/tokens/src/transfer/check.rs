//! How a key that arrived proves which one it is: by a use that nobody else's key could make.

use chancery_cvc::PublicKey;
use chancery_driver::{AES_BLOCK, Authenticated, Error, KeyCertificate};
use chancery_iso7816::Transport;
use chancery_schsm::{Algorithm, AlgorithmList, KeyId, KeyMaterial};
use openssl::error::ErrorStack;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use openssl::symm::{Cipher, Crypter, Mode};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// What to ask of the key. Stored: variants are only ever added. Holds no secret: a check value of a random block says
/// nothing of the key that made it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Check {
    /// A signature or decryption that this SubjectPublicKeyInfo (DER, hexadecimal) verifies.
    PublicKey(String),
    /// As above, for the public key that the certificate or request with it names.
    Certificate,
    /// AES: this input gives this output, hexadecimal.
    Secret {
        /// Algorithm identifier.
        algorithm: u8,
        /// Input.
        input: String,
        /// Output.
        output: String,
    },
    /// Nothing is known that could be asked.
    Nothing,
}

/// Whether a key proved which one it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verified {
    /// By a use whose result was checked.
    ByUse,
    /// Not: nothing that came with it says what to expect.
    NothingToCompare,
    /// Not: its algorithm list permits no use that could prove it.
    NoUsePermitted,
}

impl Check {
    /// For the public key known.
    pub(super) fn of_public_key(key: &PublicKey) -> Option<Self> {
        key.to_spki_der()
            .ok()
            .map(|spki| Self::PublicKey(hex::encode(spki)))
    }

    /// For a secret key known; `challenge` is random.
    pub(super) fn of_material(
        material: &KeyMaterial,
        algorithms: &AlgorithmList,
        challenge: [u8; AES_BLOCK],
    ) -> Result<Self, ErrorStack> {
        let KeyMaterial::Aes { key } = material else {
            return Ok(Self::Nothing);
        };
        let ways = [
            Algorithm::AesCbcEncrypt,
            Algorithm::AesCbcDecrypt,
            Algorithm::AesCmac,
        ];
        let Some(way) = ways.into_iter().find(|way| algorithms.allows(*way)) else {
            return Ok(Self::Nothing);
        };
        let (input, output) = match way {
            Algorithm::AesCmac => (challenge.to_vec(), cmac(key, &challenge)?),
            // One block under a zero initial vector: decryption is encryption read backwards.
            Algorithm::AesCbcDecrypt => (encrypt(key, &challenge)?, challenge.to_vec()),
            _ => (challenge.to_vec(), encrypt(key, &challenge)?),
        };
        Ok(Self::Secret {
            algorithm: way.id(),
            input: hex::encode(input),
            output: hex::encode(output),
        })
    }

    /// The public key to expect, if it is known.
    pub(super) fn public_key(&self, certificate: Option<&[u8]>) -> Option<PublicKey> {
        match self {
            Self::PublicKey(spki) => PublicKey::from_spki_der(&hex::decode(spki).ok()?).ok(),
            Self::Certificate => KeyCertificate::recognise(certificate?.to_vec()).public_key(),
            Self::Secret { .. } | Self::Nothing => None,
        }
    }

    /// Has key `id` prove itself. `None` when it is another one.
    pub(super) fn ask<T: Transport>(
        &self,
        card: &mut Authenticated<T>,
        id: KeyId,
        certificate: Option<&[u8]>,
    ) -> Result<Option<Verified>, Error> {
        if let Self::Secret {
            algorithm,
            input,
            output,
        } = self
        {
            let (Ok(input), Ok(output)) = (hex::decode(input), hex::decode(output)) else {
                return Ok(Some(Verified::NothingToCompare));
            };
            let zero = [0; AES_BLOCK];
            let answer = match Algorithm::from_id(*algorithm) {
                Some(Algorithm::AesCbcEncrypt) => card.encrypt_cbc(id, zero, &input),
                Some(Algorithm::AesCbcDecrypt) => card.decrypt_cbc(id, zero, &input),
                _ => card.cmac(id, &input).map(|mac| Zeroizing::new(mac.to_vec())),
            };
            return match answer {
                Ok(answer) => Ok((*answer == output).then_some(Verified::ByUse)),
                Err(Error::UseNotPermitted { .. }) => Ok(None),
                Err(Error::Refused { status, .. }) if [0x6A80, 0x6700].contains(&status.0) => Ok(None),
                Err(error) => Err(error),
            };
        }
        let Some(expected) = self.public_key(certificate) else {
            return Ok(Some(Verified::NothingToCompare));
        };
        match card.proves(id, &expected) {
            Ok(true) => Ok(Some(Verified::ByUse)),
            Ok(false) => Ok(None),
            // Nothing was sent: the key permits no use that could tell.
            Err(Error::Input { .. }) => Ok(Some(Verified::NoUsePermitted)),
            Err(error) => Err(error),
        }
    }
}

fn encrypt(key: &[u8], block: &[u8; AES_BLOCK]) -> Result<Vec<u8>, ErrorStack> {
    let mut crypter = Crypter::new(ecb(key), Mode::Encrypt, key, None)?;
    crypter.pad(false);
    let mut out = vec![0; 2 * AES_BLOCK];
    let written = crypter.update(block, &mut out)?;
    out.truncate(written);
    Ok(out)
}

fn cmac(key: &[u8], block: &[u8; AES_BLOCK]) -> Result<Vec<u8>, ErrorStack> {
    let key = PKey::cmac(&cbc(key), key)?;
    let mut signer = Signer::new_without_digest(&key)?;
    signer.update(block)?;
    signer.sign_to_vec()
}

fn ecb(key: &[u8]) -> Cipher {
    match key.len() {
        16 => Cipher::aes_128_ecb(),
        24 => Cipher::aes_192_ecb(),
        _ => Cipher::aes_256_ecb(),
    }
}

fn cbc(key: &[u8]) -> Cipher {
    match key.len() {
        16 => Cipher::aes_128_cbc(),
        24 => Cipher::aes_192_cbc(),
        _ => Cipher::aes_256_cbc(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 197 appendix B's key and NIST SP 800-38B D.1.
    #[test]
    fn check_values_are_those_of_the_standards() {
        let key = hex::decode("2b7e151628aed2a6abf7158809cf4f3c").unwrap();
        let block: [u8; 16] = hex::decode("6bc1bee22e409f96e93d7e117393172a")
            .unwrap()
            .try_into()
            .unwrap();
        assert_eq!(
            hex::encode(encrypt(&key, &block).unwrap()),
            "3ad77bb40d7a3660a89ecaf32466ef97"
        );
        assert_eq!(
            hex::encode(cmac(&key, &block).unwrap()),
            "070a16b46b4d4144f79bdd9dd04a287c"
        );
    }
}
