//! Proof that a key was generated in a device.

use crate::error::SignatureError;
use crate::key::{CvKey, PublicKey};
use crate::reference::Reference;
use crate::request::AuthenticatedRequest;
use crate::trust::{DeviceIdentity, Genuineness};

/// A public key whose private key was generated in a device. It can only be made by
/// [`AuthenticatedRequest::verify`].
///
/// It proves origin. It does not prove that the private key is nowhere else: in a key domain with a shared key
/// encryption key the device may export it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttestedKey {
    key: CvKey,
    chr: Reference,
    car: Reference,
    device: Reference,
    genuine: Genuineness,
}

impl AuthenticatedRequest {
    /// Checks that this request comes from a device: outer name, outer signature by the device key, inner signature
    /// by the requested key itself.
    ///
    /// # Errors
    /// [`AttestError`] naming the first thing that is wrong.
    pub fn verify(&self, device: &DeviceIdentity) -> Result<AttestedKey, AttestError> {
        if self.outer_car() != device.name() {
            return Err(AttestError::OtherDevice {
                found: self.outer_car().clone(),
                device: device.name().clone(),
            });
        }
        self.verify_outer(device.key()).map_err(AttestError::Outer)?;
        self.verify_inner().map_err(AttestError::Inner)?;
        Ok(AttestedKey {
            key: self.request().key().clone(),
            chr: self.request().chr().clone(),
            car: self.request().car().clone(),
            device: device.name().clone(),
            genuine: device.genuine(),
        })
    }
}

impl AttestedKey {
    /// The key, domain parameters included.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        self.key.key()
    }

    /// The key with the algorithm its request names.
    #[must_use]
    pub fn key(&self) -> &CvKey {
        &self.key
    }

    /// The name the host gave the key. Other hosts give all keys of a device the same.
    #[must_use]
    pub fn chr(&self) -> &Reference {
        &self.chr
    }

    /// The authority the host asked to be named; it proves nothing.
    #[must_use]
    pub fn car(&self) -> &Reference {
        &self.car
    }

    /// Name of the device the key was generated in.
    #[must_use]
    pub fn device(&self) -> &Reference {
        &self.device
    }

    /// Which kind of root vouches for the device.
    #[must_use]
    pub fn genuine(&self) -> Genuineness {
        self.genuine
    }
}

/// Why a request does not prove where its key was generated.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AttestError {
    /// It names another device.
    #[error("the request comes from {found}, not from {device}")]
    OtherDevice {
        /// The name in the request.
        found: Reference,
        /// The device it was checked with.
        device: Reference,
    },
    /// The device did not sign it.
    #[error("outer signature of the request, by the device")]
    Outer(#[source] SignatureError),
    /// The key itself did not sign it.
    #[error("inner signature of the request, by the key itself")]
    Inner(#[source] SignatureError),
}
