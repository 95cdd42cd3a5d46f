//! Keys in clear, as they are before wrapping and after unwrapping.

use std::fmt;

use zeroize::Zeroizing;

use crate::KeyType;

/// A private or secret key in clear with all its parameters. Numbers are big endian without sign byte.
///
/// Secret parts are wiped when dropped; `Debug` shows type and size only.
#[derive(Clone, PartialEq, Eq)]
pub enum KeyMaterial {
    /// A key on a curve y^2 = x^3 + ax + b over the field of p elements, base point g of order n.
    Ec {
        /// Size of p in bits.
        bits: u16,
        /// Coefficient a.
        a: Vec<u8>,
        /// Coefficient b.
        b: Vec<u8>,
        /// The prime of the field.
        p: Vec<u8>,
        /// Order of the base point.
        n: Vec<u8>,
        /// Base point, `04 | x | y`.
        g: Vec<u8>,
        /// The private number.
        d: Zeroizing<Vec<u8>>,
        /// Public point, `04 | x | y`.
        q: Vec<u8>,
    },
    /// An RSA key.
    Rsa {
        /// Size of the modulus in bits.
        bits: u16,
        /// Modulus.
        n: Vec<u8>,
        /// Public exponent.
        e: Vec<u8>,
        /// The private half, in one of the two forms it travels in.
        secret: RsaSecret,
    },
    /// An AES key of 16, 24, 32 (or, for XTS, 64) bytes.
    Aes {
        /// The key.
        key: Zeroizing<Vec<u8>>,
    },
}

/// The private half of an RSA key.
#[derive(Clone, PartialEq, Eq)]
pub enum RsaSecret {
    /// The private exponent d.
    Exponent(Zeroizing<Vec<u8>>),
    /// The primes with what goes with them.
    Crt(RsaCrt),
}

/// RSA primes and exponents for the Chinese remainder theorem (reference: RFC 8017 3.2).
#[derive(Clone, PartialEq, Eq)]
pub struct RsaCrt {
    /// First prime.
    pub p: Zeroizing<Vec<u8>>,
    /// Second prime.
    pub q: Zeroizing<Vec<u8>>,
    /// d mod (p - 1).
    pub dp: Zeroizing<Vec<u8>>,
    /// d mod (q - 1).
    pub dq: Zeroizing<Vec<u8>>,
    /// Inverse of q mod p.
    pub q_inverse: Zeroizing<Vec<u8>>,
}

impl KeyMaterial {
    /// The kind of key.
    #[must_use]
    pub fn key_type(&self) -> KeyType {
        match self {
            Self::Ec { .. } => KeyType::Ec,
            Self::Rsa { .. } => KeyType::Rsa,
            Self::Aes { .. } => KeyType::Aes,
        }
    }

    /// The size of the key in bits.
    #[must_use]
    pub fn bits(&self) -> usize {
        match self {
            Self::Ec { bits, .. } | Self::Rsa { bits, .. } => usize::from(*bits),
            Self::Aes { key } => key.len() * 8,
        }
    }
}

impl fmt::Debug for KeyMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyMaterial({:?}, {} bits)", self.key_type(), self.bits())
    }
}

impl fmt::Debug for RsaSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exponent(_) => "RsaSecret::Exponent(..)",
            Self::Crt(_) => "RsaSecret::Crt(..)",
        })
    }
}

impl fmt::Debug for RsaCrt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RsaCrt(..)")
    }
}
