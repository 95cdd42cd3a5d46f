//! The custodian's side, on the custodian's own token: the authentication key and its answers.

use chancery_cvc::{Curve, DeviceIdentity, Reference, TrustAnchors, der_to_plain};
use chancery_iso7816::Transport;
use chancery_schsm::{Algorithm, AlgorithmList, KeyId, fid};

use crate::attest::AttestError;
use crate::card::Authenticated;
use crate::challenge::{ANSWER_LENGTH, Challenge};
use crate::error::{Doing, Error};
use crate::key::{KeyAlgorithm, KeySpec};
use crate::registration::{PkaRegistration, RegistrationFormatError};
use crate::session::{AppletAccess, sealed::HasSession};

/// Length of one number of a plain signature on a 256-bit curve, in bytes.
const ORDER_LENGTH: usize = ANSWER_LENGTH / 2;

/// A custodian key that was not made, or does not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CustodianError {
    /// The key's origin is not proven.
    #[error("the custodian key's origin is not proven")]
    Attest(#[from] AttestError),
    /// What is on the token makes no registration.
    #[error("the custodian key cannot be registered")]
    Registration(#[from] RegistrationFormatError),
    /// No name can be made for the key.
    #[error("no name can be made for a key of {device}")]
    Name {
        /// Name of the device.
        device: Reference,
        /// Why.
        #[source]
        source: chancery_cvc::ReferenceError,
    },
    /// The key has no request any more, or never had one.
    #[error("key {0} has no request on the token")]
    NoRequest(KeyId),
    /// The key is used for other things, so that its holder could be talked into an unlock.
    #[error("key {0} is not limited to algorithm 73 and must not be a custodian key")]
    NotDedicated(KeyId),
    /// A card command failed.
    #[error(transparent)]
    Card(#[from] Error),
}

/// Generates a custodian key on the custodian's token: brainpoolP256r1, algorithm list 73 alone, named by the token's
/// serial number and the key id in five digits.
///
/// # Errors
/// The id is taken, the request does not prove the key's origin, or a command failed.
pub fn custodian_request<T: Transport>(
    token: &mut Authenticated<T>,
    id: KeyId,
    anchors: &TrustAnchors,
) -> Result<PkaRegistration, CustodianError> {
    let certificates = token.session().device_certificates()?;
    let device = token.device_identity(anchors)?;
    let spec = custodian_key_spec(&device, id)?;
    let (generated, _) = token.generate_attested(&spec, &device)?;
    Ok(PkaRegistration::from_chain(&certificates, &generated.request)?)
}

/// The registration of a custodian key that exists; its request must still stand in CExx.
///
/// # Errors
/// No such key or request, the key is not limited to algorithm 73, or a command failed.
pub fn custodian_registration(
    token: &mut impl AppletAccess,
    id: KeyId,
) -> Result<PkaRegistration, CustodianError> {
    let session = token.session();
    let attributes = session.key_attributes(id)?.ok_or(CustodianError::NoRequest(id))?;
    if attributes.algorithms.ids() != [Algorithm::EcdsaSha256.id()] {
        return Err(CustodianError::NotDedicated(id));
    }
    let request = session
        .read_object(fid::certificate(id))?
        .ok_or(CustodianError::NoRequest(id))?;
    let certificates = session.device_certificates()?;
    Ok(PkaRegistration::from_chain(&certificates, &request)?)
}

/// The custodian's answer: the plain signature r|s over the HSM's name and its challenge. One APDU.
///
/// Show the person which HSM it is for, and check `target` against the HSMs this custodian accepted, before.
///
/// # Errors
/// The key cannot sign, or the answer is no signature of a 256-bit key.
pub fn answer<T: Transport>(
    token: &mut Authenticated<T>,
    id: KeyId,
    target: &Reference,
    challenge: Challenge,
) -> Result<[u8; ANSWER_LENGTH], CustodianError> {
    let mut message = target.as_bytes().to_vec();
    message.extend_from_slice(&challenge.0);
    let signature = token.sign(id, Algorithm::EcdsaSha256, &message)?;
    let doing = Doing::new("SIGN", format!("answer with key {id}"));
    let plain = der_to_plain(&signature, ORDER_LENGTH)
        .map_err(|error| Error::protocol(&doing, format!("no signature of a 256-bit key: {error}")))?;
    let plain = plain.as_slice().try_into();
    Ok(plain.map_err(|_| Error::protocol(&doing, "a plain signature of another length"))?)
}

fn custodian_key_spec(device: &DeviceIdentity, id: KeyId) -> Result<KeySpec, CustodianError> {
    let chr = device.name();
    let algorithms = AlgorithmList::new(&[Algorithm::EcdsaSha256]).map_err(|error| {
        Error::input(
            &Doing::new("GENERATE ASYMMETRIC KEY PAIR", "custodian key"),
            error.to_string(),
        )
    })?;
    Ok(KeySpec {
        id,
        algorithm: KeyAlgorithm::Ec(Curve::BrainpoolP256r1),
        chr: chr
            .with_sequence(id.0.into())
            .map_err(|source| CustodianError::Name {
                device: chr.clone(),
                source,
            })?,
        algorithms,
        key_domain: None,
        use_counter: None,
    })
}
