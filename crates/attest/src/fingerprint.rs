//! What names a public key.

use std::fmt;

use chancery_cvc::{DomainParameters, PublicKey};
use sha2::{Digest as _, Sha256};

/// SHA-256 of a public key: of its `SubjectPublicKeyInfo` where X.509 has one, as `openssl pkey -pubin -outform DER |
/// sha256sum` shows it.
///
/// A key on a curve without a name has none; its domain parameters and point are hashed instead, after a word that no
/// `SubjectPublicKeyInfo` starts with.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyFingerprint([u8; 32]);

impl KeyFingerprint {
    /// Of this key.
    #[must_use]
    pub fn of(key: &PublicKey) -> Self {
        let mut digest = Sha256::new();
        match (key.to_spki_der(), key) {
            (Ok(spki), _) => digest.update(spki),
            (Err(_), PublicKey::Ec(key)) => {
                digest.update(b"explicit");
                let parameters = key.domain().parameters().ok();
                let numbers = parameters.map_or([&[][..]; 5], numbers);
                for number in numbers.into_iter().chain([key.point()]) {
                    digest.update(number.len().to_be_bytes());
                    digest.update(number);
                }
            }
            (Err(_), PublicKey::EcPointOnly(point)) => {
                digest.update(b"point");
                digest.update(point);
            }
            (Err(_), PublicKey::Rsa(key)) => {
                digest.update(b"rsa");
                for number in [key.modulus(), key.exponent()] {
                    digest.update(number.len().to_be_bytes());
                    digest.update(number);
                }
            }
        }
        Self(digest.finalize().into())
    }

    /// The first 16 hexadecimal digits: enough to tell the keys of one owner apart, not to prove anything.
    #[must_use]
    pub fn short(&self) -> String {
        hex::encode(self.0.get(..8).unwrap_or_default())
    }
}

impl fmt::Display for KeyFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for KeyFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyFingerprint({self})")
    }
}

fn numbers(parameters: &DomainParameters) -> [&[u8]; 5] {
    [
        parameters.prime(),
        parameters.a(),
        parameters.b(),
        parameters.generator(),
        parameters.order(),
    ]
}
