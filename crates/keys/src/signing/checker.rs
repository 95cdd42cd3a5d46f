//! One public key: what a token is to sign so that it comes out as X.509 wants it, and whether it did.

use aws_lc_rs::digest::{self, SHA256, SHA384, SHA512};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P521_SHA512_ASN1, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, VerificationAlgorithm,
};
use chancery_cvc::{Curve, PublicKey};
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Public};
use openssl::sign::Verifier;

use crate::SignatureAlgorithm;

/// DER of a DigestInfo for SHA-256 up to the hash value (RFC 8017 9.2, note 1).
const SHA256_INFO: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00,
    0x04, 0x20,
];
/// Least filling of a PKCS#1 v1.5 block, in bytes.
const LEAST_FILLING: usize = 8;

/// A public key, parsed once.
pub(crate) struct Checker {
    scheme: Scheme,
    key: Key,
}

#[derive(Clone, Copy)]
enum Scheme {
    Ecdsa(&'static digest::Algorithm),
    /// Length of the modulus in bytes.
    Rsa(usize),
}

enum Key {
    /// The quick library, for the curves it knows.
    Quick(ParsedPublicKey),
    /// The library that knows every curve.
    Any(PKey<Public>),
}

impl Checker {
    pub(crate) fn from_spki(spki: &[u8]) -> Result<Self, String> {
        let key = PublicKey::from_spki_der(spki).map_err(|error| format!("its public key: {error}"))?;
        Self::new(&key)
    }

    pub(crate) fn new(key: &PublicKey) -> Result<Self, String> {
        let (scheme, quick): (_, Option<&'static dyn VerificationAlgorithm>) = match key {
            PublicKey::Ec(ec) => {
                let (hash, quick) = match ec.domain().curve() {
                    Some(Curve::Secp256r1) => (&SHA256, Some(&ECDSA_P256_SHA256_ASN1)),
                    Some(Curve::Secp384r1) => (&SHA384, Some(&ECDSA_P384_SHA384_ASN1)),
                    Some(Curve::Secp521r1) => (&SHA512, Some(&ECDSA_P521_SHA512_ASN1)),
                    Some(curve) => (hash_for(curve.bits()), None),
                    None => return Err("its curve has no name".to_owned()),
                };
                (
                    Scheme::Ecdsa(hash),
                    quick.map(|quick| quick as &'static dyn VerificationAlgorithm),
                )
            }
            PublicKey::Rsa(rsa) => {
                let length = rsa.modulus().len();
                if length < 3 + LEAST_FILLING + SHA256_INFO.len() + 32 {
                    return Err("its modulus is too short".to_owned());
                }
                let quick = (2048..=8192).contains(&rsa.bits());
                let quick =
                    quick.then_some(&RSA_PKCS1_2048_8192_SHA256 as &'static dyn VerificationAlgorithm);
                (Scheme::Rsa(length), quick)
            }
            PublicKey::EcPointOnly(_) => return Err("its curve is not named".to_owned()),
        };
        let key = match quick {
            Some(algorithm) => {
                let spki = key
                    .to_spki_der()
                    .map_err(|error| format!("its public key: {error}"))?;
                let parsed = ParsedPublicKey::new(algorithm, spki);
                Key::Quick(parsed.map_err(|error| format!("its public key: {error}"))?)
            }
            None => Key::Any(
                key.to_pkey()
                    .map_err(|error| format!("its public key: {error}"))?,
            ),
        };
        Ok(Self { scheme, key })
    }

    /// What a token signs for this message, and how.
    pub(crate) fn prepare(&self, message: &[u8]) -> (SignatureAlgorithm, Vec<u8>) {
        match self.scheme {
            Scheme::Ecdsa(hash) => (
                SignatureAlgorithm::EcdsaDigest,
                digest::digest(hash, message).as_ref().to_vec(),
            ),
            Scheme::Rsa(length) => {
                let hash = digest::digest(&SHA256, message);
                let info = SHA256_INFO.len() + hash.as_ref().len();
                let mut block = Vec::with_capacity(length);
                block.extend_from_slice(&[0x00, 0x01]);
                block.resize(length.saturating_sub(info + 1), 0xFF);
                block.push(0x00);
                block.extend_from_slice(&SHA256_INFO);
                block.extend_from_slice(hash.as_ref());
                (SignatureAlgorithm::RsaPkcs1, block)
            }
        }
    }

    /// Whether this is the key's signature over the message.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.key {
            Key::Quick(key) => key.verify_sig(message, signature).is_ok(),
            Key::Any(key) => self.verify_any(key, message, signature),
        }
    }

    /// Whether hashing and verifying a message of this length takes long enough to be moved to another thread.
    pub(crate) fn is_slow(&self, message: &[u8]) -> bool {
        const LONG: usize = 64 * 1024;
        matches!(self.key, Key::Any(_)) || message.len() > LONG
    }

    fn verify_any(&self, key: &PKey<Public>, message: &[u8], signature: &[u8]) -> bool {
        let digest = match self.scheme {
            Scheme::Ecdsa(hash) if *hash == SHA384 => MessageDigest::sha384(),
            Scheme::Ecdsa(hash) if *hash == SHA512 => MessageDigest::sha512(),
            _ => MessageDigest::sha256(),
        };
        // The library reports a signature of the wrong form as an error: it is a wrong signature.
        Verifier::new(digest, key)
            .and_then(|mut verifier| verifier.verify_oneshot(signature, message))
            .unwrap_or(false)
    }
}

const fn hash_for(bits: u16) -> &'static digest::Algorithm {
    match bits {
        0..=256 => &SHA256,
        257..=384 => &SHA384,
        _ => &SHA512,
    }
}

#[cfg(test)]
mod tests {
    use openssl::ec::{EcGroup, EcKey};
    use openssl::nid::Nid;
    use openssl::pkey::Private;
    use openssl::rsa::Rsa;
    use openssl::sign::Signer;

    use super::*;

    /// Signatures made by OpenSSL over the whole message are accepted, altered ones are not.
    #[test]
    fn agrees_with_openssl_on_every_kind_of_key() {
        let ec = |nid| {
            let group = EcGroup::from_curve_name(nid).unwrap();
            PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
        };
        let cases: [(PKey<Private>, MessageDigest, bool); 6] = [
            (ec(Nid::X9_62_PRIME256V1), MessageDigest::sha256(), false),
            (ec(Nid::SECP384R1), MessageDigest::sha384(), false),
            (ec(Nid::SECP521R1), MessageDigest::sha512(), false),
            (ec(Nid::BRAINPOOL_P384R1), MessageDigest::sha384(), true),
            (ec(Nid::SECP256K1), MessageDigest::sha256(), true),
            (
                PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap(),
                MessageDigest::sha256(),
                false,
            ),
        ];
        for (key, digest, slow) in cases {
            let checker = Checker::from_spki(&key.public_key_to_der().unwrap()).unwrap();
            assert_eq!(checker.is_slow(b"message"), slow);
            let mut signer = Signer::new(digest, &key).unwrap();
            let mut signature = signer.sign_oneshot_to_vec(b"message").unwrap();
            assert!(checker.verify(b"message", &signature));
            assert!(!checker.verify(b"massage", &signature));
            *signature.last_mut().unwrap() ^= 1;
            assert!(!checker.verify(b"message", &signature));
            assert!(!checker.verify(b"message", b""));
        }
    }

    /// The raw private operation on the prepared block is a PKCS#1 v1.5 signature.
    #[test]
    fn an_rsa_block_is_padded_as_the_standard_says() {
        let rsa = Rsa::generate(2048).unwrap();
        let spki = PKey::from_rsa(rsa.clone()).unwrap().public_key_to_der().unwrap();
        let checker = Checker::from_spki(&spki).unwrap();
        let (algorithm, block) = checker.prepare(b"message");
        assert_eq!(algorithm, SignatureAlgorithm::RsaPkcs1);
        let mut signature = vec![0; 256];
        rsa.private_encrypt(&block, &mut signature, openssl::rsa::Padding::NONE)
            .unwrap();
        assert!(checker.verify(b"message", &signature));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for bad in [&b""[..], b"\x30\x00", b"not a key"] {
            assert!(Checker::from_spki(bad).is_err());
        }
    }
}
