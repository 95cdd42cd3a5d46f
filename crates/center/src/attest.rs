//! Where a key was born: the chain of a token and the token's statement about a key.

use chancery_api::{Failure, FailureKind};
use chancery_cvc::{AuthenticatedRequest, DeviceChain, Genuineness, TrustAnchors};

use crate::text;

/// A key that its token vouches for.
pub(crate) struct Attested {
    /// CHR of the token's device certificate.
    pub(crate) device: String,
    /// What the token's chain says it is.
    pub(crate) genuineness: Genuineness,
    /// CHR of the key.
    pub(crate) chr: String,
    /// SubjectPublicKeyInfo, DER.
    pub(crate) spki: Vec<u8>,
}

/// Checks chain and statement.
pub(crate) fn attested(
    anchors: &TrustAnchors,
    chain: &[u8],
    request: &[u8],
    what: &str,
) -> Result<Attested, Failure> {
    let refuse = |why: String| {
        Failure::new(FailureKind::Refused, format!("{what}: {why}")).with_remedy(
            "the key must be generated in a token whose device certificate leads to a trusted root",
        )
    };
    let identity = DeviceChain::parse(chain)
        .map_err(|error| {
            refuse(format!(
                "the token's certificates cannot be read: {}",
                text::chain(&error)
            ))
        })?
        .verify(anchors, None)
        .map_err(|error| {
            refuse(format!(
                "the token's certificates do not hold: {}",
                text::chain(&error)
            ))
        })?;
    let key = AuthenticatedRequest::parse(request)
        .map_err(|error| {
            refuse(format!(
                "the token's statement about the key cannot be read: {}",
                text::chain(&error)
            ))
        })?
        .verify(&identity)
        .map_err(|error| {
            refuse(format!(
                "the token's statement about the key does not hold: {}",
                text::chain(&error)
            ))
        })?;
    Ok(Attested {
        device: identity.name().to_string(),
        genuineness: identity.genuine(),
        chr: key.chr().to_string(),
        spki: key
            .public_key()
            .to_spki_der()
            .map_err(|error| refuse(format!("the key has no usual form: {}", text::chain(&error))))?,
    })
}
