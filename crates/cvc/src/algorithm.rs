//! What a key signs with, as named by the object identifier of a public key.

use openssl::hash::MessageDigest;

use crate::error::KeyError;

/// Signature algorithm of a public key (reference: BSI TR-03110-3 A.6.4; identifiers under 0.4.0.127.0.7.2.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignatureAlgorithm {
    /// RSA PKCS#1 v1.5 with SHA-1.
    RsaV15Sha1,
    /// RSA PKCS#1 v1.5 with SHA-256.
    RsaV15Sha256,
    /// RSA PSS with SHA-1.
    RsaPssSha1,
    /// RSA PSS with SHA-256.
    RsaPssSha256,
    /// RSA PKCS#1 v1.5 with SHA-512.
    RsaV15Sha512,
    /// RSA PSS with SHA-512.
    RsaPssSha512,
    /// ECDSA with SHA-1.
    EcdsaSha1,
    /// ECDSA with SHA-224.
    EcdsaSha224,
    /// ECDSA with SHA-256.
    EcdsaSha256,
    /// ECDSA with SHA-384.
    EcdsaSha384,
    /// ECDSA with SHA-512.
    EcdsaSha512,
}

impl SignatureAlgorithm {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::RsaV15Sha1,
        Self::RsaV15Sha256,
        Self::RsaPssSha1,
        Self::RsaPssSha256,
        Self::RsaV15Sha512,
        Self::RsaPssSha512,
        Self::EcdsaSha1,
        Self::EcdsaSha224,
        Self::EcdsaSha256,
        Self::EcdsaSha384,
        Self::EcdsaSha512,
    ];

    /// Reads the content of an object identifier DO (tag 06 and length left out).
    ///
    /// # Errors
    /// [`KeyError::UnknownAlgorithm`] when it is none of these.
    pub fn from_oid(oid: &[u8]) -> Result<Self, KeyError> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.oid() == oid)
            .ok_or_else(|| KeyError::UnknownAlgorithm {
                oid: oid.iter().take(16).copied().collect(),
            })
    }

    /// The content of the object identifier DO.
    #[must_use]
    pub fn oid(self) -> [u8; 10] {
        let [family, variant] = match self {
            Self::RsaV15Sha1 => [1, 1],
            Self::RsaV15Sha256 => [1, 2],
            Self::RsaPssSha1 => [1, 3],
            Self::RsaPssSha256 => [1, 4],
            Self::RsaV15Sha512 => [1, 5],
            Self::RsaPssSha512 => [1, 6],
            Self::EcdsaSha1 => [2, 1],
            Self::EcdsaSha224 => [2, 2],
            Self::EcdsaSha256 => [2, 3],
            Self::EcdsaSha384 => [2, 4],
            Self::EcdsaSha512 => [2, 5],
        };
        [0x04, 0x00, 0x7F, 0x00, 0x07, 0x02, 0x02, 0x02, family, variant]
    }

    /// Whether keys of this algorithm are RSA keys; otherwise they are EC keys.
    #[must_use]
    pub fn is_rsa(self) -> bool {
        matches!(
            self,
            Self::RsaV15Sha1
                | Self::RsaV15Sha256
                | Self::RsaPssSha1
                | Self::RsaPssSha256
                | Self::RsaV15Sha512
                | Self::RsaPssSha512
        )
    }

    /// Whether the padding is PSS (salt as long as the hash, MGF1 with the same hash).
    #[must_use]
    pub fn is_pss(self) -> bool {
        matches!(self, Self::RsaPssSha1 | Self::RsaPssSha256 | Self::RsaPssSha512)
    }

    /// The hash function.
    #[must_use]
    pub fn digest(self) -> MessageDigest {
        match self {
            Self::RsaV15Sha1 | Self::RsaPssSha1 | Self::EcdsaSha1 => MessageDigest::sha1(),
            Self::EcdsaSha224 => MessageDigest::sha224(),
            Self::RsaV15Sha256 | Self::RsaPssSha256 | Self::EcdsaSha256 => MessageDigest::sha256(),
            Self::EcdsaSha384 => MessageDigest::sha384(),
            Self::RsaV15Sha512 | Self::RsaPssSha512 | Self::EcdsaSha512 => MessageDigest::sha512(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_identifiers_lead_back() {
        for algorithm in SignatureAlgorithm::ALL {
            assert_eq!(SignatureAlgorithm::from_oid(&algorithm.oid()).unwrap(), algorithm);
        }
        assert!(matches!(
            SignatureAlgorithm::from_oid(&[4, 0, 0x7F, 0, 7, 2, 2, 2, 2, 9]),
            Err(KeyError::UnknownAlgorithm { .. })
        ));
    }
}
