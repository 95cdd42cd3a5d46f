//! Public keys as certificates carry them.

mod ec;
mod object;
mod rsa;
mod spki;

pub use ec::EcPublicKey;
pub use object::CvKey;
pub(crate) use object::{read_domain, write_domain};
pub use rsa::RsaPublicKey;

use openssl::pkey::{PKey, Public};

use crate::domain::EcDomain;
use crate::error::KeyError;

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PublicKey {
    /// An EC key with its curve; the point is on it.
    Ec(EcPublicKey),
    /// The point of an EC key, `04|x|y`, whose curve is that of the key above it in the chain. Nothing but the form is
    /// checked.
    EcPointOnly(Vec<u8>),
    /// An RSA key.
    Rsa(RsaPublicKey),
}

impl PublicKey {
    /// This key with the domain of another when it carries none itself.
    ///
    /// # Errors
    /// [`KeyError::NoDomain`] or [`KeyError::IssuerHasNoDomain`] when the other has none to give,
    /// [`KeyError::NotOnCurve`] when the point does not belong to it.
    pub fn in_domain_of(&self, issuer: &Self) -> Result<Self, KeyError> {
        match (self, issuer) {
            (Self::EcPointOnly(point), Self::Ec(key)) => {
                Ok(Self::Ec(EcPublicKey::new(key.domain().clone(), point)?))
            }
            (Self::EcPointOnly(_), Self::EcPointOnly(_)) => Err(KeyError::NoDomain),
            (Self::EcPointOnly(_), Self::Rsa(_)) => Err(KeyError::IssuerHasNoDomain),
            (Self::Ec(_) | Self::Rsa(_), _) => Ok(self.clone()),
        }
    }

    /// This key with its curve left out, as issuer and device certificates carry it.
    #[must_use]
    pub fn without_domain(&self) -> Self {
        match self {
            Self::Ec(key) => Self::EcPointOnly(key.point().to_vec()),
            other => other.clone(),
        }
    }

    /// The curve; `None` for RSA keys and for points without one.
    #[must_use]
    pub fn domain(&self) -> Option<&EcDomain> {
        match self {
            Self::Ec(key) => Some(key.domain()),
            _ => None,
        }
    }

    /// The public point `04|x|y`; `None` for RSA keys.
    #[must_use]
    pub fn point(&self) -> Option<&[u8]> {
        match self {
            Self::Ec(key) => Some(key.point()),
            Self::EcPointOnly(point) => Some(point),
            Self::Rsa(_) => None,
        }
    }

    /// Length in bytes of a plain signature of this key: twice the order's or the modulus's.
    ///
    /// # Errors
    /// [`KeyError::NoDomain`] for a point without a curve.
    pub fn signature_len(&self) -> Result<usize, KeyError> {
        match self {
            Self::Ec(key) => Ok(2 * key.domain().order_len()),
            Self::EcPointOnly(_) => Err(KeyError::NoDomain),
            Self::Rsa(key) => Ok(key.modulus().len()),
        }
    }

    /// The crypto library's object for this key.
    ///
    /// # Errors
    /// [`KeyError::NoDomain`] for a point without a curve, [`KeyError::Crypto`] when the library fails.
    pub fn to_pkey(&self) -> Result<PKey<Public>, KeyError> {
        match self {
            Self::Ec(key) => PKey::from_ec_key(key.to_ec_key()?).map_err(KeyError::Crypto),
            Self::EcPointOnly(_) => Err(KeyError::NoDomain),
            Self::Rsa(key) => PKey::from_rsa(key.to_rsa()?).map_err(KeyError::Crypto),
        }
    }
}
