//! The key parameter template of GENERATE ASYMMETRIC KEY PAIR.

use chancery_iso7816::tlv::{Reader, Tlv, Writer};

use crate::algorithm::SignatureAlgorithm;
use crate::curve::Curve;
use crate::domain::EcDomain;
use crate::error::KeyError;
use crate::key::RsaPublicKey;
use crate::tags::{self, key as tag};

/// What kind of key a host asks a SmartCard-HSM to generate: a DO 7F49 without the public key itself.
///
/// EC: `06 algorithm, 81 p, 82 a, 83 b, 84 G, 85 n, 87 cofactor`. RSA: `06 algorithm, 82 exponent, 02 bits` with two
/// bytes for the bits; a template without exponent asks for 65537.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyParameters {
    /// An EC key on this curve.
    Ec {
        /// The algorithm the request names for the new key.
        algorithm: SignatureAlgorithm,
        /// The curve.
        domain: EcDomain,
    },
    /// An RSA key.
    Rsa {
        /// The algorithm the request names for the new key.
        algorithm: SignatureAlgorithm,
        /// Length of the modulus in bits.
        bits: u16,
        /// Public exponent, big endian without leading zeros.
        exponent: Vec<u8>,
    },
}

impl KeyParameters {
    /// An EC key, ECDSA with SHA-256.
    #[must_use]
    pub fn ec(curve: Curve) -> Self {
        Self::Ec {
            algorithm: SignatureAlgorithm::EcdsaSha256,
            domain: curve.into(),
        }
    }

    /// An RSA key with exponent 65537, PKCS#1 v1.5 with SHA-256.
    #[must_use]
    pub fn rsa(bits: u16) -> Self {
        Self::Rsa {
            algorithm: SignatureAlgorithm::RsaV15Sha256,
            bits,
            exponent: DEFAULT_EXPONENT.to_vec(),
        }
    }

    /// Reads a whole DO 7F49.
    ///
    /// # Errors
    /// [`KeyError`] for other bytes, unknown algorithms, unusable curves, and templates with a private key (8A).
    pub fn parse(bytes: &[u8]) -> Result<Self, KeyError> {
        let mut reader = Reader::new(bytes);
        let object = reader.expect(tags::PUBLIC_KEY).map_err(KeyError::Structure)?;
        reader.finish().map_err(KeyError::Structure)?;
        Self::parse_object(&object)
    }

    /// Reads a DO 7F49 already taken from a sequence of data objects.
    ///
    /// # Errors
    /// As [`KeyParameters::parse`].
    pub fn parse_object(object: &Tlv<'_>) -> Result<Self, KeyError> {
        let mut fields = object.children();
        let oid = fields.expect(tags::OID).map_err(KeyError::Structure)?;
        let algorithm = SignatureAlgorithm::from_oid(oid.value)?;
        if algorithm.is_rsa() {
            parse_rsa(algorithm, fields)
        } else {
            parse_ec(algorithm, fields)
        }
    }

    /// The whole DO 7F49.
    ///
    /// # Errors
    /// [`KeyError::CurveUnavailable`] when the crypto library was built without the curve.
    pub fn encode(&self) -> Result<Vec<u8>, KeyError> {
        let mut out = Writer::new();
        match self {
            Self::Ec { algorithm, domain } => {
                let parameters = domain.parameters()?;
                out.nested(tags::PUBLIC_KEY, |out| {
                    out.tlv(tags::OID, &algorithm.oid());
                    crate::key::write_domain(out, parameters);
                    if let Some(cofactor) = parameters.cofactor() {
                        out.tlv(tag::COFACTOR, cofactor);
                    }
                });
            }
            Self::Rsa {
                algorithm,
                bits,
                exponent,
            } => {
                out.nested(tags::PUBLIC_KEY, |out| {
                    out.tlv(tags::OID, &algorithm.oid())
                        .tlv(tag::A_OR_EXPONENT, exponent)
                        .tlv(tag::BITS, &bits.to_be_bytes());
                });
            }
        }
        Ok(out.finish())
    }
}

fn parse_ec(algorithm: SignatureAlgorithm, mut fields: Reader<'_>) -> Result<KeyParameters, KeyError> {
    let domain = crate::key::read_domain(&mut fields)
        .map_err(KeyError::Structure)?
        .ok_or(KeyError::NoDomain)?;
    let mut cofactor = None;
    while let Some(field) = fields.next().map_err(KeyError::Structure)? {
        match field.tag {
            tag::COFACTOR if cofactor.is_none() => cofactor = Some(field.value),
            PRIVATE_SCALAR => return Err(KeyError::PrivateKey),
            _ => {
                return Err(KeyError::Malformed {
                    what: "EC key template",
                });
            }
        }
    }
    Ok(KeyParameters::Ec {
        algorithm,
        domain: domain.into_domain(cofactor)?,
    })
}

fn parse_rsa(algorithm: SignatureAlgorithm, mut fields: Reader<'_>) -> Result<KeyParameters, KeyError> {
    // Hosts differ in order, and some leave the exponent out.
    let (mut bits, mut exponent) = (None, None);
    while let Some(field) = fields.next().map_err(KeyError::Structure)? {
        match field.tag {
            tag::BITS if bits.is_none() => bits = Some(field.value),
            tag::A_OR_EXPONENT if exponent.is_none() => exponent = Some(field.value),
            _ => {
                return Err(KeyError::Malformed {
                    what: "RSA key template",
                });
            }
        }
    }
    let malformed = |what| KeyError::Malformed { what };
    let bits: [u8; 2] = bits
        .ok_or_else(|| malformed("RSA key template"))
        .and_then(|bits| crate::domain::padded(bits, 2).ok_or_else(|| malformed("RSA key length")))?
        .try_into()
        .map_err(|_| malformed("RSA key length"))?;
    let bits = u16::from_be_bytes(bits);
    if !(RsaPublicKey::MIN_BITS..=RsaPublicKey::MAX_BITS).contains(&usize::from(bits)) {
        return Err(malformed("RSA key length"));
    }
    let exponent = crate::domain::significant(exponent.unwrap_or(&DEFAULT_EXPONENT));
    RsaPublicKey::check_exponent(exponent)?;
    Ok(KeyParameters::Rsa {
        algorithm,
        bits,
        exponent: exponent.to_vec(),
    })
}

const DEFAULT_EXPONENT: [u8; 3] = [0x01, 0x00, 0x01];
/// Development firmware took a private scalar here.
const PRIVATE_SCALAR: chancery_iso7816::tlv::Tag = chancery_iso7816::tlv::Tag(0x8A);

#[cfg(test)]
mod tests {
    use super::*;

    const ALGORITHM_EC: [u8; 12] = [
        0x06, 0x0A, 0x04, 0x00, 0x7F, 0x00, 0x07, 0x02, 0x02, 0x02, 0x02, 0x03,
    ];
    const ALGORITHM_RSA: [u8; 12] = [
        0x06, 0x0A, 0x04, 0x00, 0x7F, 0x00, 0x07, 0x02, 0x02, 0x02, 0x01, 0x02,
    ];

    fn template(parts: &[&[u8]]) -> Vec<u8> {
        let mut out = Writer::new();
        out.tlv(tags::PUBLIC_KEY, &parts.concat());
        out.finish()
    }

    #[test]
    fn rsa_2048_as_hosts_send_it() {
        let sent = template(&[
            &ALGORITHM_RSA,
            &[0x82, 0x03, 0x01, 0x00, 0x01],
            &[0x02, 0x02, 0x08, 0x00],
        ]);
        assert_eq!(sent[..4], [0x7F, 0x49, 0x15, 0x06]);
        assert_eq!(KeyParameters::rsa(2048).encode().unwrap(), sent);
        assert_eq!(KeyParameters::parse(&sent).unwrap(), KeyParameters::rsa(2048));
        // Another order, no exponent.
        let other = template(&[&ALGORITHM_RSA, &[0x02, 0x02, 0x08, 0x00]]);
        assert_eq!(KeyParameters::parse(&other).unwrap(), KeyParameters::rsa(2048));
        let other = template(&[
            &ALGORITHM_RSA,
            &[0x02, 0x02, 0x08, 0x00],
            &[0x82, 0x03, 0x01, 0x00, 0x01],
        ]);
        assert_eq!(KeyParameters::parse(&other).unwrap(), KeyParameters::rsa(2048));
    }

    #[test]
    fn p256_as_hosts_send_it() {
        let p256 = Curve::Secp256r1.parameters().unwrap();
        let sent = template(&[
            &ALGORITHM_EC,
            &[0x81, 0x20],
            p256.prime(),
            &[0x82, 0x20],
            p256.a(),
            &[0x83, 0x20],
            p256.b(),
            &[0x84, 0x41],
            p256.generator(),
            &[0x85, 0x20],
            p256.order(),
            &[0x87, 0x01, 0x01],
        ]);
        assert_eq!(sent[..5], [0x7F, 0x49, 0x81, 0xDA, 0x06]);
        assert_eq!(KeyParameters::ec(Curve::Secp256r1).encode().unwrap(), sent);
        assert_eq!(
            KeyParameters::parse(&sent).unwrap(),
            KeyParameters::ec(Curve::Secp256r1)
        );
    }

    #[test]
    fn every_curve_goes_there_and_back() {
        for curve in Curve::ALL {
            let parameters = KeyParameters::ec(curve);
            assert_eq!(
                KeyParameters::parse(&parameters.encode().unwrap()).unwrap(),
                parameters,
                "{curve}"
            );
        }
    }

    #[test]
    fn private_keys_and_odd_fields_are_refused() {
        let mut good = KeyParameters::ec(Curve::Secp256r1).encode().unwrap();
        let body = good.split_off(4);
        assert!(matches!(
            KeyParameters::parse(&template(&[&body, &[0x8A, 0x01, 0x07]])),
            Err(KeyError::PrivateKey)
        ));
        assert!(matches!(
            KeyParameters::parse(&template(&[&body, &[0x87, 0x01, 0x01]])),
            Err(KeyError::Malformed { .. })
        ));
        assert!(matches!(
            KeyParameters::parse(&template(&[&ALGORITHM_EC])),
            Err(KeyError::NoDomain)
        ));
        for bits in [&[][..], &[0x03, 0xFF], &[0x01, 0x00, 0x00], &[0x40, 0x00]] {
            let mut out = Writer::new();
            out.tlv(tag::BITS, bits);
            let sent = template(&[&ALGORITHM_RSA, &out.finish()]);
            assert!(KeyParameters::parse(&sent).is_err(), "{bits:?}");
        }
    }
}
