//! Every signature algorithm, judged by the crypto library.

use chancery_cvc::PublicKey;
use chancery_schsm::{Algorithm, Hash, Input};
use openssl::ecdsa::EcdsaSig;
use openssl::hash::{MessageDigest, hash};
use openssl::pkey_ctx::PkeyCtx;
use openssl::rsa::Padding;
use openssl::sign::RsaPssSaltlen;

/// Signature algorithms of EC keys.
pub(super) const EC: [Algorithm; 6] = [
    Algorithm::EcdsaSha256,
    Algorithm::Ecdsa,
    Algorithm::EcdsaSha384,
    Algorithm::EcdsaSha512,
    Algorithm::EcdsaSha224,
    Algorithm::EcdsaSha1,
];

/// Signature algorithms of RSA keys.
pub(super) const RSA: [Algorithm; 7] = [
    Algorithm::RsaPkcs1Sha256,
    Algorithm::RsaPssSha256,
    Algorithm::RsaPkcs1Sha512,
    Algorithm::RsaPkcs1,
    Algorithm::RsaPkcs1Sha1,
    Algorithm::RsaPssSha1,
    Algorithm::RsaRaw,
];

/// What the card is given so that it signs `message`.
pub(super) fn input(algorithm: Algorithm, key: &PublicKey, message: &[u8]) -> Option<Vec<u8>> {
    let sha256 = || Some(hash(MessageDigest::sha256(), message).ok()?.to_vec());
    match algorithm.input() {
        Input::Message(_) => Some(message.to_vec()),
        Input::HashValue => sha256(),
        Input::DigestInfo => Some([&SHA256_INFO[..], &sha256()?].concat()),
        // A whole block of PKCS#1 v1.5, padded here (RFC 8017 9.2).
        Input::ModulusBlock => {
            let PublicKey::Rsa(rsa) = key else { return None };
            let info = [&SHA256_INFO[..], &sha256()?].concat();
            let padding = rsa.bits().div_ceil(8).checked_sub(info.len() + 3)?;
            Some([&[0, 1][..], &vec![0xFF; padding], &[0], &info].concat())
        }
        _ => None,
    }
}

/// Whether this is a signature of `message`; `None` when the library cannot judge the algorithm.
pub(super) fn is_valid(
    algorithm: Algorithm,
    key: &PublicKey,
    message: &[u8],
    signature: &[u8],
) -> Option<bool> {
    let digest = match algorithm.hash() {
        Some(Hash::Sha1) => MessageDigest::sha1(),
        Some(Hash::Sha224) => MessageDigest::sha224(),
        Some(Hash::Sha384) => MessageDigest::sha384(),
        Some(Hash::Sha512) => MessageDigest::sha512(),
        Some(Hash::Sha256) | None => MessageDigest::sha256(),
        #[expect(unreachable_patterns, reason = "hashes may be added")]
        _ => return None,
    };
    let value = hash(digest, message).ok()?;
    if EC.contains(&algorithm) {
        let PublicKey::Ec(ec) = key else {
            return Some(false);
        };
        let ec = ec.to_ec_key().ok()?;
        let Ok(signature) = EcdsaSig::from_der(signature) else {
            return Some(false);
        };
        return Some(signature.verify(&value, &ec).unwrap_or(false));
    }
    let pkey = key.to_pkey().ok()?;
    let mut context = PkeyCtx::new(&pkey).ok()?;
    context.verify_init().ok()?;
    let pss = matches!(
        algorithm,
        Algorithm::RsaPssSha1 | Algorithm::RsaPssSha256 | Algorithm::RsaPss
    );
    context
        .set_rsa_padding(if pss { Padding::PKCS1_PSS } else { Padding::PKCS1 })
        .ok()?;
    context.set_signature_md(md(digest)?).ok()?;
    if pss {
        context.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH).ok()?;
    }
    Some(context.verify(&value, signature).unwrap_or(false))
}

fn md(digest: MessageDigest) -> Option<&'static openssl::md::MdRef> {
    openssl::md::Md::from_nid(digest.type_())
}

/// DigestInfo of SHA-256 before the hash value (RFC 8017 9.2, note 1).
const SHA256_INFO: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00,
    0x04, 0x20,
];
