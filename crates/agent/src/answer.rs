//! Answering an HSM's challenge.

use chancery_api::UnlockChallengeView;
use chancery_cvc::TrustAnchors;
use chancery_driver::{Challenge, custodian};

use crate::{Accepted, AcceptedHsm, AgentError, CUSTODIAN_KEY, accepted::verify, token::UnlockedToken};

/// Answers the challenge of an HSM that this custodian accepted: the plain signature (r | s, 32 bytes each) over the name of the HSM's
/// device certificate and its challenge, built here.
///
/// # Errors
/// [`AgentError::NotAccepted`] before the token is asked anything; [`AgentError::Custodian`] when it does not sign.
pub fn answer_challenge(
    token: &mut UnlockedToken,
    accepted: &Accepted,
    anchors: &TrustAnchors,
    asked: &str,
    view: &UnlockChallengeView,
) -> Result<Vec<u8>, AgentError> {
    if view.hsm != asked {
        return Err(AgentError::NotAccepted {
            hsm: asked.to_owned(),
            why: format!("the node answered for HSM {} instead", crate::one_line(&view.hsm)),
        });
    }
    let identity = verify(asked, &view.chain.0, anchors)?;
    accepted.check(asked, &AcceptedHsm::from_chain(asked, &view.chain.0, anchors)?)?;
    let challenge: [u8; 8] = view
        .challenge
        .0
        .as_slice()
        .try_into()
        .map_err(|_| AgentError::NotAccepted {
            hsm: asked.to_owned(),
            why: format!("its challenge has {} bytes instead of 8", view.challenge.0.len()),
        })?;
    let name = token.name.clone();
    custodian::answer(
        &mut token.card,
        CUSTODIAN_KEY,
        identity.name(),
        Challenge(challenge),
    )
    .map(|signature| signature.to_vec())
    .map_err(|source| AgentError::Custodian { name, source })
}
