//! Named curves.

use std::fmt;
use std::sync::LazyLock;

use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, PointConversionForm};
use openssl::error::ErrorStack;
use openssl::nid::Nid;

use crate::domain::DomainParameters;
use crate::error::KeyError;

/// A curve known by name (reference: SEC 2; RFC 5639 for brainpool). All have cofactor 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Curve {
    /// secp192r1, also known as P-192.
    Secp192r1,
    /// secp224r1, also known as P-224.
    Secp224r1,
    /// secp256r1, also known as P-256 and prime256v1.
    Secp256r1,
    /// secp384r1, also known as P-384.
    Secp384r1,
    /// secp521r1, also known as P-521.
    Secp521r1,
    /// secp192k1.
    Secp192k1,
    /// secp256k1.
    Secp256k1,
    /// brainpoolP192r1.
    BrainpoolP192r1,
    /// brainpoolP224r1.
    BrainpoolP224r1,
    /// brainpoolP256r1, the curve of device keys and scheme roots.
    BrainpoolP256r1,
    /// brainpoolP320r1.
    BrainpoolP320r1,
    /// brainpoolP384r1.
    BrainpoolP384r1,
    /// brainpoolP512r1.
    BrainpoolP512r1,
    /// brainpoolP192t1.
    BrainpoolP192t1,
    /// brainpoolP224t1.
    BrainpoolP224t1,
    /// brainpoolP256t1.
    BrainpoolP256t1,
    /// brainpoolP320t1.
    BrainpoolP320t1,
    /// brainpoolP384t1.
    BrainpoolP384t1,
    /// brainpoolP512t1.
    BrainpoolP512t1,
}

impl Curve {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::Secp192r1,
        Self::Secp224r1,
        Self::Secp256r1,
        Self::Secp384r1,
        Self::Secp521r1,
        Self::Secp192k1,
        Self::Secp256k1,
        Self::BrainpoolP192r1,
        Self::BrainpoolP224r1,
        Self::BrainpoolP256r1,
        Self::BrainpoolP320r1,
        Self::BrainpoolP384r1,
        Self::BrainpoolP512r1,
        Self::BrainpoolP192t1,
        Self::BrainpoolP224t1,
        Self::BrainpoolP256t1,
        Self::BrainpoolP320t1,
        Self::BrainpoolP384t1,
        Self::BrainpoolP512t1,
    ];

    /// The name of SEC 2 or RFC 5639, such as `secp256r1` or `brainpoolP256r1`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// Finds a curve by its name, letter case ignored; `P-256`, `prime256v1` and the like are understood.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let other = match name.to_ascii_lowercase().as_str() {
            "p-192" | "p192" | "prime192v1" => Some(Self::Secp192r1),
            "p-224" | "p224" => Some(Self::Secp224r1),
            "p-256" | "p256" | "prime256v1" => Some(Self::Secp256r1),
            "p-384" | "p384" => Some(Self::Secp384r1),
            "p-521" | "p521" => Some(Self::Secp521r1),
            _ => None,
        };
        other.or_else(|| {
            Self::ALL
                .into_iter()
                .find(|curve| curve.name().eq_ignore_ascii_case(name))
        })
    }

    /// The crypto library's number of this curve.
    #[must_use]
    pub fn nid(self) -> Nid {
        self.row().1
    }

    /// Finds a curve by the crypto library's number.
    #[must_use]
    pub fn from_nid(nid: Nid) -> Option<Self> {
        Self::ALL.into_iter().find(|curve| curve.nid() == nid)
    }

    /// Size of the field in bits: 521 for secp521r1.
    #[must_use]
    pub fn bits(self) -> u16 {
        self.row().2
    }

    /// Length in bytes of a coordinate; for these curves also of the order, so that a plain signature is twice as long.
    #[must_use]
    pub fn field_len(self) -> usize {
        usize::from(self.bits().div_ceil(8))
    }

    /// The domain parameters.
    ///
    /// # Errors
    /// [`KeyError::CurveUnavailable`] when the crypto library was built without this curve.
    pub fn parameters(self) -> Result<&'static DomainParameters, KeyError> {
        PARAMETERS
            .iter()
            .find_map(|(curve, parameters)| (*curve == self).then_some(parameters))
            .ok_or(KeyError::CurveUnavailable { curve: self })
    }

    /// The curve that has these parameters.
    pub(crate) fn recognise(parameters: &DomainParameters) -> Option<Self> {
        PARAMETERS
            .iter()
            .find_map(|(curve, known)| (known == parameters).then_some(*curve))
    }

    /// The crypto library's object for this curve.
    ///
    /// # Errors
    /// [`KeyError::CurveUnavailable`] when the crypto library was built without this curve.
    pub fn group(self) -> Result<EcGroup, KeyError> {
        EcGroup::from_curve_name(self.nid()).map_err(|_| KeyError::CurveUnavailable { curve: self })
    }

    fn row(self) -> (&'static str, Nid, u16) {
        match self {
            Self::Secp192r1 => ("secp192r1", Nid::X9_62_PRIME192V1, 192),
            Self::Secp224r1 => ("secp224r1", Nid::SECP224R1, 224),
            Self::Secp256r1 => ("secp256r1", Nid::X9_62_PRIME256V1, 256),
            Self::Secp384r1 => ("secp384r1", Nid::SECP384R1, 384),
            Self::Secp521r1 => ("secp521r1", Nid::SECP521R1, 521),
            Self::Secp192k1 => ("secp192k1", Nid::SECP192K1, 192),
            Self::Secp256k1 => ("secp256k1", Nid::SECP256K1, 256),
            Self::BrainpoolP192r1 => ("brainpoolP192r1", Nid::BRAINPOOL_P192R1, 192),
            Self::BrainpoolP224r1 => ("brainpoolP224r1", Nid::BRAINPOOL_P224R1, 224),
            Self::BrainpoolP256r1 => ("brainpoolP256r1", Nid::BRAINPOOL_P256R1, 256),
            Self::BrainpoolP320r1 => ("brainpoolP320r1", Nid::BRAINPOOL_P320R1, 320),
            Self::BrainpoolP384r1 => ("brainpoolP384r1", Nid::BRAINPOOL_P384R1, 384),
            Self::BrainpoolP512r1 => ("brainpoolP512r1", Nid::BRAINPOOL_P512R1, 512),
            Self::BrainpoolP192t1 => ("brainpoolP192t1", Nid::BRAINPOOL_P192T1, 192),
            Self::BrainpoolP224t1 => ("brainpoolP224t1", Nid::BRAINPOOL_P224T1, 224),
            Self::BrainpoolP256t1 => ("brainpoolP256t1", Nid::BRAINPOOL_P256T1, 256),
            Self::BrainpoolP320t1 => ("brainpoolP320t1", Nid::BRAINPOOL_P320T1, 320),
            Self::BrainpoolP384t1 => ("brainpoolP384t1", Nid::BRAINPOOL_P384T1, 384),
            Self::BrainpoolP512t1 => ("brainpoolP512t1", Nid::BRAINPOOL_P512T1, 512),
        }
    }
}

impl fmt::Display for Curve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Parameters of the curves the crypto library has: some distributions leave curves out.
static PARAMETERS: LazyLock<Vec<(Curve, DomainParameters)>> = LazyLock::new(|| {
    Curve::ALL
        .into_iter()
        .filter_map(|curve| {
            let group = curve.group().ok()?;
            Some((curve, parameters_of(&group).ok()??))
        })
        .collect()
});

/// The parameters of a group over a prime field; `None` when it has no generator.
pub(crate) fn parameters_of(group: &openssl::ec::EcGroupRef) -> Result<Option<DomainParameters>, ErrorStack> {
    let Some(generator) = group.generator_opt() else {
        return Ok(None);
    };
    let mut context = BigNumContext::new()?;
    let (mut p, mut a, mut b) = (BigNum::new()?, BigNum::new()?, BigNum::new()?);
    group.components_gfp(&mut p, &mut a, &mut b, &mut context)?;
    let (mut n, mut h) = (BigNum::new()?, BigNum::new()?);
    group.order(&mut n, &mut context)?;
    group.cofactor(&mut h, &mut context)?;
    let g = generator.to_bytes(group, PointConversionForm::UNCOMPRESSED, &mut context)?;
    Ok(DomainParameters::new(
        &p.to_vec(),
        &a.to_vec(),
        &b.to_vec(),
        &g,
        &n.to_vec(),
        Some(&h.to_vec()),
    )
    .ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_curve_is_there_and_recognised() {
        for curve in Curve::ALL {
            let parameters = curve.parameters().unwrap();
            assert_eq!(Curve::recognise(parameters), Some(curve));
            assert_eq!(Curve::from_name(curve.name()), Some(curve));
            assert_eq!(Curve::from_nid(curve.nid()), Some(curve));
            assert_eq!(parameters.field_len(), curve.field_len(), "{curve}");
            assert_eq!(parameters.order_len(), curve.field_len(), "{curve}");
            assert_eq!(parameters.cofactor(), Some(&[1][..]), "{curve}");
        }
    }
}
