//! RSA public keys.

use openssl::bn::BigNum;
use openssl::pkey::{HasPublic, Public};
use openssl::rsa::{Rsa, RsaRef};

use crate::domain::significant;
use crate::error::KeyError;

/// An RSA public key, numbers big endian without leading zeros.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RsaPublicKey {
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

impl RsaPublicKey {
    /// Smallest modulus taken, in bits. What is good enough for a certificate is for its profile to say.
    pub const MIN_BITS: usize = 1024;
    /// Largest modulus taken, in bits.
    pub const MAX_BITS: usize = 8192;

    /// Takes modulus and public exponent; leading zeros are dropped.
    ///
    /// # Errors
    /// [`KeyError::Malformed`] when the modulus is even or outside the sizes above, or the exponent even, below 3 or
    /// above 64 bits.
    pub fn new(modulus: &[u8], exponent: &[u8]) -> Result<Self, KeyError> {
        let modulus = significant(modulus);
        let exponent = significant(exponent);
        let key = Self {
            modulus: modulus.to_vec(),
            exponent: exponent.to_vec(),
        };
        if !is_odd(modulus) || !(Self::MIN_BITS..=Self::MAX_BITS).contains(&key.bits()) {
            return Err(KeyError::Malformed { what: "RSA modulus" });
        }
        Self::check_exponent(exponent)?;
        Ok(key)
    }

    /// Takes a key of the crypto library.
    ///
    /// # Errors
    /// As [`RsaPublicKey::new`].
    pub fn from_rsa<T: HasPublic>(key: &RsaRef<T>) -> Result<Self, KeyError> {
        Self::new(&key.n().to_vec(), &key.e().to_vec())
    }

    /// Refuses an exponent that is even, below 3 or above 64 bits.
    pub(crate) fn check_exponent(exponent: &[u8]) -> Result<(), KeyError> {
        if is_odd(exponent) && exponent != [1] && exponent.len() <= MAX_EXPONENT_LEN {
            Ok(())
        } else {
            Err(KeyError::Malformed {
                what: "RSA public exponent",
            })
        }
    }

    /// The modulus.
    #[must_use]
    pub fn modulus(&self) -> &[u8] {
        &self.modulus
    }

    /// The public exponent.
    #[must_use]
    pub fn exponent(&self) -> &[u8] {
        &self.exponent
    }

    /// Length of the modulus in bits.
    #[must_use]
    pub fn bits(&self) -> usize {
        let unused = self.modulus.first().map_or(0, |byte| byte.leading_zeros());
        (self.modulus.len() * 8).saturating_sub(usize::try_from(unused).unwrap_or_default())
    }

    /// The crypto library's object for this key.
    ///
    /// # Errors
    /// [`KeyError::Crypto`] when the library fails.
    pub fn to_rsa(&self) -> Result<Rsa<Public>, KeyError> {
        BigNum::from_slice(&self.modulus)
            .and_then(|n| Rsa::from_public_components(n, BigNum::from_slice(&self.exponent)?))
            .map_err(KeyError::Crypto)
    }
}

fn is_odd(number: &[u8]) -> bool {
    number.last().is_some_and(|byte| byte & 1 == 1)
}

const MAX_EXPONENT_LEN: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_odd_shapes_by_part() {
        let mut modulus = vec![0xC5; 128];
        assert_eq!(RsaPublicKey::new(&modulus, &[1, 0, 1]).unwrap().bits(), 1024);
        assert_eq!(
            RsaPublicKey::new(&[&[0, 0], &modulus[..]].concat(), &[0, 3])
                .unwrap()
                .exponent(),
            [3]
        );
        for exponent in [&[][..], &[0], &[1], &[2], &[1; 9]] {
            assert!(RsaPublicKey::new(&modulus, exponent).is_err(), "{exponent:?}");
        }
        assert!(RsaPublicKey::new(&[0xFF; 1025], &[3]).is_err());
        modulus[0] = 0x7F;
        assert!(RsaPublicKey::new(&modulus, &[3]).is_err(), "1023 bits");
        modulus[0] = 0xFF;
        modulus[127] = 2;
        assert!(RsaPublicKey::new(&modulus, &[3]).is_err(), "even");
    }
}
