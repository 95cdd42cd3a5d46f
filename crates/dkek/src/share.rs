//! The parts of a password share.

use std::fmt;

use openssl::bn::{BigNum, BigNumContext};
use openssl::error::ErrorStack;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::SchemeError;

/// Most shares of one set. Ids stay single digits, which every tool reads as it writes them: `sc-hsm-tool` writes an id in decimal
/// and reads it in hexadecimal.
pub const MAX_SHARES: u8 = 9;

/// How many shares there are and how many of them give the password back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threshold {
    threshold: u8,
    shares: u8,
}

impl Threshold {
    /// `threshold` of `shares`: 2 <= threshold <= shares, 3 <= shares <= 9.
    ///
    /// # Errors
    /// [`SchemeError::Threshold`].
    pub const fn new(threshold: u8, shares: u8) -> Result<Self, SchemeError> {
        if threshold < 2 || threshold > shares || shares < 3 || shares > MAX_SHARES {
            return Err(SchemeError::Threshold { threshold, shares });
        }
        Ok(Self { threshold, shares })
    }

    /// Shares needed.
    #[must_use]
    pub const fn threshold(self) -> u8 {
        self.threshold
    }

    /// Shares in all.
    #[must_use]
    pub const fn shares(self) -> u8 {
        self.shares
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.threshold, self.shares)
    }
}

/// The modulus of a set: 64 bits, big-endian. Public; every share of a set has the same.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Prime(pub [u8; 8]);

impl Prime {
    /// Whether it is a safe prime of 64 bits, as every set's modulus is; a mistyped one almost never is.
    ///
    /// # Errors
    /// The crypto library failed.
    pub fn is_safe_prime(&self) -> Result<bool, ErrorStack> {
        let number = BigNum::from_slice(&self.0)?;
        if number.num_bits() != 64 {
            return Ok(false);
        }
        let mut context = BigNumContext::new()?;
        let mut half = BigNum::new()?;
        half.rshift1(&number)?;
        // Half of it first: of two numbers that are rarely prime either will do, and it is the smaller one.
        Ok(number.is_odd()
            && half.is_prime(CHECKS, &mut context)?
            && number.is_prime(CHECKS, &mut context)?)
    }
}

/// Rounds of the primality test; an error is less likely than 2^-128.
const CHECKS: i32 = 64;

impl fmt::Display for Prime {
    /// Sixteen digits in pairs, as `sc-hsm-tool` writes and reads them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&pairs(&self.0))
    }
}

impl fmt::Debug for Prime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prime({self})")
    }
}

/// The secret part of a share: a number of 64 bits, big-endian, on the heap, so that one that moves leaves no copy.
#[derive(Clone)]
pub struct ShareValue(Box<Zeroizing<[u8; 8]>>);

impl ShareValue {
    /// A value from its bytes, of which the caller has a copy.
    #[must_use]
    pub fn new(bytes: [u8; 8]) -> Self {
        Self(Box::new(Zeroizing::new(bytes)))
    }

    /// The secret bytes.
    #[must_use]
    pub fn secret_bytes(&self) -> &[u8; 8] {
        &self.0
    }

    /// Sixteen digits in pairs, as `sc-hsm-tool` writes and reads them: secret text.
    #[must_use]
    pub fn secret_text(&self) -> Zeroizing<String> {
        Zeroizing::new(pairs(self.secret_bytes()))
    }
}

impl PartialEq for ShareValue {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_slice().ct_eq(other.0.as_slice()).into()
    }
}

impl Eq for ShareValue {}

impl fmt::Debug for ShareValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShareValue(..)")
    }
}

/// One custodian's share of a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordShare {
    /// Modulus of the set.
    pub prime: Prime,
    /// Where the polynomial is evaluated; never 0, where the password is.
    pub id: u64,
    /// The value there.
    pub value: ShareValue,
}

/// Name of a set of password shares: random, public.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SetId(pub [u8; 8]);

impl SetId {
    /// Reads sixteen hexadecimal digits, with anything but letters and digits between them.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        digits(text).map(Self)
    }
}

impl fmt::Display for SetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.0.chunks(2).enumerate() {
            let dash = if index == 0 { "" } else { "-" };
            write!(f, "{dash}{}", hex::encode(part))?;
        }
        Ok(())
    }
}

impl fmt::Debug for SetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SetId({self})")
    }
}

/// Digits in pairs with colons. The text is allocated once.
fn pairs(bytes: &[u8; 8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(23);
    for byte in bytes {
        if !text.is_empty() {
            text.push(':');
        }
        for nibble in [byte >> 4, byte & 0x0F] {
            text.push(char::from(DIGITS[usize::from(nibble)]));
        }
    }
    text
}

/// Exactly as many bytes in hexadecimal; whatever else is between them, no letters and no other digits.
pub(crate) fn digits<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits: Zeroizing<String> = {
        let mut digits = Zeroizing::new(String::with_capacity(text.len()));
        digits.extend(text.chars().filter(char::is_ascii_alphanumeric));
        digits
    };
    let mut bytes = [0; N];
    hex::decode_to_slice(digits.as_bytes(), &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_full_width() {
        assert_eq!(
            Prime([0, 1, 2, 0xAB, 4, 5, 6, 0xFF]).to_string(),
            "00:01:02:ab:04:05:06:ff"
        );
        assert_eq!(
            *ShareValue::new([0, 0, 0, 0, 0, 0, 0, 7]).secret_text(),
            "00:00:00:00:00:00:00:07"
        );
        let set = SetId([0x0F; 8]);
        assert_eq!(set.to_string(), "0f0f-0f0f-0f0f-0f0f");
        assert_eq!(SetId::parse(&set.to_string()), Some(set));
        assert_eq!(SetId::parse("0f0f-0f0f-0f0f-0f0"), None);
    }

    #[test]
    fn the_published_prime_is_a_safe_prime_and_its_neighbours_are_not() {
        let prime = Prime([0xE2, 0x8C, 0x4E, 0x2A, 0x93, 0xCC, 0xA8, 0x77]);
        assert!(prime.is_safe_prime().unwrap());
        for index in 0..8 {
            let mut other = prime;
            other.0[index] ^= 0x10;
            assert!(!other.is_safe_prime().unwrap());
        }
        // Safe, but not of 64 bits.
        assert!(!Prime([0, 0, 0, 0, 0, 0, 0, 23]).is_safe_prime().unwrap());
    }

    #[test]
    fn thresholds_have_bounds() {
        for (threshold, shares) in [(2, 3), (3, 3), (2, 9), (9, 9)] {
            assert!(Threshold::new(threshold, shares).is_ok());
        }
        for (threshold, shares) in [(1, 3), (2, 2), (4, 3), (2, 10), (0, 0)] {
            assert!(
                Threshold::new(threshold, shares).is_err(),
                "{threshold} of {shares}"
            );
        }
    }

    #[test]
    fn nothing_secret_is_shown() {
        let share = PasswordShare {
            prime: Prime([0xEE; 8]),
            id: 3,
            value: ShareValue::new([0x5A; 8]),
        };
        let shown = format!("{share:?}");
        assert!(!shown.contains("5a") && !shown.contains("90"), "{shown}");
    }
}
