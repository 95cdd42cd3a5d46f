//! Key derivation of share files (`.pbe`): OpenSSL's `EVP_BytesToKey` with MD5, ten million rounds for each 16 bytes.
//!
//! A crate of its own because this one loop needs a compiler that optimises, in debug builds, too.

mod rounds;

use md5::{Digest, Md5};
use zeroize::Zeroizing;

/// Derives 48 bytes, a key of 32 and an IV of 16, from a password and the salt of a file: each 16 bytes are MD5 of the 16 before
/// them (none at first), password and salt, hashed again until it was done `iterations` times (at least once).
///
/// `progress` hears from time to time how much is done, as a fraction of 1, the last time 1. Nothing here is generic: it would be
/// compiled with its caller.
#[must_use]
pub fn derive(
    password: &[u8],
    salt: [u8; 8],
    iterations: u32,
    progress: &mut dyn FnMut(f64),
) -> Zeroizing<[u8; 48]> {
    let total = f64::from(iterations) * 3.0;
    let mut previous = Zeroizing::new([0; 16]);
    let mut derived = Zeroizing::new([0; 48]);
    for (index, part) in derived.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        let mut first = Md5::new();
        if index > 0 {
            first.update(previous.as_slice());
        }
        first.update(password);
        first.update(salt);
        previous = Zeroizing::new(first.finalize().into());
        let base = f64::from(u32::try_from(index).unwrap_or_default()) * f64::from(iterations);
        let mut tell = |done: u32| progress((base + f64::from(done)) / total);
        rounds::iterate(&mut previous, iterations.saturating_sub(1), &mut tell);
        *part = *previous;
    }
    progress(1.0);
    derived
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `openssl enc -aes-256-cbc -md md5 -nosalt -P` derives so with one round; this is `EVP_BytesToKey` written down plainly.
    #[test]
    fn every_part_depends_on_the_one_before() {
        let mut plain = Vec::new();
        let mut before = Vec::new();
        for _ in 0..3 {
            let mut hash = before.clone();
            hash.extend_from_slice(b"password");
            hash.extend_from_slice(&[9; 8]);
            for _ in 0..5 {
                hash = Md5::digest(&hash).to_vec();
            }
            plain.extend_from_slice(&hash);
            before = hash;
        }
        assert_eq!(derive(b"password", [9; 8], 5, &mut |_| ()).as_slice(), plain);
    }

    #[test]
    fn progress_rises_to_one() {
        let mut seen = Vec::new();
        let _ = derive(b"", [0; 8], 600_000, &mut |part| seen.push(part));
        assert!(seen.is_sorted(), "{seen:?}");
        assert!(seen.len() >= 7, "{seen:?}");
        assert!(seen.last().is_some_and(|last| (*last - 1.0).abs() < f64::EPSILON));
    }
}
