//! Does the key under this id belong to this public key? Only a use of the key can tell: files next to it are
//! writable and outlive it.

use chancery_cvc::{KeyError, PublicKey};
use chancery_iso7816::Transport;
use chancery_schsm::{Algorithm, KeyId};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKeyRef, Public};
use openssl::rsa::Padding;
use openssl::sign::{RsaPssSaltlen, Verifier};
use sha2::{Digest, Sha256};

use crate::error::{Doing, Error};
use crate::key::KeyAttributes;
use crate::session::Session;

/// What a test signature covers, before 32 random bytes: it can be taken for nothing else.
const PROOF: &[u8] = b"CHANCERY-KEY-PROOF-v1\0";

/// Ways to use a key, the one that means least elsewhere first.
const EC_WAYS: [Algorithm; 7] = [
    Algorithm::EcdsaSha256,
    Algorithm::EcdsaSha384,
    Algorithm::EcdsaSha512,
    Algorithm::Ecdsa,
    Algorithm::EcdsaSha224,
    Algorithm::EcdsaSha1,
    Algorithm::Ecdh,
];
const RSA_WAYS: [Algorithm; 10] = [
    Algorithm::RsaPkcs1Sha256,
    Algorithm::RsaPkcs1Sha384,
    Algorithm::RsaPkcs1Sha512,
    Algorithm::RsaPssSha256,
    Algorithm::RsaPssSha384,
    Algorithm::RsaPssSha512,
    Algorithm::RsaPkcs1Sha1,
    Algorithm::RsaPss,
    Algorithm::RsaRaw,
    Algorithm::RsaDecrypt,
];

impl<T: Transport> Session<T> {
    /// Uses the key once and checks the result against `expected`; costs one use where the key counts them.
    ///
    /// `false` when the key is another one.
    pub(crate) fn prove_key(
        &mut self,
        id: KeyId,
        attributes: &KeyAttributes,
        expected: &PublicKey,
    ) -> Result<bool, Error> {
        let doing = Doing::new("SIGN", format!("proof of key {id}"));
        let (ways, others): (&[Algorithm], &[Algorithm]) = match expected {
            PublicKey::Rsa(_) => (&RSA_WAYS, &EC_WAYS),
            _ => (&EC_WAYS, &RSA_WAYS),
        };
        let permitted = ways
            .iter()
            .copied()
            .filter(|way| attributes.algorithms.allows(*way));
        let mut tried = false;
        for way in permitted {
            tried = true;
            match self.prove_by(way, id, expected, &doing) {
                // The list permits it: the firmware does not offer it, or the key is of another type.
                Err(Error::UseNotPermitted { .. }) => {}
                result => return result,
            }
        }
        // A key that may only do what the expected one cannot is another one.
        let other = others.iter().any(|way| attributes.algorithms.allows(*way));
        if tried || other {
            Ok(false)
        } else {
            Err(Error::input(
                &doing,
                "the key permits no use that could prove which key it is",
            ))
        }
    }

    fn prove_by(
        &mut self,
        way: Algorithm,
        id: KeyId,
        expected: &PublicKey,
        doing: &Doing,
    ) -> Result<bool, Error> {
        let mut message = PROOF.to_vec();
        let mut random = [0u8; 32];
        getrandom::fill(&mut random).map_err(|_| Error::input(doing, "the system gives no random bytes"))?;
        message.extend_from_slice(&random);
        let unusable = |error: KeyError| Error::input(doing, format!("the expected public key: {error}"));
        let used = match (way, expected) {
            (Algorithm::Ecdh, _) => {
                // The generator times the private key is the public key.
                let domain = expected
                    .domain()
                    .ok_or_else(|| Error::input(doing, "a public key without curve"))?;
                let parameters = domain.parameters().map_err(unusable)?;
                let shared = self.ecdh(id, parameters.generator());
                let x = expected
                    .point()
                    .and_then(|point| point.get(1..=parameters.field_len()));
                return another_key(shared.map(|shared| x == Some(&shared[..])));
            }
            (Algorithm::RsaDecrypt, PublicKey::Rsa(key)) => {
                let block = raw_block(&message, key.modulus().len());
                let public = key.to_rsa().map_err(unusable)?;
                let mut cryptogram = vec![0; key.modulus().len()];
                public
                    .public_encrypt(&block, &mut cryptogram, Padding::NONE)
                    .map_err(|error| library(doing, &error))?;
                let plain = self.decipher(id, way, &cryptogram);
                return another_key(plain.map(|plain| plain.as_slice() == block));
            }
            (Algorithm::RsaRaw, PublicKey::Rsa(key)) => {
                self.sign(id, way, &raw_block(&message, key.modulus().len()))
            }
            (Algorithm::Ecdsa | Algorithm::RsaPss, _) => self.sign(id, way, &Sha256::digest(&message)),
            _ => self.sign(id, way, &message),
        };
        let public = expected.to_pkey().map_err(unusable)?;
        another_key(used.and_then(|signature| {
            verifies(way, &public, &message, &signature).map_err(|error| library(doing, &error))
        }))
    }
}

/// A key of another type or size refuses the input: it is another key.
fn another_key(result: Result<bool, Error>) -> Result<bool, Error> {
    match result {
        Err(Error::Refused { status, .. }) if [0x6A80, 0x6700].contains(&status.0) => Ok(false),
        Err(Error::Protocol { .. }) => Ok(false),
        other => other,
    }
}

fn verifies(
    way: Algorithm,
    key: &PKeyRef<Public>,
    message: &[u8],
    signature: &[u8],
) -> Result<bool, ErrorStack> {
    if way == Algorithm::RsaRaw {
        let rsa = key.rsa()?;
        let length = usize::try_from(rsa.size()).unwrap_or_default();
        let mut block = vec![0; length];
        return Ok(signature.len() == length
            && rsa.public_decrypt(signature, &mut block, Padding::NONE).is_ok()
            && block == raw_block(message, length));
    }
    let digest = match way {
        Algorithm::EcdsaSha384 | Algorithm::RsaPkcs1Sha384 | Algorithm::RsaPssSha384 => {
            MessageDigest::sha384()
        }
        Algorithm::EcdsaSha512 | Algorithm::RsaPkcs1Sha512 | Algorithm::RsaPssSha512 => {
            MessageDigest::sha512()
        }
        Algorithm::EcdsaSha224 => MessageDigest::sha224(),
        Algorithm::EcdsaSha1 | Algorithm::RsaPkcs1Sha1 => MessageDigest::sha1(),
        _ => MessageDigest::sha256(),
    };
    let mut verifier = Verifier::new(digest, key)?;
    if matches!(
        way,
        Algorithm::RsaPss | Algorithm::RsaPssSha256 | Algorithm::RsaPssSha384 | Algorithm::RsaPssSha512
    ) {
        verifier.set_rsa_padding(Padding::PKCS1_PSS)?;
        verifier.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
    }
    verifier.update(message)?;
    // The library reports a signature of the wrong length or form as an error: it is a wrong signature.
    Ok(verifier.verify(signature).unwrap_or(false))
}

/// A block below any modulus of this length: zeros, then the message, no padding an application would accept.
fn raw_block(message: &[u8], length: usize) -> Vec<u8> {
    let mut block = vec![0; length.saturating_sub(message.len())];
    block.extend_from_slice(message);
    block
}

fn library(doing: &Doing, error: &ErrorStack) -> Error {
    Error::input(doing, format!("the crypto library: {error}"))
}
