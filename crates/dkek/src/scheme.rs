//! Splitting a password and putting it together again.
//!
//! The scheme of `sc-hsm-tool`: the password is a number of 63 bits, the constant term of a random polynomial over the field of a safe
//! prime of 64 bits; share `i` is the polynomial's value at `i`. The number's bytes, big-endian, are the password, raw.

use std::fmt;

use openssl::bn::{BigNum, BigNumContext};
use zeroize::Zeroizing;

use crate::field::{Field, Point, number};
use crate::{PasswordShare, Prime, RandomError, SchemeError, ShareValue, Threshold};

/// A source of random bytes: fills the whole slice.
pub type Random<'a> = dyn FnMut(&mut [u8]) -> Result<(), RandomError> + 'a;

/// The number that password shares hide.
#[derive(Clone)]
pub struct Secret(Box<Zeroizing<[u8; 8]>>);

impl Secret {
    /// A secret from its bytes, of which the caller has a copy.
    #[must_use]
    pub fn new(bytes: [u8; 8]) -> Self {
        Self(Box::new(Zeroizing::new(bytes)))
    }

    /// The password of the share file: all eight bytes.
    #[must_use]
    pub fn password(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// The password as a tool computes it that drops leading zero bytes.
    #[must_use]
    pub fn stripped(&self) -> &[u8] {
        let zeros = self.0.iter().take_while(|byte| **byte == 0).count();
        self.0.get(zeros..).unwrap_or_default()
    }

    /// Whether it begins with a zero byte, so that a tool that drops those cannot open the share file.
    #[must_use]
    pub fn begins_with_zero(&self) -> bool {
        self.stripped().len() < self.0.len()
    }

    /// Whether it could be a password that was made for sharing: these have 63 bits.
    #[must_use]
    pub fn is_plausible(&self) -> bool {
        self.0.first().is_some_and(|first| first & 0x80 == 0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Draws a password and splits it. The password never begins with a zero byte.
///
/// # Errors
/// [`SchemeError::Random`] or [`SchemeError::Crypto`].
pub fn split(how: Threshold, random: &mut Random<'_>) -> Result<(Secret, Vec<PasswordShare>), SchemeError> {
    let mut secret = Secret::new([0; 8]);
    while secret.begins_with_zero() {
        random(secret.0.as_mut_slice())?;
        if let Some(first) = secret.0.first_mut() {
            *first &= 0x7F;
        }
    }
    let shares = split_secret(&secret, safe_prime(random)?, how, random)?;
    Ok((secret, shares))
}

/// Splits this number over this prime.
pub(crate) fn split_secret(
    secret: &Secret,
    prime: Prime,
    how: Threshold,
    random: &mut Random<'_>,
) -> Result<Vec<PasswordShare>, SchemeError> {
    let mut field = Field::new(&prime.0)?;
    let mut coefficients = vec![number(secret.password())?];
    for _ in 1..how.threshold() {
        let mut drawn = Zeroizing::new([0; 8]);
        loop {
            random(drawn.as_mut_slice())?;
            // Big-endian bytes of equal length compare as their numbers do.
            if *drawn < prime.0 {
                break;
            }
        }
        coefficients.push(number(drawn.as_slice())?);
    }
    (1..=how.shares())
        .map(|id| {
            Ok(PasswordShare {
                prime,
                id: id.into(),
                value: value(&field.evaluate(&coefficients, id)?)?,
            })
        })
        .collect()
}

/// A safe prime of 64 bits with both highest bits set, so that it is above every number of 63 bits.
fn safe_prime(random: &mut Random<'_>) -> Result<Prime, SchemeError> {
    let mut context = BigNumContext::new()?;
    loop {
        let mut bytes = [0; 8];
        random(&mut bytes)?;
        bytes[0] |= 0xC0;
        // Odd, and half of it odd.
        bytes[7] |= 0x03;
        let candidate = BigNum::from_slice(&bytes)?;
        let mut half = BigNum::new()?;
        half.rshift1(&candidate)?;
        if half.is_prime_fasttest(1, &mut context, true)?
            && candidate.is_prime_fasttest(1, &mut context, true)?
        {
            let prime = Prime(bytes);
            if prime.is_safe_prime()? {
                return Ok(prime);
            }
        }
    }
}

/// The number that these shares hide, if they are enough and right: nothing in them tells whether they are.
///
/// # Errors
/// [`SchemeError`]: fewer than two, two with one id, different primes, a modulus that is no prime.
pub fn combine(shares: &[PasswordShare]) -> Result<Secret, SchemeError> {
    let (mut field, points) = points(shares)?;
    let zero = BigNum::new_secure()?;
    let secret = field
        .interpolate(&points, &zero)?
        .ok_or(SchemeError::NoField("their modulus is no prime"))?;
    let mut bytes = Secret::new([0; 8]);
    bytes.0.copy_from_slice(value(&secret)?.secret_bytes());
    Ok(bytes)
}

/// How many shares of these were enough to foretell all others: the threshold, when it is less than their number. `None` when
/// every one of them is needed, so that nothing can be said: they are just enough, or too few, or one is wrong.
///
/// # Errors
/// As [`combine`].
pub(crate) fn consistent_threshold(shares: &[PasswordShare]) -> Result<Option<usize>, SchemeError> {
    let (mut field, points) = points(shares)?;
    let degree = field
        .degree(&points)?
        .ok_or(SchemeError::NoField("their modulus is no prime"))?;
    let enough = degree + 1;
    Ok((enough < points.len()).then_some(enough))
}

/// The value that share `id` must have for the others to be right.
///
/// # Errors
/// As [`combine`].
pub(crate) fn value_at(shares: &[PasswordShare], id: u64) -> Result<ShareValue, SchemeError> {
    let (mut field, points) = points(shares)?;
    let place = number(&id.to_be_bytes())?;
    let found = field
        .interpolate(&points, &place)?
        .ok_or(SchemeError::NoField("their modulus is no prime"))?;
    value(&found)
}

fn points(shares: &[PasswordShare]) -> Result<(Field, Vec<Point>), SchemeError> {
    let [first, _, ..] = shares else {
        return Err(SchemeError::TooFew { count: shares.len() });
    };
    for (index, share) in shares.iter().enumerate() {
        if share.prime != first.prime {
            return Err(SchemeError::OtherSet {
                first: first.id,
                other: share.id,
            });
        }
        if shares.iter().take(index).any(|other| other.id == share.id) {
            return Err(SchemeError::DuplicateId { id: share.id });
        }
        if *share.value.secret_bytes() >= share.prime.0 {
            return Err(SchemeError::NoField("a value is not below the prime"));
        }
    }
    let points = shares
        .iter()
        .map(|share| {
            Ok((
                number(&share.id.to_be_bytes())?,
                number(share.value.secret_bytes())?,
            ))
        })
        .collect::<Result<_, SchemeError>>()?;
    Ok((Field::new(&first.prime.0)?, points))
}

/// A number of at most 64 bits as a value.
fn value(number: &BigNum) -> Result<ShareValue, SchemeError> {
    let bytes = Zeroizing::new(number.to_vec_padded(8)?);
    <[u8; 8]>::try_from(bytes.as_slice())
        .map(ShareValue::new)
        .map_err(|_| SchemeError::NoField("a number has more than 64 bits"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::share::digits;

    /// Bytes that differ from call to call, the same in every run.
    pub(crate) fn drawn(seed: u64) -> impl FnMut(&mut [u8]) -> Result<(), RandomError> {
        use sha2::{Digest, Sha256};
        let mut counter = seed << 32;
        move |bytes: &mut [u8]| {
            for part in bytes.chunks_mut(32) {
                counter += 1;
                let digest = Sha256::digest(counter.to_be_bytes());
                part.copy_from_slice(&digest[..part.len()]);
            }
            Ok(())
        }
    }

    fn published() -> Vec<PasswordShare> {
        [
            "BED92AF69643C441",
            "8DD49D6982048A5B",
            "083ECBCE3E4AD6B6",
            "845D7A40863E4C32",
            "B0D1825C59A0944A",
            "1EC80BE84C0000F0",
        ]
        .iter()
        .zip(1..)
        .map(|(value, id)| PasswordShare {
            prime: Prime(digits("E28C4E2A93CCA877").unwrap()),
            id,
            value: ShareValue::new(digits(value).unwrap()),
        })
        .collect()
    }

    #[test]
    fn any_four_of_the_published_shares_give_the_published_secret() {
        let shares = published();
        for leave in 0..6 {
            for leave_too in 0..leave {
                let mut some = shares.clone();
                some.remove(leave);
                some.remove(leave_too);
                assert_eq!(
                    combine(&some).unwrap().password(),
                    digits::<8>("2792FE8453AD89FF").unwrap()
                );
            }
        }
        assert_eq!(consistent_threshold(&shares).unwrap(), Some(4));
        assert_eq!(consistent_threshold(&shares[..4]).unwrap(), None);
        assert_eq!(value_at(&shares[..4], 6).unwrap(), shares[5].value);
        assert_ne!(
            combine(&shares[..3]).unwrap().password(),
            digits::<8>("2792FE8453AD89FF").unwrap()
        );
    }

    #[test]
    fn what_cannot_be_combined_is_named() {
        let shares = published();
        let error = |shares: &[PasswordShare]| combine(shares).unwrap_err();
        assert!(matches!(error(&shares[..1]), SchemeError::TooFew { count: 1 }));
        let twice = [shares[1].clone(), shares[2].clone(), shares[1].clone()];
        assert!(matches!(error(&twice), SchemeError::DuplicateId { id: 2 }));
        let mut other = shares.clone();
        other[3].prime.0[0] ^= 1;
        assert!(matches!(
            error(&other),
            SchemeError::OtherSet { first: 1, other: 4 }
        ));
        let mut high = shares;
        high[0].value = ShareValue::new([0xFF; 8]);
        assert!(matches!(error(&high), SchemeError::NoField(_)));
    }

    #[test]
    fn a_secret_never_begins_with_a_zero_byte() {
        // Two draws that would, then one that does not.
        let mut draws = 0;
        let mut fixed = drawn(1);
        let mut random = |bytes: &mut [u8]| {
            draws += 1;
            match draws {
                1 => bytes.copy_from_slice(&[0, 1, 2, 3, 4, 5, 6, 7]),
                // The top bit is cleared.
                2 => bytes.copy_from_slice(&[0x80, 1, 2, 3, 4, 5, 6, 7]),
                3 => bytes.copy_from_slice(&[0x81, 0, 0, 0, 0, 0, 0, 7]),
                _ => fixed(bytes)?,
            }
            Ok(())
        };
        let (secret, shares) = split(Threshold::new(2, 3).unwrap(), &mut random).unwrap();
        assert_eq!(secret.password(), [1, 0, 0, 0, 0, 0, 0, 7]);
        assert_eq!(combine(&shares[1..]).unwrap().password(), secret.password());
    }

    #[test]
    fn leading_zeros_are_seen() {
        let secret = Secret::new([0, 0, 3, 0, 5, 6, 7, 8]);
        assert!(secret.begins_with_zero());
        assert_eq!(secret.stripped(), [3, 0, 5, 6, 7, 8]);
        assert!(Secret::new([0; 8]).stripped().is_empty());
        assert!(!Secret::new([0x80; 8]).is_plausible());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn any_threshold_shares_give_the_secret_back(seed in 0..1000_u64, shares in 3..=9_u8, rotate in 0..9_usize) {
            let threshold = 2 + u8::try_from(seed % u64::from(shares - 1)).unwrap();
            let how = Threshold::new(threshold, shares).unwrap();
            let (secret, mut made) = split(how, &mut drawn(seed)).unwrap();
            prop_assert!(made[0].prime.is_safe_prime().unwrap());
            prop_assert!(secret.is_plausible() && !secret.begins_with_zero());
            made.rotate_left(rotate % usize::from(shares));
            let enough = usize::from(threshold);
            let combined = combine(&made[..enough]).unwrap();
            prop_assert_eq!(combined.password(), secret.password());
            if enough > 2 {
                let combined = combine(&made[..enough - 1]).unwrap();
                prop_assert_ne!(combined.password(), secret.password());
            }
            if shares > threshold {
                prop_assert_eq!(consistent_threshold(&made).unwrap(), Some(enough));
            }
        }
    }
}
