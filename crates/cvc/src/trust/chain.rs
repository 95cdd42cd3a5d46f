//! What a device keeps in EF 2F02.

use chancery_iso7816::tlv::Reader;
use time::Date;

use super::anchors::TrustAnchors;
use super::identity::DeviceIdentity;
use super::step::ChainError;
use crate::certificate::Certificate;
use crate::error::ParseError;
use crate::reference::Reference;
use crate::request::AuthenticatedRequest;
use crate::role::RoleKind;
use crate::tags;

/// The certificates found in EF 2F02, in order; nothing about them has been verified.
///
/// A SmartCard-HSM has its device certificate and that of its issuer. Development cards have one; open firmware has
/// up to three, or an authenticated request before a self-signed certificate. All of that is read; whether it proves
/// anything is for [`DeviceChain::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceChain {
    certificates: Vec<Certificate>,
    request: Option<AuthenticatedRequest>,
}

impl DeviceChain {
    /// Most objects in a chain.
    pub const MAX_OBJECTS: usize = 3;

    /// Reads the content of EF 2F02: up to three certificates or authenticated requests and nothing else. An empty
    /// file is a chain without certificates.
    ///
    /// # Errors
    /// [`ParseError`] when the bytes are not that.
    pub fn parse(ef2f02: &[u8]) -> Result<Self, ParseError> {
        let mut chain = Self {
            certificates: Vec::new(),
            request: None,
        };
        let mut reader = Reader::new(ef2f02);
        let mut objects = 0_usize;
        while !reader.is_empty() {
            objects += 1;
            if objects > Self::MAX_OBJECTS {
                return Err(ParseError::TooManyObjects {
                    limit: Self::MAX_OBJECTS,
                });
            }
            let structure = |error| ParseError::structure("device chain")(error);
            match reader.optional(tags::AUTHENTICATION).map_err(structure)? {
                Some(request) => chain.request = Some(AuthenticatedRequest::parse(request.raw)?),
                None => {
                    let certificate = reader.expect(tags::CERTIFICATE).map_err(structure)?;
                    chain.certificates.push(Certificate::parse_object(&certificate)?);
                }
            }
        }
        Ok(chain)
    }

    /// The certificates, in the order of the file.
    #[must_use]
    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    /// The authenticated request of the device key, if the file has one.
    #[must_use]
    pub fn request(&self) -> Option<&AuthenticatedRequest> {
        self.request.as_ref()
    }

    /// The certificate of the device: the first with that role, otherwise the first.
    #[must_use]
    pub fn device_certificate(&self) -> Option<&Certificate> {
        self.certificates
            .iter()
            .find(|certificate| certificate.role_kind() == Some(RoleKind::Device))
            .or_else(|| self.certificates.first())
    }

    /// The certificate of who issued the device certificate, if the file has it.
    #[must_use]
    pub fn issuer_certificate(&self) -> Option<&Certificate> {
        let device = self.device_certificate()?;
        self.named(device.car())
            .find(|certificate| *certificate != device)
    }

    /// The name the device gives itself. A label, until the chain has been verified.
    #[must_use]
    pub fn device_name(&self) -> Option<&Reference> {
        self.device_certificate().map(Certificate::chr)
    }

    /// Follows the chain from the device certificate up to a trusted root and checks every step down again.
    ///
    /// Dates are never a reason to fail, because tokens outlive their certificates; with `today` given, the identity
    /// says which certificates are out of date.
    ///
    /// # Errors
    /// [`ChainError`] naming the certificate and what is wrong with it.
    pub fn verify(&self, anchors: &TrustAnchors, today: Option<Date>) -> Result<DeviceIdentity, ChainError> {
        let device = self.device_certificate().ok_or(ChainError::NoDeviceCertificate)?;
        let mut upwards = vec![device];
        let mut lowest = device;
        let root = loop {
            if let Some(root) = anchors.find(lowest.car()) {
                break root;
            }
            let mut next = self.named(lowest.car()).filter(|found| !upwards.contains(found));
            let Some(next) = next.next() else {
                return Err(ChainError::UnknownIssuer {
                    holder: lowest.chr().clone(),
                    car: lowest.car().clone(),
                });
            };
            upwards.push(next);
            lowest = next;
        };
        let mut trusted = root.clone();
        for certificate in upwards.into_iter().rev() {
            trusted = trusted.certify(certificate)?;
        }
        DeviceIdentity::new(trusted, today)
    }

    fn named<'a>(&'a self, name: &'a Reference) -> impl Iterator<Item = &'a Certificate> {
        self.certificates
            .iter()
            .filter(move |certificate| certificate.chr() == name)
    }
}
