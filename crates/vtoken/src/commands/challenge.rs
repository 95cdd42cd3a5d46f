//! GET CHALLENGE (ISO/IEC 7816-4 11.5.3).

use chancery_iso7816::StatusWord;

use crate::apdu::Command;
use crate::card::{Answer, Card, Outcome, random};
use crate::session::CHALLENGE_LENGTH;

/// Most random bytes one command gives.
const MOST: usize = 1024;

/// Replaces the pending challenge, and nothing else: custodians that answered before stay. Only 8 bytes are a
/// challenge; any other length is just random bytes, and nothing is pending afterwards.
pub(crate) fn run(card: &mut Card, command: &Command<'_>) -> Outcome {
    if command.p1p2() != 0 {
        return Err(StatusWord::INCORRECT_P1_P2);
    }
    if command.expected == 0 || !command.data.is_empty() {
        return Err(StatusWord::WRONG_LENGTH);
    }
    let mut bytes = vec![0; command.expected.min(MOST)];
    random(&mut bytes)?;
    card.session.challenge = <[u8; CHALLENGE_LENGTH]>::try_from(bytes.as_slice()).ok();
    Ok(Answer::data(bytes))
}
