//! Whether a key signed a digest.

use chancery_api::{DigestValue, HashName, Mechanism};
use chancery_cvc::{PublicKey, RsaPublicKey};
use openssl::bn::BigNum;
use openssl::ecdsa::EcdsaSig;
use openssl::error::ErrorStack;
use openssl::md::{Md, MdRef};
use openssl::pkey::PKey;
use openssl::pkey_ctx::PkeyCtx;
use openssl::rsa::Padding;
use openssl::sign::RsaPssSaltlen;

use super::SignatureVerdict;

/// Judges a plain signature over a digest.
pub(super) fn judge(
    key: &PublicKey,
    mechanism: Mechanism,
    digest: &DigestValue,
    signature: &[u8],
) -> SignatureVerdict {
    if key.signature_len().ok() != Some(signature.len()) {
        return SignatureVerdict::Unfit;
    }
    let valid = match (mechanism, key) {
        (Mechanism::Ecdsa, PublicKey::Ec(key)) => {
            let (r, s) = signature
                .split_at_checked(signature.len() / 2)
                .unwrap_or_default();
            let numbers =
                || EcdsaSig::from_private_components(BigNum::from_slice(r)?, BigNum::from_slice(s)?);
            match (key.to_ec_key(), numbers()) {
                (Ok(key), Ok(numbers)) => numbers.verify(digest.bytes(), &key),
                _ => return SignatureVerdict::Unfit,
            }
        }
        (Mechanism::RsaPkcs1, PublicKey::Rsa(key)) => rsa(key, Padding::PKCS1, digest, signature),
        (Mechanism::RsaPss, PublicKey::Rsa(key)) => rsa(key, Padding::PKCS1_PSS, digest, signature),
        _ => return SignatureVerdict::Unfit,
    };
    // The library calls some wrong signatures an error; what it left in its queue is of no use to anybody.
    drop(ErrorStack::get());
    if valid.unwrap_or(false) {
        SignatureVerdict::Valid
    } else {
        SignatureVerdict::Wrong
    }
}

fn rsa(
    key: &RsaPublicKey,
    padding: Padding,
    digest: &DigestValue,
    signature: &[u8],
) -> Result<bool, ErrorStack> {
    let Ok(key) = key.to_rsa() else {
        return Ok(false);
    };
    let key = PKey::from_rsa(key)?;
    let mut context = PkeyCtx::new(&key)?;
    context.verify_init()?;
    context.set_rsa_padding(padding)?;
    context.set_signature_md(function(digest.hash()))?;
    if padding == Padding::PKCS1_PSS {
        context.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
    }
    context.verify(digest.bytes(), signature)
}

fn function(hash: HashName) -> &'static MdRef {
    match hash {
        HashName::Sha256 => Md::sha256(),
        HashName::Sha384 => Md::sha384(),
        HashName::Sha512 => Md::sha512(),
    }
}

#[cfg(test)]
mod tests {
    use openssl::hash::MessageDigest;
    use openssl::rsa::Rsa;
    use openssl::sha::{sha256, sha384};
    use openssl::sign::Signer;

    use super::*;

    #[test]
    fn rsa_signatures_of_both_kinds_are_judged() {
        let private = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        let key = PublicKey::from_spki_der(&private.public_key_to_der().unwrap()).unwrap();
        let sign = |pss: bool| {
            let mut signer = Signer::new(MessageDigest::sha384(), &private).unwrap();
            if pss {
                signer.set_rsa_padding(Padding::PKCS1_PSS).unwrap();
                signer.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH).unwrap();
            }
            signer.sign_oneshot_to_vec(b"message").unwrap()
        };
        let digest = DigestValue::new(HashName::Sha384, sha384(b"message").to_vec()).unwrap();
        let short = DigestValue::new(HashName::Sha256, sha256(b"message").to_vec()).unwrap();
        let (pkcs1, pss) = (sign(false), sign(true));
        use Mechanism::{Ecdsa, RsaPkcs1, RsaPss};
        use SignatureVerdict::{Unfit, Valid, Wrong};
        for (mechanism, digest, signature, expected) in [
            (RsaPkcs1, &digest, &pkcs1, Valid),
            (RsaPss, &digest, &pss, Valid),
            (RsaPkcs1, &digest, &pss, Wrong),
            (RsaPss, &digest, &pkcs1, Wrong),
            (RsaPkcs1, &short, &pkcs1, Wrong),
            (Ecdsa, &digest, &pkcs1, Unfit),
            (RsaPkcs1, &digest, &pkcs1[1..].to_vec(), Unfit),
        ] {
            assert_eq!(
                judge(&key, mechanism, digest, signature),
                expected,
                "{mechanism:?}"
            );
        }
    }
}
