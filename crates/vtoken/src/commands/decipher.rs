//! DECIPHER (a proprietary form of ISO/IEC 7816-8 11.8), which also does key agreement.

use super::exchange;
use super::sign::{count_use, permit};
use crate::access::Act;
use crate::apdu::Command;
use crate::card::{Answer, Card, Outcome, refused};

/// P1: key id, P2: algorithm identifier. 21: the block after the private RSA operation, padding included. 80: the
/// shared point `04 | x | y`. 83: the same with a peer's key that its device vouches for. 84: agreement on the key
/// encryption key of an exchange key domain.
pub(crate) fn run(card: &mut Card, command: &Command<'_>) -> Outcome {
    card.require(Act::UseKeys)?;
    match command.p2 {
        exchange::AUTHENTICATED => return exchange::agree_with_authenticated(card, command),
        exchange::EXCHANGE => return exchange::derive(card, command),
        _ => {}
    }
    permit(card, command.p1, command.p2)?;
    let key = card.key(command.p1)?;
    let job = key.prepare_decipher(command.p2, command.data).map_err(refused)?;
    count_use(card, command.p1)?;
    Ok(Answer::data(job.run().map_err(refused)?))
}
