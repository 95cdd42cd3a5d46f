//! GENERATE SESSION PIN: a random PIN that stands in for the user PIN.

use chancery_iso7816::StatusWord;
use zeroize::Zeroizing;

use crate::access::OPTION_SESSION_PIN;
use crate::apdu::Command;
use crate::card::{Answer, Card, Outcome, SESSION_PIN, random};

/// Answers with a new PIN and forgets the one before. Only in a secure channel and after VERIFY of the user PIN (6982),
/// and only on a token initialised for it (6D00).
pub(crate) fn run(card: &mut Card, command: &Command<'_>) -> Outcome {
    if card.state().options & OPTION_SESSION_PIN == 0 {
        return Err(StatusWord::INSTRUCTION_NOT_SUPPORTED);
    }
    if command.p1p2() != 0x0181 {
        return Err(StatusWord::INCORRECT_P1_P2);
    }
    if !command.protected || !card.session.user_pin.holds() {
        return Err(StatusWord::SECURITY_STATUS_NOT_SATISFIED);
    }
    if !command.data.is_empty() || command.expected < SESSION_PIN {
        return Err(StatusWord::WRONG_LENGTH);
    }
    let mut pin = Zeroizing::new([0; SESSION_PIN]);
    random(pin.as_mut_slice())?;
    let answer = Zeroizing::new(pin.to_vec());
    card.session_pin = Some(pin);
    Ok(Answer::data(answer))
}
