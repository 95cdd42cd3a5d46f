//! CIPHER: operations with an AES key.

use super::sign::{count_use, permit};
use crate::access::Act;
use crate::apdu::Command;
use crate::card::{Answer, Card, Outcome, refused};

/// P1: key id, P2: algorithm identifier. 10 and 11: CBC with a zero IV, whole blocks; the host adds an IV of its own to
/// the first block. 18: CMAC. 99: 32 bytes derived from the data.
pub(crate) fn run(card: &mut Card, command: &Command<'_>) -> Outcome {
    card.require(Act::UseKeys)?;
    permit(card, command.p1, command.p2)?;
    let key = card.key(command.p1)?;
    let job = key.prepare_cipher(command.p2, command.data).map_err(refused)?;
    count_use(card, command.p1)?;
    Ok(Answer::data(job.run().map_err(refused)?))
}
