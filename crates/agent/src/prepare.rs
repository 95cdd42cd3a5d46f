//! The two keys of a person's token: one signs acts, the other answers HSMs. Neither does anything else.

use chancery_cvc::Curve;
use chancery_driver::{AttestError, Error as CardError, KeyAlgorithm, KeySpec, custodian};
use chancery_schsm::{Algorithm, AlgorithmList, KeyId, fid};

use crate::{AgentError, token::UnlockedToken};

/// Key id of the custodian key on a person's token.
pub const CUSTODIAN_KEY: KeyId = KeyId(1);

/// Key id of the key that signs acts.
pub const ACT_KEY: KeyId = KeyId(2);

/// What a token says of a key of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// EF 2F02: device certificate and issuer.
    pub chain: Vec<u8>,
    /// The key's authenticated request, content of CExx.
    pub key_request: Vec<u8>,
}

/// The key that signs acts: P-256, algorithm list 73 alone. Generated when it is not there yet.
///
/// # Errors
/// When the token refuses, or another kind of key stands under the id.
pub fn act_key(
    token: &mut UnlockedToken,
    anchors: &chancery_cvc::TrustAnchors,
) -> Result<Evidence, AgentError> {
    let name = token.name.clone();
    let failed = |source: AttestError| AgentError::ActKey {
        name: name.clone(),
        source,
    };
    let card = &mut token.card;
    let device = card.device_identity(anchors).map_err(AgentError::card(&name))?;
    if card
        .key_attributes(ACT_KEY)
        .map_err(AgentError::card(&name))?
        .is_none()
    {
        let refused = |why: String| AgentError::Chain {
            what: format!("token {name}"),
            why,
        };
        let spec = KeySpec {
            id: ACT_KEY,
            algorithm: KeyAlgorithm::Ec(Curve::Secp256r1),
            chr: device
                .name()
                .with_sequence(ACT_KEY.0.into())
                .map_err(|error| refused(error.to_string()))?,
            algorithms: AlgorithmList::new(&[Algorithm::EcdsaSha256])
                .map_err(|error| refused(error.to_string()))?,
            key_domain: None,
            use_counter: None,
        };
        card.generate_attested(&spec, &device).map_err(failed)?;
    }
    read(token, ACT_KEY)
}

/// The key that answers HSMs: brainpoolP256r1, algorithm list 73 alone. Generated when it is not there yet.
///
/// # Errors
/// When the token refuses, or the key under the id may be used for other things.
pub fn custodian_key(
    token: &mut UnlockedToken,
    anchors: &chancery_cvc::TrustAnchors,
) -> Result<Evidence, AgentError> {
    let name = token.name.clone();
    let failed = |source| AgentError::Custodian {
        name: name.clone(),
        source,
    };
    let known = token
        .card
        .key_attributes(CUSTODIAN_KEY)
        .map_err(AgentError::card(&name))?;
    if known.is_some() {
        custodian::custodian_registration(&mut token.card, CUSTODIAN_KEY).map_err(failed)?;
    } else {
        custodian::custodian_request(&mut token.card, CUSTODIAN_KEY, anchors).map_err(failed)?;
    }
    read(token, CUSTODIAN_KEY)
}

fn read(token: &mut UnlockedToken, key: KeyId) -> Result<Evidence, AgentError> {
    let name = token.name.clone();
    let mut file = |id, what: &str| -> Result<Vec<u8>, AgentError> {
        let content: Result<_, CardError> = token.card.read_file(id);
        content
            .map_err(AgentError::card(&name))?
            .ok_or_else(|| AgentError::Chain {
                what: format!("token {name}"),
                why: format!("{what} is not there"),
            })
    };
    Ok(Evidence {
        chain: file(fid::DEVICE_CERTIFICATES, "the device certificate")?,
        key_request: file(fid::certificate(key), "the statement about the key")?,
    })
}
