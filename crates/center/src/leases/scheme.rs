//! What a token signs for a digest, and whether it did.

use chancery_api::{DigestValue, HashName, Mechanism};
use chancery_cvc::der_to_plain;
use chancery_keys::SignatureAlgorithm;
use openssl::{
    ec::EcKey,
    ecdsa::EcdsaSig,
    hash::MessageDigest,
    pkey::{PKey, Public},
    rsa::{Padding, Rsa},
};

/// A public key and the way it signs.
pub(crate) struct Scheme {
    mechanism: Mechanism,
    key: Key,
}

enum Key {
    Ec {
        key: EcKey<Public>,
        /// Length of the order, in bytes.
        order: usize,
    },
    Rsa {
        key: Rsa<Public>,
        bits: usize,
    },
}

/// Least filling of a PKCS#1 v1.5 block, in bytes (RFC 8017 section 9.2).
const LEAST_FILLING: usize = 8;

impl Scheme {
    /// A key (SubjectPublicKeyInfo, DER) that signs by this mechanism; else why it does not.
    pub(crate) fn new(spki: &[u8], mechanism: Mechanism) -> Result<Self, String> {
        let failed = |_| "its public key cannot be read".to_owned();
        let public = PKey::public_key_from_der(spki).map_err(failed)?;
        let key = match (public.ec_key(), public.rsa()) {
            (Ok(key), _) => Key::Ec {
                order: usize::try_from(key.group().order_bits()).map_or(0, |bits| bits.div_ceil(8)),
                key,
            },
            (_, Ok(key)) => Key::Rsa {
                bits: usize::try_from(key.n().num_bits()).unwrap_or(0),
                key,
            },
            _ => return Err("it is neither an elliptic curve key nor an RSA key".to_owned()),
        };
        match (&key, mechanism) {
            (Key::Ec { .. }, Mechanism::Ecdsa)
            | (Key::Rsa { .. }, Mechanism::RsaPkcs1 | Mechanism::RsaPss) => Ok(Self { mechanism, key }),
            (Key::Ec { .. }, _) => Err("an elliptic curve key signs by `ecdsa`".to_owned()),
            (Key::Rsa { .. }, _) => Err("an RSA key signs by `rsa-pkcs1` or `rsa-pss`".to_owned()),
        }
    }

    /// What a token signs for this digest, and how. `salt` is as long as the digest; only `rsa-pss` uses it.
    pub(crate) fn prepare(
        &self,
        digest: &DigestValue,
        salt: &[u8],
    ) -> Result<(SignatureAlgorithm, Vec<u8>), String> {
        match &self.key {
            Key::Ec { order, .. } => {
                let bytes = digest.bytes();
                // FIPS 186-5 section 6.4.1: the leftmost bits, as many as the order has.
                let bytes = bytes.get(..*order).unwrap_or(bytes);
                Ok((SignatureAlgorithm::EcdsaDigest, bytes.to_vec()))
            }
            Key::Rsa { bits, .. } => {
                let block = match self.mechanism {
                    Mechanism::RsaPss => pss_block(digest, salt, *bits)?,
                    _ => pkcs1_block(digest, bits.div_ceil(8))?,
                };
                Ok((SignatureAlgorithm::RsaPkcs1, block))
            }
        }
    }

    /// The signature as it is given out, if it is this key's over the digest: ECDSA plain r | s, RSA as long as the modulus. `block` is
    /// what was signed.
    pub(crate) fn finish(&self, digest: &DigestValue, block: &[u8], signature: Vec<u8>) -> Option<Vec<u8>> {
        match &self.key {
            Key::Ec { order, .. } => {
                let plain = der_to_plain(&signature, *order).ok()?;
                self.holds(digest, &plain).then_some(plain)
            }
            Key::Rsa { key, .. } => (recover(key, &signature)?.as_slice() == block).then_some(signature),
        }
    }

    /// Whether a signature that was given out is this key's over the digest.
    pub(crate) fn holds(&self, digest: &DigestValue, signature: &[u8]) -> bool {
        match &self.key {
            Key::Ec { key, .. } => chancery_cvc::plain_to_der(signature).is_ok_and(|der| {
                // The library reports a signature of the wrong form as an error: it is a wrong signature.
                EcdsaSig::from_der(&der)
                    .and_then(|signature| signature.verify(digest.bytes(), key))
                    .unwrap_or(false)
            }),
            Key::Rsa { key, bits } => match self.mechanism {
                Mechanism::RsaPss => pss_holds(key, digest, signature),
                _ => {
                    let expected = pkcs1_block(digest, bits.div_ceil(8)).ok();
                    expected.is_some() && recover(key, signature) == expected
                }
            },
        }
    }
}

fn message_digest(hash: HashName) -> MessageDigest {
    match hash {
        HashName::Sha256 => MessageDigest::sha256(),
        HashName::Sha384 => MessageDigest::sha384(),
        HashName::Sha512 => MessageDigest::sha512(),
    }
}

fn recover(key: &Rsa<Public>, signature: &[u8]) -> Option<Vec<u8>> {
    let length = usize::try_from(key.size()).ok()?;
    if signature.len() != length {
        return None;
    }
    let mut block = vec![0; length];
    let found = key.public_decrypt(signature, &mut block, Padding::NONE).ok()?;
    (found == length).then_some(block)
}

fn pss_holds(key: &Rsa<Public>, digest: &DigestValue, signature: &[u8]) -> bool {
    let check = || -> Result<bool, openssl::error::ErrorStack> {
        let key = PKey::from_rsa(key.clone())?;
        let mut context = openssl::pkey_ctx::PkeyCtx::new(&key)?;
        context.verify_init()?;
        context.set_rsa_padding(Padding::PKCS1_PSS)?;
        let hash = message_digest(digest.hash());
        let md = openssl::md::Md::from_nid(hash.type_());
        if let Some(md) = md {
            context.set_signature_md(md)?;
        }
        context.set_rsa_pss_saltlen(openssl::sign::RsaPssSaltlen::DIGEST_LENGTH)?;
        context.verify(digest.bytes(), signature)
    };
    check().unwrap_or(false)
}

/// EMSA-PKCS1-v1_5 (RFC 8017 section 9.2) of this many bytes.
fn pkcs1_block(digest: &DigestValue, length: usize) -> Result<Vec<u8>, String> {
    // DER of a DigestInfo up to the hash value (RFC 8017 section 9.2, note 1).
    let (last, total) = match digest.hash() {
        HashName::Sha256 => (0x01, 0x31),
        HashName::Sha384 => (0x02, 0x41),
        HashName::Sha512 => (0x03, 0x51),
    };
    let octets = u8::try_from(digest.bytes().len()).unwrap_or(0);
    let info = [
        0x30, total, 0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, last, 0x05,
        0x00, 0x04, octets,
    ];
    let used = info.len() + digest.bytes().len();
    if length < used + LEAST_FILLING + 3 {
        return Err("its modulus is too short for this hash".to_owned());
    }
    let mut block = Vec::with_capacity(length);
    block.extend_from_slice(&[0x00, 0x01]);
    block.resize(length - used - 1, 0xFF);
    block.push(0x00);
    block.extend_from_slice(&info);
    block.extend_from_slice(digest.bytes());
    Ok(block)
}

/// EMSA-PSS (RFC 8017 section 9.1.1) for a modulus of this many bits, as a block as long as the modulus.
fn pss_block(digest: &DigestValue, salt: &[u8], modulus_bits: usize) -> Result<Vec<u8>, String> {
    let hash = message_digest(digest.hash());
    let failed = |_| "the crypto library does not hash".to_owned();
    let bits = modulus_bits.saturating_sub(1);
    let length = bits.div_ceil(8);
    let hash_length = digest.bytes().len();
    if length < hash_length + salt.len() + 2 {
        return Err("its modulus is too short for this hash".to_owned());
    }
    let mut message = vec![0; 8];
    message.extend_from_slice(digest.bytes());
    message.extend_from_slice(salt);
    let seed = openssl::hash::hash(hash, &message).map_err(failed)?;
    let mut masked = vec![0; length - hash_length - salt.len() - 2];
    masked.push(0x01);
    masked.extend_from_slice(salt);
    // MGF1 (RFC 8017 appendix B.2.1).
    for (counter, chunk) in (0_u32..).zip(masked.chunks_mut(hash_length)) {
        let mut input = seed.to_vec();
        input.extend_from_slice(&counter.to_be_bytes());
        let mask = openssl::hash::hash(hash, &input).map_err(failed)?;
        for (byte, mask) in chunk.iter_mut().zip(mask.iter()) {
            *byte ^= mask;
        }
    }
    if let Some(first) = masked.first_mut() {
        // The leftmost bits beyond `bits` are zero.
        *first &= 0xFF >> (8 * length - bits);
    }
    // A modulus of 8k + 1 bits has a block that begins with a zero byte.
    let mut block = vec![0; modulus_bits.div_ceil(8) - length];
    block.extend_from_slice(&masked);
    block.extend_from_slice(&seed);
    block.push(0xBC);
    Ok(block)
}

#[cfg(test)]
mod tests {
    use openssl::{ec::EcGroup, nid::Nid, pkey::Private};

    use super::*;

    fn digest(hash: HashName) -> DigestValue {
        DigestValue::new(hash, (0..).take(hash.length()).map(|n: u8| n ^ 0x5A).collect()).unwrap()
    }

    const HASHES: [HashName; 3] = [HashName::Sha256, HashName::Sha384, HashName::Sha512];

    /// The raw operation on the prepared block is what OpenSSL verifies.
    #[test]
    fn rsa_blocks_make_signatures_that_openssl_accepts() {
        for bits in [2048, 2049, 3072] {
            let rsa = Rsa::generate(bits).unwrap();
            let spki = PKey::from_rsa(rsa.clone()).unwrap().public_key_to_der().unwrap();
            for (mechanism, hash) in [Mechanism::RsaPkcs1, Mechanism::RsaPss]
                .into_iter()
                .flat_map(|mechanism| HASHES.map(|hash| (mechanism, hash)))
            {
                let scheme = Scheme::new(&spki, mechanism).unwrap();
                let digest = digest(hash);
                let (_, block) = scheme.prepare(&digest, &vec![7; hash.length()]).unwrap();
                let mut signature = vec![0; block.len()];
                rsa.private_encrypt(&block, &mut signature, Padding::NONE)
                    .unwrap();
                let given = scheme.finish(&digest, &block, signature.clone()).unwrap();
                assert!(scheme.holds(&digest, &given), "{mechanism:?} {hash:?} {bits}");
                let key = PKey::public_key_from_der(&spki).unwrap();
                let mut context = openssl::pkey_ctx::PkeyCtx::new(&key).unwrap();
                context.verify_init().unwrap();
                context
                    .set_signature_md(openssl::md::Md::from_nid(message_digest(hash).type_()).unwrap())
                    .unwrap();
                if mechanism == Mechanism::RsaPss {
                    context.set_rsa_padding(Padding::PKCS1_PSS).unwrap();
                }
                assert!(context.verify(digest.bytes(), &given).unwrap());
                signature[9] ^= 1;
                assert!(scheme.finish(&digest, &block, signature.clone()).is_none());
                assert!(!scheme.holds(&digest, &signature));
            }
        }
    }

    #[test]
    fn ecdsa_signatures_are_given_out_plain_and_checked() {
        for curve in [Nid::X9_62_PRIME256V1, Nid::SECP384R1, Nid::SECP521R1] {
            let group = EcGroup::from_curve_name(curve).unwrap();
            let key: EcKey<Private> = EcKey::generate(&group).unwrap();
            let spki = PKey::from_ec_key(key.clone())
                .unwrap()
                .public_key_to_der()
                .unwrap();
            assert!(Scheme::new(&spki, Mechanism::RsaPss).is_err());
            let scheme = Scheme::new(&spki, Mechanism::Ecdsa).unwrap();
            for hash in HASHES {
                let digest = digest(hash);
                let (_, input) = scheme.prepare(&digest, &[]).unwrap();
                let der = EcdsaSig::sign(&input, &key).unwrap().to_der().unwrap();
                let plain = scheme.finish(&digest, &input, der).unwrap();
                assert_eq!(plain.len() % 2, 0);
                assert!(scheme.holds(&digest, &plain));
                assert!(!scheme.holds(&digest, &plain[1..]));
                let mut other = plain.clone();
                other[3] ^= 1;
                assert!(!scheme.holds(&digest, &other));
            }
        }
    }
}
