//! What a custodian hands over: the request of the custodian's key and the chain of the token it lives on.

use chancery_cvc::{
    AttestedKey, AuthenticatedRequest, Certificate, Curve, DeviceChain, DeviceIdentity, ParseError,
    PublicKey, Reference, TrustAnchors,
};
use chancery_iso7816::tlv::{Reader, Tag, TlvError, Writer};

use crate::attest::AttestError;

/// OID 1.3.6.1.4.1.24991.4.3.1 of a `.pka` file.
const PKA_FILE: [u8; 11] = [0x2B, 0x06, 0x01, 0x04, 0x01, 0x81, 0xC3, 0x1F, 0x04, 0x03, 0x01];

/// A custodian key as it is registered in an HSM.
///
/// Parsed, and known to hold a key on a 256-bit curve; nothing in it is verified before [`Self::verify`].
#[derive(Clone, Debug)]
pub struct PkaRegistration {
    dica: Certificate,
    device: Certificate,
    request: AuthenticatedRequest,
}

/// Bytes that are no registration, or one no HSM can use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistrationFormatError {
    /// The outer structure is damaged.
    #[error("the custodian registration is damaged")]
    Tlv(#[from] TlvError),
    /// A certificate or the request is damaged.
    #[error("the {what} of the custodian registration cannot be read")]
    Certificate {
        /// Which part.
        what: &'static str,
        /// Why.
        #[source]
        source: ParseError,
    },
    /// The structure has an unknown type or shape.
    #[error("not a custodian registration: {0}")]
    Shape(&'static str),
    /// The key cannot answer an HSM's challenge.
    #[error("{found}: a custodian key must be on a 256-bit curve, HSMs refuse longer signatures for ever")]
    Curve {
        /// What kind of key was found.
        found: String,
    },
}

impl PkaRegistration {
    /// From the certificates of the custodian's token and the key's request, `67 {..}` or its content.
    ///
    /// # Errors
    /// A part cannot be read, or the key is not on a 256-bit curve.
    pub fn new(dica: &[u8], device: &[u8], request: &[u8]) -> Result<Self, RegistrationFormatError> {
        let part = |what| move |source| RegistrationFormatError::Certificate { what, source };
        let registration = Self {
            dica: Certificate::parse(dica).map_err(part("device issuer certificate"))?,
            device: Certificate::parse(device).map_err(part("device certificate"))?,
            request: AuthenticatedRequest::parse(request).map_err(part("request"))?,
        };
        check_curve(registration.public_key())?;
        Ok(registration)
    }

    /// From EF.C_DevAut (2F02) of the custodian's token and the key's request.
    ///
    /// # Errors
    /// As [`Self::new`]; the chain must hold a device certificate and its issuer's.
    pub fn from_chain(chain: &[u8], request: &[u8]) -> Result<Self, RegistrationFormatError> {
        let part = |what| move |source| RegistrationFormatError::Certificate { what, source };
        let chain = DeviceChain::parse(chain).map_err(part("chain"))?;
        let (Some(device), Some(dica)) = (chain.device_certificate(), chain.issuer_certificate()) else {
            return Err(RegistrationFormatError::Shape(
                "the token's chain lacks its device or issuer certificate",
            ));
        };
        Self::new(dica.as_bytes(), device.as_bytes(), request)
    }

    /// Reads a `.pka` file: `30 { 06 OID, 61 DICA, 62 device, 63 request }`, or the older `30 { 67, device, DICA }`.
    ///
    /// # Errors
    /// The file is damaged, or as [`Self::new`].
    pub fn decode(file: &[u8]) -> Result<Self, RegistrationFormatError> {
        let mut outer = Reader::new(file);
        let mut parts = outer.expect(Tag(0x30))?.children();
        outer.finish()?;
        if let Some(request) = parts.optional(Tag(0x67))? {
            let device = parts.expect(Tag(0x7F21))?;
            let dica = parts.expect(Tag(0x7F21))?;
            return Self::new(dica.raw, device.raw, request.raw);
        }
        if parts.expect(Tag(0x06))?.value != PKA_FILE {
            return Err(RegistrationFormatError::Shape("another object identifier"));
        }
        let dica = parts.expect(Tag(0x61))?;
        let device = parts.expect(Tag(0x62))?;
        let request = parts.expect(Tag(0x63))?;
        parts.finish()?;
        Self::new(
            &whole_certificate(dica.value),
            &whole_certificate(device.value),
            request.value,
        )
    }

    /// The `.pka` file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut file = Writer::new();
        file.nested(Tag(0x30), |parts| {
            parts
                .tlv(Tag(0x06), &PKA_FILE)
                .tlv(Tag(0x61), self.dica.as_bytes())
                .tlv(Tag(0x62), self.device.as_bytes())
                .tlv(Tag(0x63), self.request.content());
        });
        file.finish()
    }

    /// Verifies the chain of the custodian's token and both signatures of the request.
    ///
    /// # Errors
    /// The token's chain does not lead to one of `anchors`, or the key was not generated in that token.
    pub fn verify(&self, anchors: &TrustAnchors) -> Result<(DeviceIdentity, AttestedKey), AttestError> {
        let mut chain = self.device.as_bytes().to_vec();
        chain.extend_from_slice(self.dica.as_bytes());
        let chain = DeviceChain::parse(&chain).map_err(AttestError::Format)?;
        let device = chain.verify(anchors, None).map_err(AttestError::Chain)?;
        let key = self.request.verify(&device).map_err(AttestError::Request)?;
        Ok((device, key))
    }

    /// Name of the custodian key, by which the HSM knows it.
    #[must_use]
    pub fn custodian(&self) -> &Reference {
        self.request.request().chr()
    }

    /// The custodian's public key.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        self.request.request().public_key()
    }

    /// Certificate of the token's issuer.
    #[must_use]
    pub const fn dica(&self) -> &Certificate {
        &self.dica
    }

    /// Certificate of the custodian's token.
    #[must_use]
    pub const fn device(&self) -> &Certificate {
        &self.device
    }

    /// Request of the custodian key.
    #[must_use]
    pub const fn request(&self) -> &AuthenticatedRequest {
        &self.request
    }
}

fn check_curve(key: &PublicKey) -> Result<(), RegistrationFormatError> {
    let curve = match key {
        PublicKey::Ec(key) => key.domain().curve(),
        PublicKey::Rsa(_) => {
            return Err(RegistrationFormatError::Curve {
                found: "an RSA key".into(),
            });
        }
        PublicKey::EcPointOnly(_) => {
            return Err(RegistrationFormatError::Curve {
                found: "a key without its curve".into(),
            });
        }
    };
    match curve {
        Some(Curve::Secp256r1 | Curve::Secp256k1 | Curve::BrainpoolP256r1) => Ok(()),
        Some(other) => Err(RegistrationFormatError::Curve {
            found: format!("a key on {other}"),
        }),
        None => Err(RegistrationFormatError::Curve {
            found: "a key on a curve without a name".into(),
        }),
    }
}

/// Some writers put the content of the certificate where others put the whole of it.
pub(crate) fn whole_certificate(value: &[u8]) -> Vec<u8> {
    match Reader::new(value).peek() {
        Ok(Some(first)) if first.tag == Tag(0x7F4E) => {
            let mut whole = Writer::new();
            whole.tlv(Tag(0x7F21), value);
            whole.finish()
        }
        _ => value.to_vec(),
    }
}
