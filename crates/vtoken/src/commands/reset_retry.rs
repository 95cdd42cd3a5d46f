//! RESET RETRY COUNTER (ISO/IEC 7816-4 11.5.10) of the user PIN, with the SO-PIN.

use chancery_iso7816::StatusWord;

use super::pin::{SO_PIN, USER_PIN, check, replacement};
use crate::access::{OPTION_RESET_ONLY, OPTION_RESET_RETRY};
use crate::apdu::Command;
use crate::card::{Answer, Card, Outcome};
use crate::session::Granted;
use crate::state::{Change, PinReference};

/// P1 00: SO-PIN | new PIN. P1 01: SO-PIN, the PIN stays. Option 0001 enables both, option 0020 only the second.
/// Nobody is logged in by it.
pub(crate) fn run(card: &mut Card, command: &Command<'_>) -> Outcome {
    if command.p2 != 0x81 || card.state().user_pin.is_none() {
        return Err(StatusWord::REFERENCE_NOT_FOUND);
    }
    let options = card.state().options;
    let (only_reset, enabled) = (
        options & OPTION_RESET_ONLY != 0,
        options & OPTION_RESET_RETRY != 0,
    );
    let allowed = match command.p1 {
        0x00 => enabled && !only_reset,
        0x01 => enabled || only_reset,
        _ => return Err(StatusWord::INCORRECT_P1_P2),
    };
    if !allowed {
        return Err(StatusWord::CONDITIONS_NOT_SATISFIED);
    }
    let (so_pin, new) = command
        .data
        .split_at_checked(SO_PIN)
        .ok_or(StatusWord::WRONG_LENGTH)?;
    let new_fits = if command.p1 == 0 {
        USER_PIN.contains(&new.len())
    } else {
        new.is_empty()
    };
    if !new_fits {
        return Err(StatusWord::WRONG_LENGTH);
    }
    check(card, PinReference::So, so_pin)?;
    let record = card
        .state()
        .user_pin
        .as_ref()
        .ok_or(StatusWord::REFERENCE_NOT_FOUND)?;
    let (tries, transport) = (record.tries_max, record.transport);
    let reference = PinReference::User;
    let change = if command.p1 == 0 {
        Change::SetPin {
            reference,
            pin: Some(replacement(reference, new, tries, transport)?),
        }
    } else {
        Change::PinTries {
            reference,
            left: tries,
        }
    };
    card.commit(&[change])?;
    card.session.user_pin = Granted::No;
    Ok(Answer::done())
}
