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
    P256,
    P384,
    P521,
    Brainpool256,
    Brainpool384,
    Brainpool512,
    Secp256k1,
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
    const ALL: [Self; 7] = [
        Self::P256,
        Self::P384,
        Self::P521,
        Self::Brainpool256,
        Self::Brainpool384,
        Self::Brainpool512,
        Self::Secp256k1,
    ];

    /// Domain parameters, computed once in a process.
    pub(crate) fn domain(self) -> Result<&'static Domain, CryptoError> {
        static DOMAINS: [OnceLock<Domain>; 7] = [const { OnceLock::new() }; 7];
        let (index, nid) = match self {
            Self::P256 => (0, Nid::X9_62_PRIME256V1),
            Self::P384 => (1, Nid::SECP384R1),
            Self::P521 => (2, Nid::SECP521R1),
            Self::Brainpool256 => (3, Nid::BRAINPOOL_P256R1),
            Self::Brainpool384 => (4, Nid::BRAINPOOL_P384R1),
            Self::Brainpool512 => (5, Nid::BRAINPOOL_P512R1),
            Self::Secp256k1 => (6, Nid::SECP256K1),
        };
        let slot: &'static OnceLock<Domain> = DOMAINS.get(index).ok_or(CryptoError::Library)?;
        if slot.get().is_none() {
            let domain = Domain::load(nid)?;
            // Losing the race means another thread stored the same values.
            let _lost_race = slot.set(domain);
        }
        slot.get().ok_or(CryptoError::Library)
    }

    /// The curve with exactly these parameters. Leading zero bytes do not count; an empty `a` is taken as
    /// "not said", as some encoders leave it out; the base point must be uncompressed.
    pub(crate) fn by_parameters(p: &[u8], a: &[u8], b: &[u8], g: &[u8], n: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|curve| {
            let Ok(known) = curve.domain() else { return false };
            trimmed(&known.p) == trimmed(p)
                && (a.is_empty() || trimmed(&known.a) == trimmed(a))
                && trimmed(&known.b) == trimmed(b)
                && known.g == g
                && trimmed(&known.n) == trimmed(n)
        })
    }

    /// OpenSSL's group of this curve.
    pub(crate) fn group(self) -> Result<&'static EcGroup, CryptoError> {
        Ok(&self.domain()?.group)
    }

    /// Length of a field element in bytes.
    pub(crate) fn field_length(self) -> usize {
        match self {
            Self::P256 | Self::Brainpool256 | Self::Secp256k1 => 32,
            Self::P384 | Self::Brainpool384 => 48,
            Self::P521 => 66,
            Self::Brainpool512 => 64,
        }
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
        for curve in Curve::ALL {
            let d = curve.domain().unwrap();
            assert_eq!(Curve::by_parameters(&d.p, &d.a, &d.b, &d.g, &d.n), Some(curve));
            assert_eq!(Curve::by_parameters(&d.p, &[], &d.b, &d.g, &d.n), Some(curve));
            assert_eq!(d.p.len(), curve.field_length());
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
