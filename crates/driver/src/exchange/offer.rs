//! An offer: an exchange key's request and the chain of its token, as one member hands it to the other.

use chancery_cvc::{AuthenticatedRequest, DeviceChain, DeviceIdentity, TrustAnchors};
use chancery_iso7816::tlv::{Reader, Tag};

use super::MAX_FILE;
use super::error::{ExchangeFormatError, ExchangeProofError};
use super::vouched::VouchedRequest;

/// OID 1.3.6.1.4.1.24991.3.2.2 of the extension that names the group.
const GROUP: [u8; 11] = [0x2B, 0x06, 0x01, 0x04, 0x01, 0x81, 0xC3, 0x1F, 0x03, 0x02, 0x02];

/// An exchange key as one member hands it over. Read, not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    vouched: VouchedRequest,
    group: Vec<u8>,
}

/// An exchange key that was generated in a known device, in an exchange domain of the group it names.
#[derive(Clone, Debug)]
pub struct VerifiedOffer {
    offer: Offer,
    device: DeviceIdentity,
}

impl Offer {
    /// From what a token has in EF.C_DevAut and the request of an exchange key.
    ///
    /// # Errors
    /// A part is missing, or the request names no group: the key is no exchange key.
    pub fn new(chain: &DeviceChain, request: &[u8]) -> Result<Self, ExchangeFormatError> {
        Self::from_vouched(VouchedRequest::from_chain(chain, request)?)
    }

    /// Reads a file: the request `67`, the device's certificate `7F21` and its issuer's `7F21`, nothing else.
    ///
    /// # Errors
    /// The file is too long, or not that.
    pub fn decode(file: &[u8]) -> Result<Self, ExchangeFormatError> {
        if file.len() > MAX_FILE {
            return Err(ExchangeFormatError::TooLong { length: file.len() });
        }
        let mut parts = Reader::new(file);
        let request = parts.expect(Tag(0x67))?;
        let device = parts.expect(Tag(0x7F21))?;
        let dica = parts.expect(Tag(0x7F21))?;
        parts.finish()?;
        Self::from_vouched(VouchedRequest::new(dica.raw, device.raw, request.raw)?)
    }

    /// The file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        [
            &self.vouched.request().to_bytes(),
            self.vouched.device().as_bytes(),
            self.vouched.dica().as_bytes(),
        ]
        .concat()
    }

    /// Verifies that a device known to `anchors` generated the key. That it did so in a domain of the group is what the
    /// group's name in a genuine device's request says.
    ///
    /// # Errors
    /// [`ExchangeProofError`].
    pub fn verify(self, anchors: &TrustAnchors) -> Result<VerifiedOffer, ExchangeProofError> {
        let (device, _) = self.vouched.verify(anchors)?;
        Ok(VerifiedOffer { offer: self, device })
    }

    /// Identifier of the group, x | y of its signer's key.
    #[must_use]
    pub fn group(&self) -> &[u8] {
        &self.group
    }

    /// The key's request with the chain of its token.
    #[must_use]
    pub const fn vouched(&self) -> &VouchedRequest {
        &self.vouched
    }

    fn from_vouched(vouched: VouchedRequest) -> Result<Self, ExchangeFormatError> {
        let group = named_group(vouched.request()).ok_or(ExchangeFormatError::Shape(
            "the request names no group: its key is no exchange key",
        ))?;
        Ok(Self {
            group: group.to_vec(),
            vouched,
        })
    }
}

impl VerifiedOffer {
    /// The offer.
    #[must_use]
    pub const fn offer(&self) -> &Offer {
        &self.offer
    }

    /// The device it comes from.
    #[must_use]
    pub const fn device(&self) -> &DeviceIdentity {
        &self.device
    }
}

/// The group in a request's extensions: `73 { 06 OID, 80 identifier }`.
fn named_group(request: &AuthenticatedRequest) -> Option<&[u8]> {
    let mut extensions = Reader::new(request.request().body().extensions()?);
    while let Some(extension) = extensions.next().ok()? {
        if extension.tag != Tag(0x73) {
            continue;
        }
        let mut fields = extension.children();
        if fields.expect(Tag(0x06)).ok()?.value == GROUP {
            let identifier = fields.expect(Tag(0x80)).ok()?.value;
            return (!identifier.is_empty()).then_some(identifier);
        }
    }
    None
}
