//! Proof that a key was generated in a known token, before anybody uses it.

use chancery_cvc::{AttestedKey, AuthenticatedRequest, ChainError, DeviceIdentity, ParseError, PublicKey};
use chancery_iso7816::Transport;
use chancery_schsm::fid;

use crate::card::Authenticated;
use crate::error::Error;
use crate::key::{GeneratedKey, KeyAlgorithm, KeySpec};
use crate::session::sealed::HasSession;

/// A key whose origin is not proven.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttestError {
    /// A certificate or request is damaged.
    #[error("the proof of the key's origin cannot be read")]
    Format(#[source] ParseError),
    /// The token's chain is not accepted.
    #[error("the chain of the token is not accepted")]
    Chain(#[source] ChainError),
    /// The request is not this token's, or a signature in it is wrong.
    #[error("the key's request does not prove that this token generated it")]
    Request(#[source] chancery_cvc::AttestError),
    /// The token generated another kind of key than was asked for.
    #[error("the token generated another kind of key than the {wanted} asked for")]
    OtherKind {
        /// What was asked for.
        wanted: String,
    },
    /// A card command failed.
    #[error(transparent)]
    Card(#[from] Error),
}

/// Checks a generated key's request against the identity of the token it came from: outer authority, outer and inner
/// signature, kind of key.
///
/// # Errors
/// [`AttestError`]; the key must then not be used.
pub fn verify(
    key: &GeneratedKey,
    spec: &KeySpec,
    device: &DeviceIdentity,
) -> Result<AttestedKey, AttestError> {
    let request = AuthenticatedRequest::parse(&key.request).map_err(AttestError::Format)?;
    let attested = request.verify(device).map_err(AttestError::Request)?;
    let as_asked = match (spec.algorithm, request.request().public_key()) {
        (KeyAlgorithm::Ec(curve), PublicKey::Ec(key)) => key.domain().curve() == Some(curve),
        (KeyAlgorithm::Rsa(bits), PublicKey::Rsa(key)) => key.bits() == usize::from(bits),
        _ => false,
    };
    if !as_asked {
        let wanted = match spec.algorithm {
            KeyAlgorithm::Ec(curve) => format!("{curve} key"),
            KeyAlgorithm::Rsa(bits) => format!("RSA-{bits} key"),
        };
        return Err(AttestError::OtherKind { wanted });
    }
    Ok(attested)
}

impl<T: Transport> Authenticated<T> {
    /// Generates a key and verifies its request before giving it out. A key that fails is deleted again.
    ///
    /// # Errors
    /// [`AttestError`]; no key is left behind unless the link was lost.
    pub fn generate_attested(
        &mut self,
        spec: &KeySpec,
        device: &DeviceIdentity,
    ) -> Result<(GeneratedKey, AttestedKey), AttestError> {
        let generated = self.generate(spec)?;
        match verify(&generated, spec, device) {
            Ok(attested) => Ok((generated, attested)),
            Err(error) => {
                let session = self.session();
                session.delete_file(fid::key(spec.id))?;
                session.delete_file(fid::certificate(spec.id))?;
                Err(error)
            }
        }
    }
}
