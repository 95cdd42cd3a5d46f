//! SIGN (a proprietary form of ISO/IEC 7816-8 11.6).

use chancery_iso7816::StatusWord;

use crate::access::Act;
use crate::apdu::Command;
use crate::card::{Answer, Card, Outcome, refused};
use crate::state::Change;

/// P1: key id, P2: algorithm identifier. EC signatures are DER, RSA signatures as long as the modulus.
pub(crate) fn run(card: &mut Card, command: &Command<'_>) -> Outcome {
    card.require(Act::UseKeys)?;
    permit(card, command.p1, command.p2)?;
    let key = card.key(command.p1)?;
    let job = key.prepare_sign(command.p2, command.data).map_err(refused)?;
    count_use(card, command.p1)?;
    let signature = job.run().map_err(refused)?;
    if let Some(witness) = &mut card.witness {
        witness(command.p1, command.data);
    }
    Ok(Answer::data(signature))
}

/// What the key itself says: 6A88 without such a key, 6A81 when the algorithm is not in its list, 6984 when its uses
/// are spent.
pub(crate) fn permit(card: &Card, id: u8, algorithm: u8) -> Result<(), StatusWord> {
    let key = card
        .state()
        .keys
        .get(&id)
        .ok_or(StatusWord::REFERENCE_NOT_FOUND)?;
    if key
        .algorithms
        .as_ref()
        .is_some_and(|list| !list.contains(&algorithm))
    {
        return Err(StatusWord::FUNCTION_NOT_SUPPORTED);
    }
    if key.use_counter == Some(0) {
        return Err(StatusWord::REFERENCE_DATA_NOT_USABLE);
    }
    Ok(())
}

/// Takes one use of a counted key, durably, before it is used: pulling the plug gives nothing back.
pub(crate) fn count_use(card: &mut Card, id: u8) -> Result<(), StatusWord> {
    let counter = card.state().keys.get(&id).and_then(|key| key.use_counter);
    let Some(uses) = counter else { return Ok(()) };
    let left = uses.checked_sub(1).ok_or(StatusWord::REFERENCE_DATA_NOT_USABLE)?;
    card.commit(&[Change::SetUseCounter { id, left }])
}
