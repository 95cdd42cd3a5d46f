//! Signature algorithms a certificate or CRL can carry.

use core::fmt;

use der::Encode;
use der::asn1::{AnyRef, ObjectIdentifier};
use spki::AlgorithmIdentifierRef;

use crate::element::Element;
use crate::key::{Curve, KeyKind};
use crate::oid;

/// A signature algorithm with its parameters (RFC 4055, RFC 5758, RFC 8410).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignatureAlgorithm {
    /// ECDSA over SHA-256, signature as DER `Ecdsa-Sig-Value`.
    EcdsaSha256,
    /// ECDSA over SHA-384.
    EcdsaSha384,
    /// ECDSA over SHA-512.
    EcdsaSha512,
    /// RSASSA-PKCS1-v1_5 over SHA-256.
    RsaPkcs1Sha256,
    /// RSASSA-PKCS1-v1_5 over SHA-384; read, never chosen for new certificates.
    RsaPkcs1Sha384,
    /// RSASSA-PKCS1-v1_5 over SHA-512; read, never chosen for new certificates.
    RsaPkcs1Sha512,
    /// Ed25519: signs the message itself.
    Ed25519,
}

/// The hash whose value is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Digest {
    /// SHA-256, 32 octets.
    Sha256,
    /// SHA-384, 48 octets.
    Sha384,
    /// SHA-512, 64 octets.
    Sha512,
}

impl SignatureAlgorithm {
    /// The algorithm a key of this kind signs certificates with: the hash matches the curve's size, RSA uses
    /// PKCS #1 v1.5 with SHA-256.
    #[must_use]
    pub fn for_key(kind: KeyKind) -> Self {
        match kind {
            KeyKind::Ec(Curve::P256 | Curve::BrainpoolP256r1 | Curve::Secp256k1) => Self::EcdsaSha256,
            KeyKind::Ec(Curve::P384 | Curve::BrainpoolP384r1) => Self::EcdsaSha384,
            KeyKind::Ec(Curve::P521 | Curve::BrainpoolP512r1) => Self::EcdsaSha512,
            KeyKind::Rsa { .. } => Self::RsaPkcs1Sha256,
            KeyKind::Ed25519 => Self::Ed25519,
        }
    }

    /// The hash to apply before signing; nothing for Ed25519.
    #[must_use]
    pub fn digest(self) -> Option<Digest> {
        match self {
            Self::EcdsaSha256 | Self::RsaPkcs1Sha256 => Some(Digest::Sha256),
            Self::EcdsaSha384 | Self::RsaPkcs1Sha384 => Some(Digest::Sha384),
            Self::EcdsaSha512 | Self::RsaPkcs1Sha512 => Some(Digest::Sha512),
            Self::Ed25519 => None,
        }
    }

    /// Whether the algorithm belongs to keys of this kind.
    #[must_use]
    pub fn fits(self, kind: KeyKind) -> bool {
        match self {
            Self::EcdsaSha256 | Self::EcdsaSha384 | Self::EcdsaSha512 => matches!(kind, KeyKind::Ec(_)),
            Self::RsaPkcs1Sha256 | Self::RsaPkcs1Sha384 | Self::RsaPkcs1Sha512 => {
                matches!(kind, KeyKind::Rsa { .. })
            }
            Self::Ed25519 => kind == KeyKind::Ed25519,
        }
    }

    pub(crate) fn identifier(self) -> AlgorithmIdentifierRef<'static> {
        let parameters = match self {
            Self::RsaPkcs1Sha256 | Self::RsaPkcs1Sha384 | Self::RsaPkcs1Sha512 => Some(AnyRef::NULL),
            _ => None,
        };
        AlgorithmIdentifierRef {
            oid: self.oid(),
            parameters,
        }
    }

    /// DER `AlgorithmIdentifier` (RFC 5280 4.1.1.2).
    ///
    /// # Errors
    /// None in practice: the encoder's own error type.
    pub fn to_der(self) -> der::Result<Vec<u8>> {
        self.identifier().to_der()
    }

    /// Reads an `AlgorithmIdentifier`; nothing for one that is unknown or has wrong parameters.
    pub(crate) fn from_element(element: &Element<'_>) -> Option<Self> {
        let identifier: AlgorithmIdentifierRef<'_> = element.decode().ok()?;
        ALL.into_iter()
            .find(|algorithm| algorithm.identifier() == identifier)
    }

    fn oid(self) -> ObjectIdentifier {
        match self {
            Self::EcdsaSha256 => oid::ECDSA_SHA256,
            Self::EcdsaSha384 => oid::ECDSA_SHA384,
            Self::EcdsaSha512 => oid::ECDSA_SHA512,
            Self::RsaPkcs1Sha256 => oid::RSA_SHA256,
            Self::RsaPkcs1Sha384 => oid::RSA_SHA384,
            Self::RsaPkcs1Sha512 => oid::RSA_SHA512,
            Self::Ed25519 => oid::ED25519,
        }
    }
}

impl fmt::Display for SignatureAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EcdsaSha256 => "ECDSA with SHA-256",
            Self::EcdsaSha384 => "ECDSA with SHA-384",
            Self::EcdsaSha512 => "ECDSA with SHA-512",
            Self::RsaPkcs1Sha256 => "RSA PKCS #1 v1.5 with SHA-256",
            Self::RsaPkcs1Sha384 => "RSA PKCS #1 v1.5 with SHA-384",
            Self::RsaPkcs1Sha512 => "RSA PKCS #1 v1.5 with SHA-512",
            Self::Ed25519 => "Ed25519",
        })
    }
}

const ALL: [SignatureAlgorithm; 7] = [
    SignatureAlgorithm::EcdsaSha256,
    SignatureAlgorithm::EcdsaSha384,
    SignatureAlgorithm::EcdsaSha512,
    SignatureAlgorithm::RsaPkcs1Sha256,
    SignatureAlgorithm::RsaPkcs1Sha384,
    SignatureAlgorithm::RsaPkcs1Sha512,
    SignatureAlgorithm::Ed25519,
];
