//! Whether a signature is the one of the key that was remembered.

use aws_lc_rs::{
    digest::{self, Digest},
    signature::{self, UnparsedPublicKey, VerificationAlgorithm},
};

use crate::{hash::Hash, public_key::PublicKey, slot::SignInput};

/// What can be said of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is of this key.
    Right,
    /// It is not.
    Wrong,
    /// Nothing here verifies signatures of this kind.
    Unknown,
}

/// Verifies a signature.
pub(crate) fn check(key: &PublicKey, input: &SignInput<'_>, signature: &[u8]) -> Verdict {
    let found = match (key, input) {
        (PublicKey::Rsa { .. }, SignInput::RsaPkcs1(info)) => pkcs1(key, info),
        (
            PublicKey::Rsa { .. },
            SignInput::RsaPss {
                hash,
                mask,
                salt_length,
                digest,
            },
        ) if mask == hash && *salt_length == hash.length() => pss(key, *hash, digest),
        (PublicKey::Ec { .. }, SignInput::Ecdsa { digest, .. }) => ecdsa(key, digest),
        _ => None,
    };
    let Some((algorithm, digest)) = found else {
        return Verdict::Unknown;
    };
    let public = match key {
        PublicKey::Rsa { .. } => key.to_spki(),
        PublicKey::Ec { point, .. } => point.clone(),
    };
    match UnparsedPublicKey::new(algorithm, public).verify_digest(&digest, signature) {
        Ok(()) => Verdict::Right,
        Err(_) => Verdict::Wrong,
    }
}

type Way = (&'static dyn VerificationAlgorithm, Digest);

fn pkcs1(key: &PublicKey, info: &[u8]) -> Option<Way> {
    let (hash, digest) = Hash::of_digest_info(info)?;
    let algorithm: &'static dyn VerificationAlgorithm = match hash {
        _ if key.bits() < 2048 => return None,
        Hash::Sha256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Hash::Sha384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Hash::Sha512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Hash::Sha1 | Hash::Sha224 => return None,
    };
    Some((algorithm, import(hash, digest)?))
}

fn pss(key: &PublicKey, hash: Hash, digest: &[u8]) -> Option<Way> {
    let algorithm: &'static dyn VerificationAlgorithm = match hash {
        _ if key.bits() < 2048 => return None,
        Hash::Sha256 => &signature::RSA_PSS_2048_8192_SHA256,
        Hash::Sha384 => &signature::RSA_PSS_2048_8192_SHA384,
        Hash::Sha512 => &signature::RSA_PSS_2048_8192_SHA512,
        Hash::Sha1 | Hash::Sha224 => return None,
    };
    Some((algorithm, import(hash, digest)?))
}

/// ECDSA takes the leftmost bits of a digest as a number: a digest of any length is the number that another of the length the
/// verification wants is.
fn ecdsa(key: &PublicKey, digest: &[u8]) -> Option<Way> {
    let PublicKey::Ec { curve, .. } = key else {
        return None;
    };
    let (algorithm, hash): (&'static dyn VerificationAlgorithm, Hash) = match curve.name {
        "prime256v1" => (&signature::ECDSA_P256_SHA256_FIXED, Hash::Sha256),
        "secp384r1" => (&signature::ECDSA_P384_SHA384_FIXED, Hash::Sha384),
        "secp521r1" => (&signature::ECDSA_P521_SHA512_FIXED, Hash::Sha512),
        "secp256k1" => (&signature::ECDSA_P256K1_SHA256_FIXED, Hash::Sha256),
        _ => return None,
    };
    let mut same = digest.to_vec();
    if curve.length() == hash.length() {
        same.truncate(hash.length());
    }
    let zeros = hash.length().checked_sub(same.len())?;
    same.splice(..0, std::iter::repeat_n(0, zeros));
    Some((algorithm, import(hash, &same)?))
}

fn import(hash: Hash, digest: &[u8]) -> Option<Digest> {
    let algorithm = match hash {
        Hash::Sha256 => &digest::SHA256,
        Hash::Sha384 => &digest::SHA384,
        Hash::Sha512 => &digest::SHA512,
        Hash::Sha1 | Hash::Sha224 => return None,
    };
    Digest::import_less_safe(digest, algorithm).ok()
}
