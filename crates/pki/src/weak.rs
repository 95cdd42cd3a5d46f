//! Tests for RSA moduli that are public but worthless.

/// Smallest prime that divides the modulus, looking at primes below 752 (as the CA/Browser Forum asks).
/// The modulus is big endian.
pub(crate) fn small_factor(modulus: &[u8]) -> Option<u32> {
    primes().find(|&prime| remainder(modulus, prime) == 0)
}

/// Whether the modulus carries the fingerprint of the ROCA key generator (CVE-2017-15361).
///
/// That generator made primes `k * M + (65537^a mod M)` with `M` the product of the first primes, so modulo
/// each of those primes the modulus is a power of 65537. The shortest keys used the primes up to 167, longer
/// keys used these and more. A sound key passes all of these tests once in about 2^27 keys.
pub(crate) fn is_roca(modulus: &[u8]) -> bool {
    primes()
        .take_while(|&prime| prime <= LAST_ROCA_PRIME)
        .filter(|&prime| prime > 2)
        .all(|prime| is_power_of_generator(remainder(modulus, prime), prime))
}

fn is_power_of_generator(value: u32, prime: u32) -> bool {
    let generator = ROCA_GENERATOR % prime;
    let mut power = 1;
    loop {
        if power == value {
            return true;
        }
        power = power * generator % prime;
        if power == 1 {
            return false;
        }
    }
}

fn remainder(modulus: &[u8], prime: u32) -> u32 {
    modulus
        .iter()
        .fold(0, |rest, &octet| (rest * 256 + u32::from(octet)) % prime)
}

fn primes() -> impl Iterator<Item = u32> {
    (2..SMALL_PRIME_LIMIT).filter(|&n| (2..n).take_while(|d| d * d <= n).all(|d| n % d != 0))
}

const SMALL_PRIME_LIMIT: u32 = 752;
const LAST_ROCA_PRIME: u32 = 167;
const ROCA_GENERATOR: u32 = 65_537;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_small_factors() {
        assert_eq!(small_factor(&[15]), Some(3));
        assert_eq!(small_factor(&(751u32 * 757).to_be_bytes()), Some(751));
        assert_eq!(small_factor(&(757u32 * 761).to_be_bytes()), None);
    }

    #[test]
    fn powers_of_the_generator_are_recognised() {
        // 65537 itself is one modulo every prime; 2 is not a power of it modulo 11.
        assert!(is_roca(&65_537u32.to_be_bytes()));
        assert!(is_power_of_generator(10, 11));
        assert!(!is_power_of_generator(2, 11));
    }
}
