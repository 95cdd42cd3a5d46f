//! The bytes that no signature covers: outer tags and lengths, and what follows the last signature.
//!
//! The encoding rules let a length be longer than it has to be, so that a byte could be added to authentic evidence
//! without a signature noticing. Evidence is therefore encoded again from what its signatures cover, and has to come out
//! the same.

use chancery_cvc::{AuthenticatedRequest, Certificate, DeviceChain, DeviceIdentity};
use chancery_iso7816::tlv::{Tag, Writer};

/// Whether a chain has the one encoding its signed parts give it, and holds nothing that does not belong to the
/// verified device: no second path, no certificate twice, no request.
pub(crate) fn chain(bytes: &[u8], chain: &DeviceChain, device: &DeviceIdentity) -> bool {
    let mut out = Writer::new();
    let mut seen: Vec<&Certificate> = Vec::new();
    for certificate in chain.certificates() {
        let belongs = device.trusted().path().any(|link| link == certificate);
        if !belongs || seen.contains(&certificate) {
            return false;
        }
        seen.push(certificate);
        out.nested(CERTIFICATE, |out| {
            out.raw(certificate.signed_bytes())
                .tlv(SIGNATURE, certificate.signature());
        });
    }
    chain.request().is_none() && out.finish() == bytes
}

/// Whether a request, with or without its DO 67, has the one encoding its signed parts give it. The inner signature
/// and all of its lengths are under the outer one.
pub(crate) fn request(bytes: &[u8], request: &AuthenticatedRequest) -> bool {
    let mut content = Writer::new();
    content
        .raw(request.outer_signed_bytes())
        .tlv(SIGNATURE, request.outer_signature());
    let content = content.finish();
    let mut whole = Writer::new();
    whole.tlv(AUTHENTICATION, &content);
    whole.finish() == bytes || content == bytes
}

const CERTIFICATE: Tag = Tag(0x7F21);
const SIGNATURE: Tag = Tag(0x5F37);
const AUTHENTICATION: Tag = Tag(0x67);
