//! The keys a test makes.

use std::fmt;

use chancery_cvc::{Curve, PublicKey};
use chancery_driver::{Firmware, KeyAlgorithm};
use chancery_schsm::{Algorithm, KeyId};
use serde::{Deserialize, Serialize};

use super::verify;

/// Kind of key that is tested. Stored in journals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// NIST P-256.
    P256,
    /// NIST P-384.
    P384,
    /// NIST P-521.
    P521,
    /// brainpoolP256r1.
    Brainpool256,
    /// RSA, 2048 bits.
    Rsa2048,
    /// RSA, 3072 bits.
    Rsa3072,
    /// RSA, 4096 bits.
    Rsa4096,
}

impl Kind {
    /// What a firmware is tested with: every kind it should have, the slow ones only when asked for.
    #[must_use]
    pub fn of(firmware: Firmware, thorough: bool) -> Vec<Self> {
        let mut kinds = vec![Self::P256, Self::Brainpool256];
        if firmware.major >= 3 {
            kinds.extend([Self::P384, Self::P521]);
        }
        kinds.push(Self::Rsa2048);
        if thorough && firmware.major >= 3 {
            kinds.extend([Self::Rsa3072, Self::Rsa4096]);
        }
        kinds
    }

    /// What to ask the token for.
    #[must_use]
    pub const fn algorithm(self) -> KeyAlgorithm {
        match self {
            Self::P256 => KeyAlgorithm::Ec(Curve::Secp256r1),
            Self::P384 => KeyAlgorithm::Ec(Curve::Secp384r1),
            Self::P521 => KeyAlgorithm::Ec(Curve::Secp521r1),
            Self::Brainpool256 => KeyAlgorithm::Ec(Curve::BrainpoolP256r1),
            Self::Rsa2048 => KeyAlgorithm::Rsa(2048),
            Self::Rsa3072 => KeyAlgorithm::Rsa(3072),
            Self::Rsa4096 => KeyAlgorithm::Rsa(4096),
        }
    }

    /// Ways to sign with it.
    #[must_use]
    pub const fn signatures(self) -> &'static [Algorithm] {
        match self.algorithm() {
            KeyAlgorithm::Ec(_) => &verify::EC,
            KeyAlgorithm::Rsa(_) => &verify::RSA,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.algorithm() {
            KeyAlgorithm::Ec(curve) => write!(f, "{curve}"),
            KeyAlgorithm::Rsa(bits) => write!(f, "RSA-{bits}"),
        }
    }
}

/// A key made for the test.
#[derive(Clone, Debug)]
pub struct TestKey {
    /// Where it stands.
    pub id: KeyId,
    /// What it is.
    pub kind: Kind,
    /// Its public key, proven to be generated in the token where the chain allows it.
    pub public_key: PublicKey,
}
