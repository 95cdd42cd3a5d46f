//! The named curves the token makes keys on, and their domain parameters.

use std::sync::OnceLock;

use openssl::bn::{BigNum, BigNumContext, BigNumRef};
use openssl::ec::{EcGroup, EcPoint, PointConversionForm};
use openssl::error::ErrorStack;
use openssl::nid::Nid;

use super::{CryptoError, trimmed};

/// A curve of SEC 2 or RFC 5639.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Curve {
    P192,
    P224,
    P256,
    P384,
    P521,
    Secp192k1,
    Secp256k1,
    Brainpool192,
    Brainpool224,
    Brainpool256,
    Brainpool320,
    Brainpool384,
    Brainpool512,
    /// brainpoolP192t1; this and the following are the twisted forms.
    Twisted192,
    Twisted224,
    Twisted256,
    Twisted320,
    Twisted384,
    Twisted512,
}

/// Domain parameters: numbers big endian, at the byte length of the field (p, a, b, coordinates) or of the
/// order (n). All curves have cofactor 1.
pub(crate) struct Domain {
    pub(crate) p: Vec<u8>,
    pub(crate) a: Vec<u8>,
    pub(crate) b: Vec<u8>,
    /// Base point, `04 | x | y`.
    pub(crate) g: Vec<u8>,
    pub(crate) n: Vec<u8>,
    /// Key size in bits.
    pub(crate) bits: u16,
    group: EcGroup,
}

impl Curve {
    /// Every curve with OpenSSL's number of it and the length of its field elements in bytes.
    const ALL: [(Self, Nid, usize); 19] = [
        (Self::P192, Nid::X9_62_PRIME192V1, 24),
        (Self::P224, Nid::SECP224R1, 28),
        (Self::P256, Nid::X9_62_PRIME256V1, 32),
        (Self::P384, Nid::SECP384R1, 48),
        (Self::P521, Nid::SECP521R1, 66),
        (Self::Secp192k1, Nid::SECP192K1, 24),
        (Self::Secp256k1, Nid::SECP256K1, 32),
        (Self::Brainpool192, Nid::BRAINPOOL_P192R1, 24),
        (Self::Brainpool224, Nid::BRAINPOOL_P224R1, 28),
        (Self::Brainpool256, Nid::BRAINPOOL_P256R1, 32),
        (Self::Brainpool320, Nid::BRAINPOOL_P320R1, 40),
        (Self::Brainpool384, Nid::BRAINPOOL_P384R1, 48),
        (Self::Brainpool512, Nid::BRAINPOOL_P512R1, 64),
        (Self::Twisted192, Nid::BRAINPOOL_P192T1, 24),
        (Self::Twisted224, Nid::BRAINPOOL_P224T1, 28),
        (Self::Twisted256, Nid::BRAINPOOL_P256T1, 32),
        (Self::Twisted320, Nid::BRAINPOOL_P320T1, 40),
        (Self::Twisted384, Nid::BRAINPOOL_P384T1, 48),
        (Self::Twisted512, Nid::BRAINPOOL_P512T1, 64),
    ];

    /// Domain parameters, computed once in a process. An error where OpenSSL was built without the curve.
    pub(crate) fn domain(self) -> Result<&'static Domain, CryptoError> {
        static DOMAINS: [OnceLock<Domain>; 19] = [const { OnceLock::new() }; 19];
        let ((_, nid, _), slot) = Self::ALL
            .iter()
            .zip(&DOMAINS)
            .find(|((curve, _, _), _)| *curve == self)
            .ok_or(CryptoError::Library)?;
        if slot.get().is_none() {
            let domain = Domain::load(*nid)?;
            // Losing the race means another thread stored the same values.
            let _lost_race = slot.set(domain);
        }
        slot.get().ok_or(CryptoError::Library)
    }

    /// The curve with this number of OpenSSL's.
    pub(crate) fn by_nid(nid: Nid) -> Option<Self> {
        let row = Self::ALL.into_iter().find(|(_, known, _)| *known == nid);
        row.map(|(curve, _, _)| curve)
    }

    /// The curve with exactly these parameters. Leading zero bytes do not count; an empty `a` is taken as
    /// "not said", as some encoders leave it out; the base point must be uncompressed.
    pub(crate) fn by_parameters(p: &[u8], a: &[u8], b: &[u8], g: &[u8], n: &[u8]) -> Option<Self> {
        let fits = |curve: &Self| {
            let Ok(known) = curve.domain() else { return false };
            trimmed(&known.p) == trimmed(p)
                && (a.is_empty() || trimmed(&known.a) == trimmed(a))
                && trimmed(&known.b) == trimmed(b)
                && known.g == g
                && trimmed(&known.n) == trimmed(n)
        };
        Self::ALL.into_iter().map(|(curve, _, _)| curve).find(fits)
    }

    /// OpenSSL's group of this curve.
    pub(crate) fn group(self) -> Result<&'static EcGroup, CryptoError> {
        Ok(&self.domain()?.group)
    }

    /// Length of a field element in bytes.
    pub(crate) fn field_length(self) -> usize {
        let row = Self::ALL.into_iter().find(|(curve, _, _)| *curve == self);
        row.map_or(0, |(_, _, length)| length)
    }

    /// The point behind an uncompressed encoding, which must be on the curve and not at infinity.
    pub(crate) fn point(self, encoded: &[u8]) -> Result<EcPoint, CryptoError> {
        if encoded.len() != 1 + 2 * self.field_length() || encoded.first() != Some(&4) {
            return Err(CryptoError::Data);
        }
        let mut context = BigNumContext::new()?;
        EcPoint::from_bytes(self.group()?, encoded, &mut context).map_err(|_| CryptoError::Data)
    }
}

impl Domain {
    fn load(nid: Nid) -> Result<Self, CryptoError> {
        let group = EcGroup::from_curve_name(nid)?;
        let mut context = BigNumContext::new()?;
        let (mut p, mut a, mut b, mut n) = (BigNum::new()?, BigNum::new()?, BigNum::new()?, BigNum::new()?);
        group.components_gfp(&mut p, &mut a, &mut b, &mut context)?;
        group.order(&mut n, &mut context)?;
        let g = group.generator_opt().ok_or(CryptoError::Library)?.to_bytes(
            &group,
            PointConversionForm::UNCOMPRESSED,
            &mut context,
        )?;
        let padded =
            |number: &BigNumRef| -> Result<Vec<u8>, ErrorStack> { number.to_vec_padded(p.num_bytes()) };
        Ok(Self {
            a: padded(&a)?,
            b: padded(&b)?,
            n: n.to_vec_padded(n.num_bytes())?,
            bits: u16::try_from(group.degree()).map_err(|_| CryptoError::Library)?,
            p: padded(&p)?,
            g,
            group,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_curve_is_found_by_its_parameters() {
        for (curve, nid, length) in Curve::ALL {
            let d = curve.domain().unwrap();
            assert_eq!(Curve::by_parameters(&d.p, &d.a, &d.b, &d.g, &d.n), Some(curve));
            assert_eq!(Curve::by_parameters(&d.p, &[], &d.b, &d.g, &d.n), Some(curve));
            assert_eq!(Curve::by_nid(nid), Some(curve));
            assert_eq!((d.p.len(), d.n.len()), (length, length));
            assert_eq!(curve.field_length(), length);
            let mut other = d.b.clone();
            *other.last_mut().unwrap() ^= 1;
            assert_eq!(Curve::by_parameters(&d.p, &d.a, &other, &d.g, &d.n), None);
            curve.point(&d.g).unwrap();
            let mut off = d.g.clone();
            *off.last_mut().unwrap() ^= 1;
            assert!(curve.point(&off).is_err());
        }
    }
}
