//! Public keys, as certificates, requests and attributes hold them.

use chancery_iso7816::tlv::{Reader, Tag, TlvError, Writer};

use crate::curve::Curve;

/// A public key of a kind this module uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicKey {
    /// RSA.
    Rsa {
        /// Big endian, without leading zeros.
        modulus: Vec<u8>,
        /// Big endian, without leading zeros.
        exponent: Vec<u8>,
    },
    /// On a named curve.
    Ec {
        /// The curve.
        curve: &'static Curve,
        /// Uncompressed: 04 | x | y.
        point: Vec<u8>,
    },
}

const SEQUENCE: Tag = Tag(0x30);
const INTEGER: Tag = Tag(0x02);
const BIT_STRING: Tag = Tag(0x03);
const OCTET_STRING: Tag = Tag(0x04);
const OBJECT_ID: Tag = Tag(0x06);

/// rsaEncryption (RFC 8017 A.1), with its tag and the NULL after it.
const RSA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
/// id-ecPublicKey (RFC 5480 2.1.1), with its tag.
const EC: &[u8] = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01";

impl PublicKey {
    /// Bits of the modulus or of the field.
    #[must_use]
    pub fn bits(&self) -> usize {
        match self {
            Self::Rsa { modulus, .. } => modulus
                .first()
                .map_or(0, |first| modulus.len() * 8 - first.leading_zeros() as usize),
            Self::Ec { curve, .. } => usize::from(curve.bits),
        }
    }

    /// Length of a signature as PKCS#11 gives it, in bytes.
    #[must_use]
    pub fn signature_length(&self) -> usize {
        match self {
            Self::Rsa { modulus, .. } => modulus.len(),
            Self::Ec { curve, .. } => 2 * curve.length(),
        }
    }

    /// Reads a SubjectPublicKeyInfo (RFC 5280 4.1.2.7), DER; `None` when it is none, or of another kind.
    #[must_use]
    pub fn from_spki(der: &[u8]) -> Option<Self> {
        Self::read_spki(der).ok().flatten()
    }

    /// As a SubjectPublicKeyInfo, DER.
    #[must_use]
    pub fn to_spki(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.nested(SEQUENCE, |info| match self {
            Self::Rsa { modulus, exponent } => {
                let mut key = Writer::new();
                key.nested(SEQUENCE, |key| {
                    key.tlv(INTEGER, &unsigned(modulus))
                        .tlv(INTEGER, &unsigned(exponent));
                });
                info.nested(SEQUENCE, |algorithm| {
                    algorithm.raw(RSA);
                });
                info.tlv(BIT_STRING, &[&[0], key.finish().as_slice()].concat());
            }
            Self::Ec { curve, point } => {
                info.nested(SEQUENCE, |algorithm| {
                    algorithm.raw(EC).raw(curve.oid);
                });
                info.tlv(BIT_STRING, &[&[0], point.as_slice()].concat());
            }
        });
        out.finish()
    }

    /// `CKA_EC_POINT`: the point in an OCTET STRING. `None` of an RSA key.
    #[must_use]
    pub fn ec_point(&self) -> Option<Vec<u8>> {
        let Self::Ec { point, .. } = self else {
            return None;
        };
        let mut out = Writer::new();
        out.tlv(OCTET_STRING, point);
        Some(out.finish())
    }

    /// Reads the authenticated request a token makes of a new key (`67 { 7F21 { 7F4E { .. 7F49 .. } } .. }`), or a card
    /// verifiable certificate; `None` when it is neither.
    #[must_use]
    pub fn from_card_verifiable(bytes: &[u8]) -> Option<Self> {
        Self::read_card_verifiable(bytes).ok().flatten()
    }

    fn read_spki(der: &[u8]) -> Result<Option<Self>, TlvError> {
        let mut info = Reader::new(der).expect(SEQUENCE)?.children();
        let algorithm = info.expect(SEQUENCE)?;
        let Some((0, bits)) = info.expect(BIT_STRING)?.value.split_first() else {
            return Ok(None);
        };
        if algorithm.value == RSA {
            let mut key = Reader::new(bits).expect(SEQUENCE)?.children();
            let modulus = trimmed(key.expect(INTEGER)?.value);
            let exponent = trimmed(key.expect(INTEGER)?.value);
            return Ok(Self::rsa(modulus, exponent));
        }
        let key = algorithm
            .value
            .strip_prefix(EC)
            .and_then(Curve::of_params)
            .filter(|curve| curve.is_point(bits))
            .map(|curve| Self::Ec {
                curve,
                point: bits.to_vec(),
            });
        Ok(key)
    }

    fn read_card_verifiable(bytes: &[u8]) -> Result<Option<Self>, TlvError> {
        let Some(mut outer) = Reader::new(bytes).next()? else {
            return Ok(None);
        };
        if outer.tag == Tag(0x67) {
            outer = outer.children().expect(Tag(0x7F21))?;
        }
        if outer.tag != Tag(0x7F21) {
            return Ok(None);
        }
        let mut body = outer.children().expect(Tag(0x7F4E))?.children();
        let key = loop {
            match body.next()? {
                Some(part) if part.tag == Tag(0x7F49) => break part,
                Some(_) => {}
                None => return Ok(None),
            }
        };
        let mut fields = key.children();
        let mut parts: [Option<&[u8]>; 8] = [None; 8];
        while let Some(field) = fields.next()? {
            if let Some(part) = field
                .tag
                .0
                .checked_sub(0x80)
                .and_then(|index| parts.get_mut(usize::try_from(index).ok()?))
            {
                *part = Some(field.value);
            }
        }
        Ok(match parts {
            // 81 modulus, 82 exponent
            [_, Some(modulus), Some(exponent), None, None, None, ..] => {
                Self::rsa(trimmed(modulus), trimmed(exponent))
            }
            // 81 prime, 84 base point, 86 public point
            [_, Some(prime), _, _, Some(base), _, Some(point), _] => Curve::of_domain(prime, base)
                .filter(|curve| curve.is_point(point))
                .map(|curve| Self::Ec {
                    curve,
                    point: point.to_vec(),
                }),
            _ => None,
        })
    }

    fn rsa(modulus: &[u8], exponent: &[u8]) -> Option<Self> {
        (!modulus.is_empty() && !exponent.is_empty()).then(|| Self::Rsa {
            modulus: modulus.to_vec(),
            exponent: exponent.to_vec(),
        })
    }
}

/// The parts of an X.509 certificate that attributes show, each as it stands in the certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateParts<'a> {
    /// Serial number, DER INTEGER with its tag.
    pub serial: &'a [u8],
    /// Issuer, DER Name with its tag.
    pub issuer: &'a [u8],
    /// Subject, DER Name with its tag.
    pub subject: &'a [u8],
    /// SubjectPublicKeyInfo, DER with its tag.
    pub public_key: &'a [u8],
    /// The whole certificate, without what may follow it in a file.
    pub whole: &'a [u8],
}

impl<'a> CertificateParts<'a> {
    /// Reads a certificate (RFC 5280 4.1), DER; bytes after it are left out. `None` when it is none.
    #[must_use]
    pub fn read(der: &'a [u8]) -> Option<Self> {
        Self::parse(der).ok()
    }

    fn parse(der: &'a [u8]) -> Result<Self, TlvError> {
        let certificate = Reader::new(der).expect(SEQUENCE)?;
        let mut fields = certificate.children().expect(SEQUENCE)?.children();
        fields.optional(Tag(0xA0))?;
        let serial = fields.expect(INTEGER)?.raw;
        fields.expect(SEQUENCE)?;
        let issuer = fields.expect(SEQUENCE)?.raw;
        fields.expect(SEQUENCE)?;
        let subject = fields.expect(SEQUENCE)?.raw;
        let public_key = fields.expect(SEQUENCE)?.raw;
        Ok(Self {
            serial,
            issuer,
            subject,
            public_key,
            whole: certificate.raw,
        })
    }
}

/// An ECDSA signature as PKCS#11 gives it, r | s, each `length` bytes, from its DER form (RFC 3279 2.2.3). Superfluous leading
/// zeros are dropped, as some tokens write them. `None` when it is no signature, or too long.
#[must_use]
pub fn plain_signature(der: &[u8], length: usize) -> Option<Vec<u8>> {
    let read = || -> Result<(&[u8], &[u8]), TlvError> {
        let mut numbers = Reader::new(der).expect(SEQUENCE)?.children();
        let r = numbers.expect(INTEGER)?.value;
        let s = numbers.expect(INTEGER)?.value;
        numbers.finish()?;
        Ok((trimmed(r), trimmed(s)))
    };
    let (r, s) = read().ok()?;
    let mut plain = Vec::with_capacity(2 * length);
    for number in [r, s] {
        let zeros = length.checked_sub(number.len())?;
        plain.resize(plain.len() + zeros, 0);
        plain.extend_from_slice(number);
    }
    Some(plain)
}

/// The object identifier of a curve in a DER encoding that may hold something else.
#[must_use]
pub fn is_object_identifier(der: &[u8]) -> bool {
    let mut reader = Reader::new(der);
    reader.expect(OBJECT_ID).is_ok() && reader.is_empty()
}

fn trimmed(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// The value of an INTEGER that is not negative.
fn unsigned(number: &[u8]) -> Vec<u8> {
    let number = trimmed(number);
    match number.first() {
        Some(first) if first & 0x80 == 0 => number.to_vec(),
        _ => [&[0], number].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::curve::CURVES;

    #[test]
    fn keys_are_read_as_they_are_written() {
        let rsa = PublicKey::Rsa {
            modulus: vec![0x9A; 256],
            exponent: vec![1, 0, 1],
        };
        assert_eq!(rsa.bits(), 2048);
        assert_eq!(PublicKey::from_spki(&rsa.to_spki()), Some(rsa));
        for curve in CURVES {
            let point = [&[4], vec![7; 2 * curve.length()].as_slice()].concat();
            let key = PublicKey::Ec { curve, point };
            assert_eq!(PublicKey::from_spki(&key.to_spki()), Some(key.clone()));
            assert_eq!(key.signature_length(), 2 * curve.length());
        }
        assert_eq!(PublicKey::from_spki(b"\x30\x00"), None);
    }

    #[test]
    fn signatures_become_plain() {
        let der = b"\x30\x08\x02\x02\x00\x81\x02\x02\x00\x05";
        assert_eq!(plain_signature(der, 2).as_deref(), Some(&b"\x00\x81\x00\x05"[..]));
        assert_eq!(
            plain_signature(b"\x30\x08\x02\x02\x01\x81\x02\x02\x00\x05", 1),
            None
        );
        assert_eq!(plain_signature(&der[..8], 2), None);
        assert_eq!(plain_signature(b"", 2), None);
    }
}
