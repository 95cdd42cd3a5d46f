//! Signatures and MACs.

use chancery_cvc::der_to_plain;
use chancery_driver::Authenticated;
use chancery_driver::padding::{digest_info, digest_of, pkcs1_block, pss_block};
use chancery_iso7816::Transport;
use chancery_schsm::{Algorithm, Hash, KeyType};
use openssl::hash::hash;

use super::{KeyInUse, OperateError};

/// How a signature is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signing {
    /// The scheme.
    pub scheme: Scheme,
    /// The hash function.
    pub hash: Hash,
    /// Where the message is hashed.
    pub hash_on: HashOn,
    /// How an ECDSA signature is written.
    pub form: SignatureForm,
}

/// Signature schemes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// ECDSA for EC keys, RSASSA-PKCS1-v1_5 for RSA keys.
    Default,
    /// RSASSA-PSS, salt as long as the hash, mask generation with the same hash.
    Pss,
}

/// Where a message is hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashOn {
    /// Wherever the key permits it; here first.
    Either,
    /// On the host: the token sees the hash value alone, and messages may have any length.
    Host,
    /// On the token: the message must fit one command.
    Token,
    /// It is hashed already: what is signed is a hash value.
    Already,
}

/// How an ECDSA signature is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureForm {
    /// `SEQUENCE { INTEGER r, INTEGER s }` (RFC 3279 2.2.3).
    Der,
    /// r and s, each as long as the order of the curve (BSI TR-03111 5.2.1).
    Plain,
}

/// Longest message sent to a token to be hashed there, in bytes; what fits every known reader.
const MOST_ON_TOKEN: usize = 1000;

impl KeyInUse {
    /// Signs. One command to the token.
    ///
    /// # Errors
    /// The key is of another kind or does not permit it, the input does not fit, or the token refuses.
    pub fn sign<T: Transport>(
        &self,
        card: &mut Authenticated<T>,
        signing: &Signing,
        message: &[u8],
    ) -> Result<Vec<u8>, OperateError> {
        let (algorithm, input) = self.plan(signing, message)?;
        let signature = card.sign(self.id, algorithm, &input)?;
        match (self.key_type, signing.form) {
            (KeyType::Ec, SignatureForm::Plain) => self.plain(&signature),
            _ => Ok(signature),
        }
    }

    /// AES-CMAC over a message that fits one command.
    ///
    /// # Errors
    /// As [`Self::sign`].
    pub fn mac<T: Transport>(
        &self,
        card: &mut Authenticated<T>,
        message: &[u8],
    ) -> Result<Vec<u8>, OperateError> {
        self.require(KeyType::Aes, "a MAC")?;
        if !self.allows(Algorithm::AesCmac) {
            return Err(self.not_permitted("AES-CMAC"));
        }
        if message.len() > MOST_ON_TOKEN {
            return Err(too_long(message.len()));
        }
        Ok(card.cmac(self.id, message)?.to_vec())
    }

    /// What to send, under which algorithm: the first way that the key permits.
    fn plan(&self, signing: &Signing, message: &[u8]) -> Result<(Algorithm, Vec<u8>), OperateError> {
        let Signing {
            scheme,
            hash: which,
            hash_on,
            ..
        } = *signing;
        if self.key_type == KeyType::Aes {
            self.require(KeyType::Ec, "a signature")?;
        }
        if scheme == Scheme::Pss {
            self.require(KeyType::Rsa, "an RSA-PSS signature")?;
        }
        let value = match hash_on {
            HashOn::Already if message.len() == which.output_len() => Some(message.to_vec()),
            HashOn::Already => {
                return Err(OperateError::Input(format!(
                    "a hash value of {} bytes was expected, {} are given",
                    which.output_len(),
                    message.len()
                )));
            }
            HashOn::Either | HashOn::Host => Some(hash(digest_of(which), message)?.to_vec()),
            HashOn::Token => None,
        };
        if let Some(value) = value
            && let Some(planned) = self.plan_hashed(scheme, which, &value)?
        {
            return Ok(planned);
        }
        if matches!(hash_on, HashOn::Either | HashOn::Token) {
            let algorithm = on_token(self.key_type, scheme, which);
            if self.allows(algorithm) {
                if message.len() > MOST_ON_TOKEN {
                    return Err(too_long(message.len()));
                }
                return Ok((algorithm, message.to_vec()));
            }
        }
        let scheme = match (self.key_type, scheme) {
            (KeyType::Rsa, Scheme::Pss) => "RSA-PSS",
            (KeyType::Rsa, Scheme::Default) => "RSA PKCS#1 v1.5",
            _ => "ECDSA",
        };
        let place = match hash_on {
            HashOn::Either => "",
            HashOn::Host | HashOn::Already => " over a hash value",
            HashOn::Token => " with hashing on the token",
        };
        Err(self.not_permitted(format!("{scheme} signature with {which:?}{place}")))
    }

    /// As [`Self::plan`], for a message hashed here.
    fn plan_hashed(
        &self,
        scheme: Scheme,
        which: Hash,
        value: &[u8],
    ) -> Result<Option<(Algorithm, Vec<u8>)>, OperateError> {
        let size = self.size();
        let too_small = || {
            OperateError::Input(format!(
                "an RSA key of {} bits is too short for {which:?}",
                self.bits
            ))
        };
        match (self.key_type, scheme) {
            (KeyType::Ec, _) if self.allows(Algorithm::Ecdsa) => {
                // Of a longer hash the leftmost bits count (FIPS 186-5 6.4.1); not every card cuts it.
                let cut = value.get(..size).unwrap_or(value);
                Ok(Some((Algorithm::Ecdsa, cut.to_vec())))
            }
            (KeyType::Rsa, Scheme::Default) if self.allows(Algorithm::RsaPkcs1) => {
                let info = digest_info(which, value).ok_or_else(too_small)?;
                Ok(Some((Algorithm::RsaPkcs1, info)))
            }
            (KeyType::Rsa, Scheme::Default) if self.allows(Algorithm::RsaRaw) => {
                let block = pkcs1_block(which, value, size).ok_or_else(too_small)?;
                Ok(Some((Algorithm::RsaRaw, block)))
            }
            // Tokens are known to take hashes of 20 and 32 bytes here; longer ones are padded on the host.
            (KeyType::Rsa, Scheme::Pss)
                if self.allows(Algorithm::RsaPss)
                    && (matches!(which, Hash::Sha1 | Hash::Sha256) || !self.allows(Algorithm::RsaRaw)) =>
            {
                Ok(Some((Algorithm::RsaPss, value.to_vec())))
            }
            (KeyType::Rsa, Scheme::Pss) if self.allows(Algorithm::RsaRaw) => {
                let mut salt = vec![0; which.output_len()];
                getrandom::fill(&mut salt)
                    .map_err(|_| OperateError::Input("the system gives no random bytes".to_owned()))?;
                let block = pss_block(which, value, &salt, self.bits.into()).ok_or_else(too_small)?;
                Ok(Some((Algorithm::RsaRaw, block)))
            }
            _ => Ok(None),
        }
    }

    /// r and s side by side, each as long as the order: that of the curve where it is known, else of the field.
    fn plain(&self, signature: &[u8]) -> Result<Vec<u8>, OperateError> {
        let length = self
            .public_key
            .as_ref()
            .and_then(|key| key.signature_len().ok())
            .map_or_else(|| self.size(), |both| both / 2);
        der_to_plain(signature, length)
            .map_err(|error| OperateError::Input(format!("the token's signature: {error}")))
    }
}

/// The algorithm under which the token hashes.
fn on_token(key_type: KeyType, scheme: Scheme, which: Hash) -> Algorithm {
    match (key_type, scheme, which) {
        (KeyType::Rsa, Scheme::Default, Hash::Sha1) => Algorithm::RsaPkcs1Sha1,
        (KeyType::Rsa, Scheme::Default, Hash::Sha224) => Algorithm::RsaPkcs1Sha224,
        (KeyType::Rsa, Scheme::Default, Hash::Sha256) => Algorithm::RsaPkcs1Sha256,
        (KeyType::Rsa, Scheme::Default, Hash::Sha384) => Algorithm::RsaPkcs1Sha384,
        (KeyType::Rsa, Scheme::Default, Hash::Sha512) => Algorithm::RsaPkcs1Sha512,
        (KeyType::Rsa, Scheme::Pss, Hash::Sha1) => Algorithm::RsaPssSha1,
        (KeyType::Rsa, Scheme::Pss, Hash::Sha224) => Algorithm::RsaPssSha224,
        (KeyType::Rsa, Scheme::Pss, Hash::Sha256) => Algorithm::RsaPssSha256,
        (KeyType::Rsa, Scheme::Pss, Hash::Sha384) => Algorithm::RsaPssSha384,
        (KeyType::Rsa, Scheme::Pss, Hash::Sha512) => Algorithm::RsaPssSha512,
        (_, _, Hash::Sha1) => Algorithm::EcdsaSha1,
        (_, _, Hash::Sha224) => Algorithm::EcdsaSha224,
        (_, _, Hash::Sha256) => Algorithm::EcdsaSha256,
        (_, _, Hash::Sha384) => Algorithm::EcdsaSha384,
        (_, _, Hash::Sha512) => Algorithm::EcdsaSha512,
    }
}

fn too_long(length: usize) -> OperateError {
    OperateError::Input(format!(
        "a message of {length} bytes does not fit one command; the token hashes at most {MOST_ON_TOKEN}"
    ))
}
