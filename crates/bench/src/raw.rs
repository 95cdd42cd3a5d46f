//! The crypto library alone, on one thread; the disk alone.

use std::io::Write as _;

use aws_lc_rs::{
    digest::{Digest, SHA256},
    rand::SystemRandom,
    rsa::KeySize,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};

use crate::{
    line::{Line, Sample, Stopwatch, for_a_pass},
    options::Options,
};

/// Name of the line everything with a P-256 key is compared with.
pub(crate) const P256: &str = "raw P-256";
/// Name of the line everything with an RSA-2048 key is compared with.
pub(crate) const RSA_2048: &str = "raw RSA-2048";

/// A hash to sign.
pub(crate) const HASH: [u8; 32] = [0x5A; 32];

/// DER of a DigestInfo for SHA-256 up to the hash value (RFC 8017 9.2, note 1).
pub(crate) const SHA256_INFO: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00,
    0x04, 0x20,
];

pub(crate) fn lines(options: &Options) -> anyhow::Result<Vec<Line>> {
    let ec = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)?;
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048)?;
    let random = SystemRandom::new();
    let digest = Digest::import_less_safe(&HASH, &SHA256)?;
    let mut signature = vec![0; rsa.public_modulus_len()];
    Ok(vec![
        Line::new(P256, move || {
            for_a_pass(|| {
                std::hint::black_box(ec.sign_digest(&digest)?);
                Ok(())
            })
        })
        .in_passes(),
        Line::new(RSA_2048, move || {
            for_a_pass(|| {
                rsa.sign(&RSA_PKCS1_SHA256, &random, &HASH, &mut signature)?;
                std::hint::black_box(&signature);
                Ok(())
            })
        })
        .in_passes(),
        Line::new("raw flush of 48 KiB", flush(options)?),
    ])
}

/// Appends as much as a group of changes writes, and has it flushed: what a durable commit costs at least.
fn flush(options: &Options) -> anyhow::Result<impl FnMut() -> anyhow::Result<Sample> + 'static> {
    let mut file = tempfile::tempfile_in(&options.directory)?;
    let block = [0x5A; 48 * 1024];
    Ok(move || {
        let watch = Stopwatch::start();
        for _ in 0..FLUSHES {
            file.write_all(&block)?;
            file.sync_all()?;
        }
        Ok(watch.stop(FLUSHES))
    })
}

/// Flushes in a round.
const FLUSHES: u32 = 50;
