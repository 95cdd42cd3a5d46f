//! EC public keys.

use openssl::bn::BigNumContext;
use openssl::ec::{EcKey, EcKeyRef, EcPoint, PointConversionForm};
use openssl::error::ErrorStack;
use openssl::pkey::{HasPublic, Public};

use crate::domain::EcDomain;
use crate::error::KeyError;

/// An EC public key: a curve and a point on it other than infinity.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EcPublicKey {
    domain: EcDomain,
    point: Vec<u8>,
}

impl EcPublicKey {
    /// Takes a curve and an uncompressed point `04|x|y`, coordinates as long as the field.
    ///
    /// # Errors
    /// [`KeyError::Malformed`] for another form or length, [`KeyError::NotOnCurve`] when the point is not on the
    /// curve or not in its group.
    pub fn new(domain: EcDomain, point: &[u8]) -> Result<Self, KeyError> {
        if point.first() != Some(&0x04) || point.len() != 1 + 2 * domain.field_len() {
            return Err(KeyError::Malformed {
                what: "public point (04, x, y)",
            });
        }
        let key = Self {
            domain,
            point: point.to_vec(),
        };
        let ec = key.to_ec_key()?;
        // Named curves have cofactor 1: every point on them is in the group. Elsewhere its order must be shown.
        if key.domain.curve().is_none() && ec.check_key().is_err() {
            return Err(key.not_on_curve());
        }
        Ok(key)
    }

    /// Takes a key of the crypto library.
    ///
    /// # Errors
    /// [`KeyError::WeakDomain`] for unusable explicit parameters, [`KeyError::Crypto`] when the library fails.
    pub fn from_ec_key<T: HasPublic>(key: &EcKeyRef<T>) -> Result<Self, KeyError> {
        let point = BigNumContext::new()
            .and_then(|mut context| {
                key.public_key()
                    .to_bytes(key.group(), PointConversionForm::UNCOMPRESSED, &mut context)
            })
            .map_err(KeyError::Crypto)?;
        Self::new(EcDomain::from_group(key.group())?, &point)
    }

    /// The curve.
    #[must_use]
    pub fn domain(&self) -> &EcDomain {
        &self.domain
    }

    /// The point, `04|x|y`.
    #[must_use]
    pub fn point(&self) -> &[u8] {
        &self.point
    }

    /// The crypto library's object for this key.
    ///
    /// # Errors
    /// [`KeyError::CurveUnavailable`] when the library was built without the curve, [`KeyError::Crypto`] when it
    /// fails otherwise.
    pub fn to_ec_key(&self) -> Result<EcKey<Public>, KeyError> {
        let group = self.domain.group()?;
        let mut context = BigNumContext::new().map_err(KeyError::Crypto)?;
        // The library checks here that the coordinates are in the field and the point on the curve.
        let point = EcPoint::from_bytes(&group, &self.point, &mut context)
            .map_err(|_: ErrorStack| self.not_on_curve())?;
        EcKey::from_public_key(&group, &point).map_err(KeyError::Crypto)
    }

    fn not_on_curve(&self) -> KeyError {
        KeyError::NotOnCurve {
            domain: self.domain.to_string(),
        }
    }
}
