//! Signatures over digests that somebody else computed.

use chancery_api::{DigestValue, HashName, HsmId, Mechanism};
use openssl::ecdsa::EcdsaSig;
use openssl::hash::{Hasher, MessageDigest};
use openssl::rsa::Padding;

use super::checker::{Checker, Scheme};
use crate::SignatureAlgorithm;

/// Least filling of a PKCS#1 v1.5 block, in bytes.
const LEAST_FILLING: usize = 8;

/// A signature, and where it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// ECDSA: plain `r | s`, each as long as the order of the curve. RSA: as long as the modulus.
    pub signature: Vec<u8>,
    /// The HSM that made it.
    pub hsm: HsmId,
}

/// What a token is asked to sign for a digest, and what its answer is checked against.
pub(super) struct Prepared {
    pub(super) algorithm: SignatureAlgorithm,
    pub(super) input: Vec<u8>,
}

impl Checker {
    /// What a token signs for this digest.
    pub(super) fn prepare_digest(
        &self,
        mechanism: Mechanism,
        digest: &DigestValue,
    ) -> Result<Prepared, String> {
        match (self.scheme, mechanism) {
            (Scheme::Ecdsa(_, order), Mechanism::Ecdsa) => Ok(Prepared {
                algorithm: SignatureAlgorithm::EcdsaDigest,
                // FIPS 186-5 6.4: the leftmost bits, as many as the order has.
                input: digest.bytes().iter().take(order).copied().collect(),
            }),
            (Scheme::Rsa(bits), Mechanism::RsaPkcs1) => Ok(Prepared {
                algorithm: SignatureAlgorithm::RsaPkcs1,
                input: pkcs1_block(bits.div_ceil(8), digest)
                    .ok_or("its modulus is too short for this digest")?,
            }),
            (Scheme::Rsa(bits), Mechanism::RsaPss) => Ok(Prepared {
                algorithm: SignatureAlgorithm::RsaPkcs1,
                input: pss_block(bits, digest)?,
            }),
            (Scheme::Ecdsa(..), _) => Err("an EC key signs with ECDSA alone".to_owned()),
            (Scheme::Rsa(_), _) => Err("an RSA key does not sign with ECDSA".to_owned()),
        }
    }

    /// The signature as it is given out, if the token's answer is one over this input.
    pub(super) fn verify_input(&self, input: &[u8], answer: &[u8]) -> Result<Option<Vec<u8>>, String> {
        let public = self.public()?;
        match self.scheme {
            Scheme::Ecdsa(_, order) => {
                let key = public.ec_key().map_err(|error| error.to_string())?;
                let good = EcdsaSig::from_der(answer)
                    .and_then(|signature| signature.verify(input, &key))
                    .unwrap_or(false);
                Ok(good
                    .then(|| chancery_cvc::der_to_plain(answer, order).ok())
                    .flatten())
            }
            Scheme::Rsa(_) => {
                let key = public.rsa().map_err(|error| error.to_string())?;
                let mut block = vec![0; input.len()];
                let good = answer.len() == input.len()
                    && key
                        .public_decrypt(answer, &mut block, Padding::NONE)
                        .is_ok_and(|length| length == input.len())
                    && block == input;
                Ok(good.then(|| answer.to_vec()))
            }
        }
    }
}

/// EMSA-PKCS1-v1_5 (RFC 8017 9.2).
fn pkcs1_block(length: usize, digest: &DigestValue) -> Option<Vec<u8>> {
    let info = digest_info(digest.hash());
    let filling = length.checked_sub(3 + info.len() + digest.bytes().len())?;
    if filling < LEAST_FILLING {
        return None;
    }
    let mut block = Vec::with_capacity(length);
    block.extend_from_slice(&[0x00, 0x01]);
    block.resize(2 + filling, 0xFF);
    block.push(0x00);
    block.extend_from_slice(&info);
    block.extend_from_slice(digest.bytes());
    Some(block)
}

/// DER of a DigestInfo up to the hash value (RFC 8017 9.2, note 1).
const fn digest_info(hash: HashName) -> [u8; 19] {
    let (whole, oid, length) = match hash {
        HashName::Sha256 => (0x31, 0x01, 0x20),
        HashName::Sha384 => (0x41, 0x02, 0x30),
        HashName::Sha512 => (0x51, 0x03, 0x40),
    };
    [
        0x30, whole, 0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, oid, 0x05, 0x00,
        0x04, length,
    ]
}

/// EMSA-PSS (RFC 8017 9.1.1) with MGF1 over the same hash and a fresh salt as long as the hash; in front a zero byte where the
/// modulus has a byte more than the block.
fn pss_block(bits: usize, digest: &DigestValue) -> Result<Vec<u8>, String> {
    let hash = match digest.hash() {
        HashName::Sha256 => MessageDigest::sha256(),
        HashName::Sha384 => MessageDigest::sha384(),
        HashName::Sha512 => MessageDigest::sha512(),
    };
    let failed = |error: openssl::error::ErrorStack| error.to_string();
    let mut salt = vec![0; digest.bytes().len()];
    openssl::rand::rand_bytes(&mut salt).map_err(failed)?;
    let block_bits = bits.saturating_sub(1);
    let length = block_bits.div_ceil(8);
    let masked = length
        .checked_sub(digest.bytes().len() + 1)
        .filter(|masked| *masked >= salt.len() + 2)
        .ok_or("its modulus is too short for this digest")?;
    let mut hasher = Hasher::new(hash).map_err(failed)?;
    for part in [&[0; 8][..], digest.bytes(), &salt] {
        hasher.update(part).map_err(failed)?;
    }
    let code = hasher.finish().map_err(failed)?;
    // DB: zeros, 01, salt.
    let mut block = vec![0; masked.saturating_sub(salt.len() + 1)];
    block.push(0x01);
    block.extend_from_slice(&salt);
    let mut counter = 0u32;
    let mut mask = Vec::with_capacity(masked + code.len());
    while mask.len() < masked {
        hasher.update(&code).map_err(failed)?;
        hasher.update(&counter.to_be_bytes()).map_err(failed)?;
        mask.extend_from_slice(&hasher.finish().map_err(failed)?);
        counter += 1;
    }
    for (byte, over) in block.iter_mut().zip(&mask) {
        *byte ^= over;
    }
    if let Some(first) = block.first_mut() {
        *first &= 0xFF >> (8 * length - block_bits);
    }
    block.extend_from_slice(&code);
    block.push(0xBC);
    // The token takes a block as long as the modulus.
    if bits.div_ceil(8) > length {
        block.insert(0, 0);
    }
    Ok(block)
}

#[cfg(test)]
mod tests {
    use openssl::ec::{EcGroup, EcKey};
    use openssl::nid::Nid;
    use openssl::pkey::{PKey, Private};
    use openssl::pkey_ctx::PkeyCtx;
    use openssl::rsa::Rsa;
    use openssl::sign::RsaPssSaltlen;

    use super::*;

    const HASHES: [HashName; 3] = [HashName::Sha256, HashName::Sha384, HashName::Sha512];

    fn digest(hash: HashName) -> DigestValue {
        DigestValue::new(hash, vec![0xD7; hash.length()]).unwrap()
    }

    fn checker(key: &PKey<Private>) -> Checker {
        Checker::from_spki(&key.public_key_to_der().unwrap()).unwrap()
    }

    fn md(hash: HashName) -> &'static openssl::md::MdRef {
        match hash {
            HashName::Sha256 => openssl::md::Md::sha256(),
            HashName::Sha384 => openssl::md::Md::sha384(),
            HashName::Sha512 => openssl::md::Md::sha512(),
        }
    }

    /// The raw private operation on each block is a signature that OpenSSL accepts over the digest.
    #[test]
    fn openssl_accepts_rsa_blocks_of_every_size_and_hash() {
        // 2049 bits: the block of PSS is a byte shorter than the modulus.
        for bits in [2048, 2049, 3072] {
            let rsa = Rsa::generate(bits).unwrap();
            let key = PKey::from_rsa(rsa.clone()).unwrap();
            let checker = checker(&key);
            for (hash, mechanism) in HASHES
                .into_iter()
                .flat_map(|hash| [(hash, Mechanism::RsaPkcs1), (hash, Mechanism::RsaPss)])
            {
                let digest = digest(hash);
                let prepared = checker.prepare_digest(mechanism, &digest).unwrap();
                let mut answer = vec![0; rsa.size().try_into().unwrap()];
                rsa.private_encrypt(&prepared.input, &mut answer, Padding::NONE)
                    .unwrap();
                let signature = checker.verify_input(&prepared.input, &answer).unwrap().unwrap();
                let mut context = PkeyCtx::new(&key).unwrap();
                context.verify_init().unwrap();
                if mechanism == Mechanism::RsaPss {
                    context.set_rsa_padding(Padding::PKCS1_PSS).unwrap();
                    context.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH).unwrap();
                } else {
                    context.set_rsa_padding(Padding::PKCS1).unwrap();
                }
                context.set_signature_md(md(hash)).unwrap();
                assert!(
                    context.verify(digest.bytes(), &signature).unwrap(),
                    "{bits} {mechanism:?} {hash:?}"
                );
                answer[20] ^= 1;
                assert_eq!(checker.verify_input(&prepared.input, &answer).unwrap(), None);
                assert_eq!(checker.verify_input(&prepared.input, b"").unwrap(), None);
            }
            assert!(
                checker
                    .prepare_digest(Mechanism::Ecdsa, &digest(HashName::Sha256))
                    .is_err()
            );
        }
    }

    #[test]
    fn ecdsa_signatures_come_plain_and_checked() {
        for (nid, order) in [
            (Nid::X9_62_PRIME256V1, 32),
            (Nid::SECP384R1, 48),
            (Nid::SECP521R1, 66),
            (Nid::BRAINPOOL_P320R1, 40),
        ] {
            let group = EcGroup::from_curve_name(nid).unwrap();
            let ec = EcKey::generate(&group).unwrap();
            let checker = checker(&PKey::from_ec_key(ec.clone()).unwrap());
            for hash in HASHES {
                let digest = digest(hash);
                let prepared = checker.prepare_digest(Mechanism::Ecdsa, &digest).unwrap();
                // The whole digest is what is signed; the library shortens it itself.
                let answer = EcdsaSig::sign(digest.bytes(), &ec).unwrap().to_der().unwrap();
                let plain = checker.verify_input(&prepared.input, &answer).unwrap().unwrap();
                assert_eq!(plain.len(), 2 * order);
                assert_eq!(checker.verify_input(&[1; 32], &answer).unwrap(), None);
                assert_eq!(checker.verify_input(&prepared.input, b"0").unwrap(), None);
            }
            assert!(
                checker
                    .prepare_digest(Mechanism::RsaPss, &digest(HashName::Sha256))
                    .is_err()
            );
        }
    }
}
