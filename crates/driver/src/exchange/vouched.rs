//! A key's request with the chain of the token that vouches for it.

use chancery_cvc::{
    AttestError, AttestedKey, AuthenticatedRequest, Certificate, ChainError, DeviceChain, DeviceIdentity,
    EcPublicKey, PublicKey, TrustAnchors,
};
use chancery_iso7816::Transport;

use super::error::{ExchangeFormatError, ExchangeProofError};
use crate::introduce::IntroductionError;
use crate::session::Session;

/// The request of an EC key, and the certificates of the token that made it. Nothing is verified before [`Self::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VouchedRequest {
    dica: Certificate,
    device: Certificate,
    request: AuthenticatedRequest,
    key: EcPublicKey,
}

impl VouchedRequest {
    /// From the certificates of the token's issuer and of the token, and the key's request, `67 {..}` or its content.
    ///
    /// # Errors
    /// A part cannot be read, or the key is none on an elliptic curve.
    pub fn new(dica: &[u8], device: &[u8], request: &[u8]) -> Result<Self, ExchangeFormatError> {
        let part = |what| move |source| ExchangeFormatError::Part { what, source };
        let request = AuthenticatedRequest::parse(request).map_err(part("request"))?;
        let PublicKey::Ec(key) = request.request().public_key() else {
            return Err(ExchangeFormatError::Shape("the key is not on an elliptic curve"));
        };
        Ok(Self {
            dica: Certificate::parse(dica).map_err(part("device issuer certificate"))?,
            device: Certificate::parse(device).map_err(part("device certificate"))?,
            key: key.clone(),
            request,
        })
    }

    /// From what a token has in EF.C_DevAut (2F02) and the key's request.
    ///
    /// # Errors
    /// As [`Self::new`]; the chain must hold a device certificate and its issuer's.
    pub fn from_chain(chain: &DeviceChain, request: &[u8]) -> Result<Self, ExchangeFormatError> {
        let (Some(device), Some(dica)) = (chain.device_certificate(), chain.issuer_certificate()) else {
            return Err(ExchangeFormatError::Shape(
                "the token's chain lacks its device or issuer certificate",
            ));
        };
        Self::new(dica.as_bytes(), device.as_bytes(), request)
    }

    /// Verifies the chain of the token and both signatures of the request.
    ///
    /// # Errors
    /// The chain does not lead to one of `anchors`, or the key was not generated in that token.
    pub fn verify(
        &self,
        anchors: &TrustAnchors,
    ) -> Result<(DeviceIdentity, AttestedKey), ExchangeProofError> {
        let device = self
            .chain()?
            .verify(anchors, None)
            .map_err(|source| ExchangeProofError::Chain {
                device: self.device.chr().clone(),
                source,
            })?;
        let key =
            self.request
                .verify(&device)
                .map_err(|source: AttestError| ExchangeProofError::Request {
                    device: self.device.chr().clone(),
                    source,
                })?;
        Ok((device, key))
    }

    /// Certificate of the token's issuer.
    #[must_use]
    pub const fn dica(&self) -> &Certificate {
        &self.dica
    }

    /// Certificate of the token.
    #[must_use]
    pub const fn device(&self) -> &Certificate {
        &self.device
    }

    /// Request of the key.
    #[must_use]
    pub const fn request(&self) -> &AuthenticatedRequest {
        &self.request
    }

    /// The key.
    #[must_use]
    pub const fn key(&self) -> &EcPublicKey {
        &self.key
    }

    /// x | y of the key: what identifies the group it signs for.
    #[must_use]
    pub fn coordinates(&self) -> &[u8] {
        self.key.point().get(1..).unwrap_or_default()
    }

    fn chain(&self) -> Result<DeviceChain, ExchangeProofError> {
        let bytes = [self.device.as_bytes(), self.dica.as_bytes()].concat();
        DeviceChain::parse(&bytes).map_err(|_| ExchangeProofError::Chain {
            device: self.device.chr().clone(),
            source: ChainError::NoDeviceCertificate,
        })
    }
}

impl<T: Transport> Session<T> {
    /// Makes the token that vouches known to this one.
    pub(super) fn introduce_voucher(&mut self, vouched: &VouchedRequest) -> Result<(), IntroductionError> {
        self.introduce(&vouched.dica, &vouched.device, vouched.request.outer_car())
    }
}
