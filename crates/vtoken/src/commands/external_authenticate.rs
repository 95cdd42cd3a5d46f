//! EXTERNAL AUTHENTICATE (ISO/IEC 7816-4 11.5.4): a custodian's answer.

use chancery_cvc::{CvKey, PublicKey};
use chancery_iso7816::StatusWord;

use crate::access::quorum_in_force;
use crate::apdu::Command;
use crate::card::{Answer, Card, Outcome};

/// The data is a plain ECDSA signature with SHA-256 over the holder reference of this device's certificate and the
/// pending challenge. The challenge is used up whatever the result; custodians that answered before stay.
pub(crate) fn run(card: &mut Card, command: &Command<'_>) -> Outcome {
    if command.p1p2() != 0 {
        return Err(StatusWord::INCORRECT_P1_P2);
    }
    let challenge = card
        .session
        .challenge
        .take()
        .ok_or(StatusWord::CONDITIONS_NOT_SATISFIED)?;
    let slot = card
        .session
        .custodian
        .ok_or(StatusWord::CONDITIONS_NOT_SATISFIED)?;
    if !quorum_in_force(card.state()) {
        return Err(StatusWord::CONDITIONS_NOT_SATISFIED);
    }
    let key = card
        .state()
        .pka
        .as_ref()
        .and_then(|pka| pka.slots.get(usize::from(slot))?.as_ref());
    let key = key.ok_or(StatusWord::REFERENCE_NOT_FOUND)?;
    let public_key = PublicKey::from_spki_der(&key.spki).map_err(|_| StatusWord::UNKNOWN_ERROR)?;
    let signed = [card.state().device.chr.as_bytes(), &challenge].concat();
    let answer = CvKey::with_sha256(public_key).verify(&signed, command.data);
    answer.map_err(|_| StatusWord::AUTHENTICATION_FAILED)?;
    card.session.custodians.insert(slot);
    Ok(Answer::done())
}
