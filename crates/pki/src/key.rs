//! Public keys: reading `SubjectPublicKeyInfo` (RFC 5280 4.1.2.7) and refusing weak ones.

use core::fmt;

use der::Tag;
use der::asn1::ObjectIdentifier;
use openssl::bn::BigNumContext;
use openssl::ec::{EcGroup, EcPoint};
use openssl::nid::Nid;
use sha1::{Digest as _, Sha1};
use thiserror::Error;

use crate::element::{Element, exactly, unsigned};
use crate::{oid, weak};

/// Smallest RSA modulus accepted, in bits.
pub(crate) const RSA_MIN_BITS: u32 = 2048;
/// Largest RSA modulus accepted, in bits: larger ones only cost verifiers time.
pub(crate) const RSA_MAX_BITS: u32 = 8192;
/// Smallest RSA public exponent accepted.
const RSA_MIN_EXPONENT: u64 = 65_537;

/// A named curve (RFC 5480 2.1.1.1, RFC 5639).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Curve {
    /// secp256r1.
    P256,
    /// secp384r1.
    P384,
    /// secp521r1.
    P521,
    /// brainpoolP256r1.
    BrainpoolP256r1,
    /// brainpoolP384r1.
    BrainpoolP384r1,
    /// brainpoolP512r1.
    BrainpoolP512r1,
    /// secp256k1.
    Secp256k1,
}

/// The kind and size of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// A key on a named curve.
    Ec(Curve),
    /// RSA with a modulus of this many bits.
    Rsa {
        /// Modulus length in bits.
        bits: u32,
    },
    /// Ed25519 (RFC 8410).
    Ed25519,
}

/// Why a public key is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// Not a DER `SubjectPublicKeyInfo`.
    #[error("the public key is not readable")]
    Malformed(#[source] der::Error),
    /// An algorithm we do not certify.
    #[error("keys of algorithm {oid} are not supported")]
    UnsupportedAlgorithm {
        /// The algorithm's object identifier.
        oid: ObjectIdentifier,
    },
    /// A curve that is unknown, too small or not trusted.
    #[error("the curve {oid} is not allowed")]
    CurveNotAllowed {
        /// The curve's object identifier.
        oid: ObjectIdentifier,
    },
    /// Curve parameters written out instead of a name (forbidden by RFC 5480 2.1.1).
    #[error("the key describes its curve by numbers instead of naming it")]
    ExplicitCurve,
    /// The point at infinity.
    #[error("the key is the point at infinity")]
    PointAtInfinity,
    /// A compressed or hybrid point.
    #[error("the key's point is not in uncompressed form")]
    PointNotUncompressed,
    /// A point of the wrong length or not on its curve.
    #[error("the key's point is not on the curve {curve}")]
    PointOffCurve {
        /// The curve the key names.
        curve: Curve,
    },
    /// An RSA modulus below 2048 bits.
    #[error("the RSA key has {bits} bits, at least {limit} are required")]
    RsaTooSmall {
        /// Modulus length in bits.
        bits: u32,
        /// The limit in bits.
        limit: u32,
    },
    /// An RSA modulus above 8192 bits.
    #[error("the RSA key has {bits} bits, at most {limit} are accepted")]
    RsaTooLarge {
        /// Modulus length in bits.
        bits: u32,
        /// The limit in bits.
        limit: u32,
    },
    /// A public exponent below 65537.
    #[error("the RSA public exponent is {exponent}, at least 65537 is required")]
    RsaExponentTooSmall {
        /// The exponent.
        exponent: u64,
    },
    /// A public exponent over 64 bits.
    #[error("the RSA public exponent has more than 64 bits")]
    RsaExponentTooLarge,
    /// An even public exponent cannot belong to an RSA key.
    #[error("the RSA public exponent is even")]
    RsaExponentEven,
    /// The modulus has a small prime factor.
    #[error("the RSA modulus is divisible by {factor}")]
    RsaSmallFactor {
        /// The factor.
        factor: u32,
    },
    /// The modulus has the fingerprint of CVE-2017-15361.
    #[error("the RSA key was made by a generator whose keys can be factored (ROCA, CVE-2017-15361)")]
    Roca,
}

impl KeyError {
    /// What the requester can do about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "make the request again with a current tool",
            Self::UnsupportedAlgorithm { .. } => "use an EC key on P-256, P-384 or P-521, RSA, or Ed25519",
            Self::CurveNotAllowed { .. } => {
                "use P-256, P-384, P-521, a brainpool r1 curve of 256, 384 or 512 bits, or secp256k1"
            }
            Self::ExplicitCurve => {
                "make the key with a named curve (openssl: -pkeyopt ec_param_enc:named_curve)"
            }
            Self::PointAtInfinity | Self::PointOffCurve { .. } => {
                "make a new key: this one is not a valid key"
            }
            Self::PointNotUncompressed => {
                "write the key's point uncompressed (openssl: -conv_form uncompressed)"
            }
            Self::RsaTooSmall { .. } => "make a new RSA key of 3072 bits, or an EC key",
            Self::RsaTooLarge { .. } => "make a new RSA key of 3072 or 4096 bits, or an EC key",
            Self::RsaExponentTooSmall { .. } | Self::RsaExponentTooLarge | Self::RsaExponentEven => {
                "make a new RSA key with public exponent 65537"
            }
            Self::RsaSmallFactor { .. } => "make a new key with a working key generator",
            Self::Roca => "make a new key outside of the affected device, and replace other keys made on it",
        }
    }
}

/// A public key that passed all checks, with its exact `SubjectPublicKeyInfo` bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PublicKey {
    spki: Vec<u8>,
    bits: Vec<u8>,
    kind: KeyKind,
    key_id: [u8; 20],
}

impl PublicKey {
    /// Reads a DER `SubjectPublicKeyInfo` and refuses keys that are weak, malformed or not supported.
    ///
    /// # Errors
    /// [`KeyError`] names the first check that failed.
    pub fn from_spki(spki: &[u8]) -> Result<Self, KeyError> {
        let shape = Shape::read(spki)?;
        shape.check()?;
        Ok(Self {
            spki: spki.to_vec(),
            bits: shape.bits.to_vec(),
            kind: shape.kind,
            key_id: shape.key_id(),
        })
    }

    /// The DER `SubjectPublicKeyInfo`.
    #[must_use]
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The content of `subjectPublicKey`: an uncompressed point, an `RSAPublicKey`, or 32 octets of Ed25519.
    #[must_use]
    pub fn key_bits(&self) -> &[u8] {
        &self.bits
    }

    /// Kind and size.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// SHA-1 of the key bits: the subject key identifier of RFC 5280 4.2.1.2, method 1. It is a name for the
    /// key, not a security measure.
    #[must_use]
    pub fn key_id(&self) -> [u8; 20] {
        self.key_id
    }
}

/// The parts of a `SubjectPublicKeyInfo`, structure checked, strength not.
pub(crate) struct Shape<'a> {
    pub(crate) kind: KeyKind,
    pub(crate) bits: &'a [u8],
    numbers: Numbers<'a>,
}

enum Numbers<'a> {
    Point,
    Rsa { modulus: &'a [u8], exponent: &'a [u8] },
    Ed25519,
}

impl<'a> Shape<'a> {
    pub(crate) fn read(spki: &'a [u8]) -> Result<Self, KeyError> {
        let malformed = KeyError::Malformed;
        let [algorithm, key] = Element::parse(spki)
            .and_then(|e| e.sequence())
            .and_then(exactly)
            .map_err(malformed)?;
        let bits = key.octets_of_bit_string().map_err(malformed)?;
        let mut parts = algorithm.sequence().map_err(malformed)?.into_iter();
        let missing = || KeyError::Malformed(Tag::ObjectIdentifier.length_error().into());
        let oid = parts.next().ok_or_else(missing)?.oid().map_err(malformed)?;
        let parameters = parts.next();
        if parts.next().is_some() {
            return Err(missing());
        }
        let wrong_parameters = || KeyError::Malformed(Tag::Null.value_error().into());
        match (oid, parameters) {
            (oid::EC, Some(curve)) if curve.tag == Tag::ObjectIdentifier => {
                let oid = curve.oid().map_err(malformed)?;
                let curve = Curve::from_oid(oid).ok_or(KeyError::CurveNotAllowed { oid })?;
                Ok(Self {
                    kind: KeyKind::Ec(curve),
                    bits,
                    numbers: Numbers::Point,
                })
            }
            (oid::EC, _) => Err(KeyError::ExplicitCurve),
            (oid::RSA, Some(null)) if null.raw == [5, 0] => {
                let [modulus, exponent] = Element::parse(bits)
                    .and_then(|e| e.sequence())
                    .and_then(exactly)
                    .map_err(malformed)?;
                let modulus = unsigned(&modulus).map_err(malformed)?;
                let exponent = unsigned(&exponent).map_err(malformed)?;
                let kind = KeyKind::Rsa {
                    bits: bit_length(modulus),
                };
                Ok(Self {
                    kind,
                    bits,
                    numbers: Numbers::Rsa { modulus, exponent },
                })
            }
            (oid::RSA, _) => Err(wrong_parameters()),
            (oid::ED25519, None) => Ok(Self {
                kind: KeyKind::Ed25519,
                bits,
                numbers: Numbers::Ed25519,
            }),
            (oid::ED25519, Some(_)) => Err(wrong_parameters()),
            (oid, _) => Err(KeyError::UnsupportedAlgorithm { oid }),
        }
    }

    pub(crate) fn key_id(&self) -> [u8; 20] {
        Sha1::digest(self.bits).into()
    }

    fn check(&self) -> Result<(), KeyError> {
        match (self.kind, &self.numbers) {
            (KeyKind::Ec(curve), _) => check_point(curve, self.bits),
            (KeyKind::Rsa { bits }, Numbers::Rsa { modulus, exponent }) => check_rsa(bits, modulus, exponent),
            (KeyKind::Ed25519, _) if self.bits.len() == 32 => Ok(()),
            _ => Err(KeyError::Malformed(Tag::BitString.length_error().into())),
        }
    }
}

impl Curve {
    /// Length of a field element in octets.
    #[must_use]
    pub fn field_octets(self) -> usize {
        match self {
            Self::P256 | Self::BrainpoolP256r1 | Self::Secp256k1 => 32,
            Self::P384 | Self::BrainpoolP384r1 => 48,
            Self::BrainpoolP512r1 => 64,
            Self::P521 => 66,
        }
    }

    /// The curve's object identifier.
    #[must_use]
    pub fn oid(self) -> ObjectIdentifier {
        let (_, oid, _) = self.row();
        oid
    }

    fn from_oid(oid: ObjectIdentifier) -> Option<Self> {
        CURVES.iter().map(|row| row.0).find(|curve| curve.oid() == oid)
    }

    fn nid(self) -> Nid {
        let (_, _, nid) = self.row();
        nid
    }

    fn row(self) -> (Self, ObjectIdentifier, Nid) {
        match self {
            Self::P256 => CURVES[0],
            Self::P384 => CURVES[1],
            Self::P521 => CURVES[2],
            Self::BrainpoolP256r1 => CURVES[3],
            Self::BrainpoolP384r1 => CURVES[4],
            Self::BrainpoolP512r1 => CURVES[5],
            Self::Secp256k1 => CURVES[6],
        }
    }
}

impl fmt::Display for Curve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
            Self::BrainpoolP256r1 => "brainpoolP256r1",
            Self::BrainpoolP384r1 => "brainpoolP384r1",
            Self::BrainpoolP512r1 => "brainpoolP512r1",
            Self::Secp256k1 => "secp256k1",
        })
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ec(curve) => write!(f, "EC {curve}"),
            Self::Rsa { bits } => write!(f, "RSA {bits}"),
            Self::Ed25519 => f.write_str("Ed25519"),
        }
    }
}

fn check_point(curve: Curve, point: &[u8]) -> Result<(), KeyError> {
    let off_curve = KeyError::PointOffCurve { curve };
    match point.first() {
        Some(0) => return Err(KeyError::PointAtInfinity),
        Some(4) if point.len() == 1 + 2 * curve.field_octets() => {}
        Some(2 | 3 | 6 | 7) => return Err(KeyError::PointNotUncompressed),
        _ => return Err(off_curve),
    }
    // The curve equation is checked by OpenSSL when it reads the point.
    let on_curve = || -> Result<bool, openssl::error::ErrorStack> {
        let group = EcGroup::from_curve_name(curve.nid())?;
        let mut context = BigNumContext::new()?;
        let point = EcPoint::from_bytes(&group, point, &mut context)?;
        Ok(point.is_on_curve(&group, &mut context)? && !point.is_infinity(&group))
    };
    if on_curve().unwrap_or(false) {
        Ok(())
    } else {
        Err(off_curve)
    }
}

fn check_rsa(bits: u32, modulus: &[u8], exponent: &[u8]) -> Result<(), KeyError> {
    if bits < RSA_MIN_BITS {
        return Err(KeyError::RsaTooSmall {
            bits,
            limit: RSA_MIN_BITS,
        });
    }
    if bits > RSA_MAX_BITS {
        return Err(KeyError::RsaTooLarge {
            bits,
            limit: RSA_MAX_BITS,
        });
    }
    if exponent.len() > 8 {
        return Err(KeyError::RsaExponentTooLarge);
    }
    let exponent = exponent
        .iter()
        .fold(0u64, |value, &octet| value << 8 | u64::from(octet));
    if exponent < RSA_MIN_EXPONENT {
        return Err(KeyError::RsaExponentTooSmall { exponent });
    }
    if exponent & 1 == 0 {
        return Err(KeyError::RsaExponentEven);
    }
    if let Some(factor) = weak::small_factor(modulus) {
        return Err(KeyError::RsaSmallFactor { factor });
    }
    if weak::is_roca(modulus) {
        return Err(KeyError::Roca);
    }
    Ok(())
}

fn bit_length(magnitude: &[u8]) -> u32 {
    let octets = u32::try_from(magnitude.len()).unwrap_or(u32::MAX);
    let unused = magnitude.first().map_or(0, |first| first.leading_zeros());
    octets.saturating_mul(8).saturating_sub(unused)
}

const CURVES: [(Curve, ObjectIdentifier, Nid); 7] = [
    (
        Curve::P256,
        ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7"),
        Nid::X9_62_PRIME256V1,
    ),
    (
        Curve::P384,
        ObjectIdentifier::new_unwrap("1.3.132.0.34"),
        Nid::SECP384R1,
    ),
    (
        Curve::P521,
        ObjectIdentifier::new_unwrap("1.3.132.0.35"),
        Nid::SECP521R1,
    ),
    (
        Curve::BrainpoolP256r1,
        ObjectIdentifier::new_unwrap("1.3.36.3.3.2.8.1.1.7"),
        Nid::BRAINPOOL_P256R1,
    ),
    (
        Curve::BrainpoolP384r1,
        ObjectIdentifier::new_unwrap("1.3.36.3.3.2.8.1.1.11"),
        Nid::BRAINPOOL_P384R1,
    ),
    (
        Curve::BrainpoolP512r1,
        ObjectIdentifier::new_unwrap("1.3.36.3.3.2.8.1.1.13"),
        Nid::BRAINPOOL_P512R1,
    ),
    (
        Curve::Secp256k1,
        ObjectIdentifier::new_unwrap("1.3.132.0.10"),
        Nid::SECP256K1,
    ),
];
