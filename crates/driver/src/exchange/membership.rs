//! A membership: the group signer's signature that admits one device.

use chancery_cvc::{CvKey, DeviceIdentity, PublicKey, Reference, TrustAnchors};
use chancery_iso7816::tlv::{Reader, Tag, Writer};

use super::MAX_FILE;
use super::error::{ExchangeFormatError, ExchangeProofError};
use super::vouched::VouchedRequest;
use crate::registration::whole_certificate;

/// OID 1.3.6.1.4.1.24991.4.2.1 of a membership file.
const MEMBERSHIP_FILE: [u8; 11] = [0x2B, 0x06, 0x01, 0x04, 0x01, 0x81, 0xC3, 0x1F, 0x04, 0x02, 0x01];

/// Tag of the signature; the same byte stands before what it is over.
const SIGNATURE: u8 = 0x54;

/// A membership as its file holds it. Read, not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    signer: VouchedRequest,
    signature: Vec<u8>,
}

/// A membership that admits a known device to a group whose signer is on a known device.
#[derive(Clone, Debug)]
pub struct VerifiedMembership {
    membership: Membership,
    signer: DeviceIdentity,
    member: Reference,
}

impl Membership {
    /// From the group signer's request with the chain of its token, and the plain signature (`r | s`).
    ///
    /// # Errors
    /// The signature has not the length that the signer's curve gives.
    pub fn new(signer: VouchedRequest, signature: &[u8]) -> Result<Self, ExchangeFormatError> {
        if signature.len() != 2 * signer.key().domain().order_len() {
            return Err(ExchangeFormatError::Shape(
                "the signature is not as long as the group signer's curve makes it",
            ));
        }
        Ok(Self {
            signer,
            signature: signature.to_vec(),
        })
    }

    /// Reads a file: `30 { 06 OID, 61 issuer, 62 device, 63 request, 54 signature }`, nothing else and nothing behind.
    ///
    /// # Errors
    /// The file is too long, or not that.
    pub fn decode(file: &[u8]) -> Result<Self, ExchangeFormatError> {
        if file.len() > MAX_FILE {
            return Err(ExchangeFormatError::TooLong { length: file.len() });
        }
        let mut outer = Reader::new(file);
        let mut parts = outer.expect(Tag(0x30))?.children();
        outer.finish()?;
        if parts.expect(Tag(0x06))?.value != MEMBERSHIP_FILE {
            return Err(ExchangeFormatError::Shape("another object identifier"));
        }
        let dica = parts.expect(Tag(0x61))?;
        let device = parts.expect(Tag(0x62))?;
        let request = parts.expect(Tag(0x63))?;
        let signature = parts.expect(Tag(u32::from(SIGNATURE)))?;
        parts.finish()?;
        let signer = VouchedRequest::new(
            &whole_certificate(dica.value),
            &whole_certificate(device.value),
            request.value,
        )?;
        Self::new(signer, signature.value)
    }

    /// The file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut file = Writer::new();
        file.nested(Tag(0x30), |parts| {
            parts
                .tlv(Tag(0x06), &MEMBERSHIP_FILE)
                .tlv(Tag(0x61), self.signer.dica().as_bytes())
                .tlv(Tag(0x62), self.signer.device().as_bytes())
                .tlv(Tag(0x63), self.signer.request().content())
                .tlv(Tag(u32::from(SIGNATURE)), &self.signature);
        });
        file.finish()
    }

    /// Verifies that the group signer is a key of a device known to `anchors`, and that it admits `member`.
    ///
    /// # Errors
    /// [`ExchangeProofError`].
    pub fn verify(
        self,
        anchors: &TrustAnchors,
        member: &DeviceIdentity,
    ) -> Result<VerifiedMembership, ExchangeProofError> {
        let (signer, _) = self.signer.verify(anchors)?;
        let refused = |source| ExchangeProofError::Membership {
            member: member.name().clone(),
            source,
        };
        let message = signed_for(member).ok_or_else(|| ExchangeProofError::DeviceKey {
            device: member.name().clone(),
        })?;
        CvKey::with_sha256(PublicKey::Ec(self.signer.key().clone()))
            .verify(&message, &self.signature)
            .map_err(refused)?;
        Ok(VerifiedMembership {
            membership: self,
            signer,
            member: member.name().clone(),
        })
    }

    /// Identifier of the group: x | y of its signer's key, 64 bytes on curves of 256 bits.
    #[must_use]
    pub fn group(&self) -> &[u8] {
        self.signer.coordinates()
    }

    /// The group signer's request with the chain of its token.
    #[must_use]
    pub const fn signer(&self) -> &VouchedRequest {
        &self.signer
    }

    /// What a token takes: content of the signer's request, and the signature in its data object.
    pub(super) fn command_data(&self) -> Vec<u8> {
        let mut data = Writer::new();
        data.raw(self.signer.request().content())
            .tlv(Tag(u32::from(SIGNATURE)), &self.signature);
        data.finish()
    }
}

impl VerifiedMembership {
    /// The membership.
    #[must_use]
    pub const fn membership(&self) -> &Membership {
        &self.membership
    }

    /// The device that holds the group signer.
    #[must_use]
    pub const fn signer(&self) -> &DeviceIdentity {
        &self.signer
    }

    /// The device it admits.
    #[must_use]
    pub const fn member(&self) -> &Reference {
        &self.member
    }
}

/// What a membership signature is over: 54 and x of the device's public key. `None` when the key is on no curve.
pub(super) fn signed_for(member: &DeviceIdentity) -> Option<Vec<u8>> {
    let PublicKey::Ec(key) = member.device_key() else {
        return None;
    };
    let coordinates = key.point().get(1..)?;
    let x = coordinates.get(..coordinates.len() / 2)?;
    Some([&[SIGNATURE], x].concat())
}
