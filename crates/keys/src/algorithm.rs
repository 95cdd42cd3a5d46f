//! Kinds of keys an HSM generates for a trust center, and ways to use them.

use std::fmt;
use std::str::FromStr;

use chancery_cvc::{Curve, PublicKey};
use chancery_schsm::Algorithm;

/// Kind and size of a key, written as `ec:P-256` or `rsa:3072`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyAlgorithm {
    /// Elliptic curve secp256r1.
    EcP256,
    /// Elliptic curve secp384r1.
    EcP384,
    /// Elliptic curve secp521r1.
    EcP521,
    /// RSA, modulus of 2048 bits, exponent 65537.
    Rsa2048,
    /// RSA, modulus of 3072 bits, exponent 65537.
    Rsa3072,
    /// RSA, modulus of 4096 bits, exponent 65537.
    Rsa4096,
}

/// How an HSM signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignatureAlgorithm {
    /// ECDSA (token algorithm 70). Input: the hash value. Result: DER.
    EcdsaDigest,
    /// RSASSA-PKCS1-v1_5 (token algorithm 20). Input: the complete padded block, as long as the modulus (RFC 8017
    /// 9.2). Result: as long as the modulus.
    RsaPkcs1,
}

/// Text that names no kind of key known here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no kind of key: {}", KeyAlgorithm::ALL.map(|algorithm| algorithm.name()).join(", "))]
pub struct UnknownKeyAlgorithm {
    /// The text, cut to 32 characters.
    pub text: String,
}

impl KeyAlgorithm {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::EcP256,
        Self::EcP384,
        Self::EcP521,
        Self::Rsa2048,
        Self::Rsa3072,
        Self::Rsa4096,
    ];

    /// The text that names it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EcP256 => "ec:P-256",
            Self::EcP384 => "ec:P-384",
            Self::EcP521 => "ec:P-521",
            Self::Rsa2048 => "rsa:2048",
            Self::Rsa3072 => "rsa:3072",
            Self::Rsa4096 => "rsa:4096",
        }
    }

    /// The same in the driver's words.
    pub(crate) const fn spec(self) -> chancery_driver::KeyAlgorithm {
        use chancery_driver::KeyAlgorithm::{Ec, Rsa};
        match self {
            Self::EcP256 => Ec(Curve::Secp256r1),
            Self::EcP384 => Ec(Curve::Secp384r1),
            Self::EcP521 => Ec(Curve::Secp521r1),
            Self::Rsa2048 => Rsa(2048),
            Self::Rsa3072 => Rsa(3072),
            Self::Rsa4096 => Rsa(4096),
        }
    }

    /// What a key of this kind may be used for: signatures as [`SignatureAlgorithm`] makes them, and copies.
    pub(crate) const fn uses(self) -> &'static [Algorithm] {
        match self {
            Self::EcP256 | Self::EcP384 | Self::EcP521 => &[Algorithm::Ecdsa, Algorithm::Wrap],
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => {
                &[Algorithm::RsaRaw, Algorithm::RsaPkcs1Sha256, Algorithm::Wrap]
            }
        }
    }

    /// Whether the public key is of this kind.
    pub(crate) fn is_of(self, key: &PublicKey) -> bool {
        match (self.spec(), key) {
            (chancery_driver::KeyAlgorithm::Ec(curve), PublicKey::Ec(key)) => {
                key.domain().curve() == Some(curve)
            }
            (chancery_driver::KeyAlgorithm::Rsa(bits), PublicKey::Rsa(key)) => {
                key.bits() == usize::from(bits)
            }
            _ => false,
        }
    }
}

impl SignatureAlgorithm {
    /// The token's algorithm.
    pub(crate) const fn on_card(self) -> Algorithm {
        match self {
            Self::EcdsaDigest => Algorithm::Ecdsa,
            Self::RsaPkcs1 => Algorithm::RsaRaw,
        }
    }
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for KeyAlgorithm {
    type Err = UnknownKeyAlgorithm;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == text)
            .ok_or_else(|| UnknownKeyAlgorithm {
                text: text.chars().take(32).collect(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        for algorithm in KeyAlgorithm::ALL {
            assert_eq!(algorithm.to_string().parse(), Ok(algorithm));
        }
        for bad in ["", "ec:p-256", "rsa:1024", "rsa:2048 ", "ed25519"] {
            assert!(bad.parse::<KeyAlgorithm>().is_err(), "{bad}");
        }
    }
}
