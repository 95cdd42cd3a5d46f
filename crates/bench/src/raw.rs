//! The crypto library alone, on one thread.

use aws_lc_rs::{
    digest::{Digest, SHA256},
    rand::SystemRandom,
    rsa::KeySize,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};

use crate::line::{Line, for_a_slice};

/// Name of the line everything with a P-256 key is compared with.
pub(crate) const P256: &str = "raw P-256";
/// Name of the line everything with an RSA-2048 key is compared with.
pub(crate) const RSA_2048: &str = "raw RSA-2048";

/// A hash to sign.
pub(crate) const HASH: [u8; 32] = [0x5A; 32];

pub(crate) fn lines() -> anyhow::Result<Vec<Line>> {
    let ec = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)?;
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048)?;
    let random = SystemRandom::new();
    let digest = Digest::import_less_safe(&HASH, &SHA256)?;
    let mut signature = vec![0; rsa.public_modulus_len()];
    Ok(vec![
        Line::new(P256, move || {
            for_a_slice(|| {
                std::hint::black_box(ec.sign_digest(&digest)?);
                Ok(())
            })
        }),
        Line::new(RSA_2048, move || {
            for_a_slice(|| {
                rsa.sign(&RSA_PKCS1_SHA256, &random, &HASH, &mut signature)?;
                std::hint::black_box(&signature);
                Ok(())
            })
        }),
    ])
}
