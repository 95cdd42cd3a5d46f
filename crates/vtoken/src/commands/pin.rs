//! VERIFY and CHANGE REFERENCE DATA (ISO/IEC 7816-4 11.5.6, 11.5.7), and the one place where a PIN is checked.

use chancery_iso7816::StatusWord;
use subtle::ConstantTimeEq;

use crate::access::{OPTION_PIN_AND_PKA, authenticated, quorum_in_force, quorum_reached};
use crate::apdu::Command;
use crate::card::{Answer, Card, Outcome, random};
use crate::pin::PinRecord;
use crate::session::Granted;
use crate::state::{Change, PinReference};

/// Length of the user PIN in bytes.
pub(crate) const USER_PIN: std::ops::RangeInclusive<usize> = 6..=16;
/// Length of the SO-PIN in bytes.
pub(crate) const SO_PIN: usize = 8;
/// Tries of the SO-PIN.
pub(crate) const SO_PIN_TRIES: u8 = 15;

/// Most tries of a user PIN of so many bytes: short PINs get few.
pub(crate) fn most_tries(length: usize) -> u8 {
    match length {
        0..=6 => 3,
        7 => 5,
        _ => 10,
    }
}

/// VERIFY; without data the status of the reference.
pub(crate) fn verify(card: &mut Card, command: &Command<'_>) -> Outcome {
    if command.p1 != 0 {
        return Err(StatusWord::INCORRECT_P1_P2);
    }
    let reference = reference(card, command.p2)?;
    if command.data.is_empty() {
        return status(card, reference).map(|()| Answer::done());
    }
    if reference == PinReference::User {
        if !USER_PIN.contains(&command.data.len()) {
            return Err(StatusWord::WRONG_LENGTH);
        }
        match &card.state().user_pin {
            // The quorum alone opens this token: there is nothing a PIN could do.
            _ if quorum_alone(card) => return Err(StatusWord::AUTHENTICATION_FAILED),
            Some(pin) if pin.transport => return Err(StatusWord::REFERENCE_DATA_NOT_USABLE),
            _ => {}
        }
    } else if command.data.len() != SO_PIN {
        return Err(StatusWord::WRONG_LENGTH);
    }
    attempt(card, reference, command.data, Accepted::SessionPinToo)?;
    *verified(card, reference) = Granted::to(command.protected);
    Ok(Answer::done())
}

/// CHANGE REFERENCE DATA: old | new. Also how a transport PIN is replaced.
pub(crate) fn change(card: &mut Card, command: &Command<'_>) -> Outcome {
    if command.p1 != 0 {
        return Err(StatusWord::INCORRECT_P1_P2);
    }
    let reference = reference(card, command.p2)?;
    let shortest = if reference == PinReference::User {
        *USER_PIN.start()
    } else {
        SO_PIN
    };
    let record = card
        .state()
        .pin(reference)
        .ok_or(StatusWord::REFERENCE_NOT_FOUND)?;
    let tries = record.tries_max;
    if command.data.len() < 2 * shortest {
        return Err(StatusWord::WRONG_LENGTH);
    }
    // Data shorter than the old PIN is a wrong PIN as a whole. The old PIN is checked first: a complaint about the length
    // of the data or of the new PIN would tell the length of the old.
    let split = command.data.split_at_checked(usize::from(record.length));
    let (old, new) = split.unwrap_or((command.data, &[]));
    check(card, reference, old)?;
    let fits = match reference {
        PinReference::User => USER_PIN.contains(&new.len()),
        PinReference::So => new.len() == SO_PIN,
    };
    if !fits {
        return Err(StatusWord::WRONG_LENGTH);
    }
    let pin = Some(replacement(reference, new, tries, false)?);
    card.commit(&[Change::SetPin { reference, pin }])?;
    Ok(Answer::done())
}

/// Checks a PIN. The try is taken durably before the comparison and given back after success, so pulling the plug
/// in between gains nothing. A wrong PIN also ends the reference's verified state.
pub(crate) fn check(card: &mut Card, reference: PinReference, candidate: &[u8]) -> Result<(), StatusWord> {
    attempt(card, reference, candidate, Accepted::PinOnly)
}

/// What counts as the user PIN.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Accepted {
    /// The PIN itself.
    PinOnly,
    /// Also the session PIN, if one was drawn.
    SessionPinToo,
}

fn attempt(
    card: &mut Card,
    reference: PinReference,
    candidate: &[u8],
    accepted: Accepted,
) -> Result<(), StatusWord> {
    let record = card
        .state()
        .pin(reference)
        .ok_or(StatusWord::REFERENCE_NOT_FOUND)?
        .clone();
    if record.is_blocked() {
        return Err(StatusWord::AUTHENTICATION_BLOCKED);
    }
    let left = record.tries_left.saturating_sub(1);
    // From here on a PIN says who may write files, no longer the initialisation in the same session.
    card.session.initialised_here = Granted::No;
    card.commit(&[Change::PinTries { reference, left }])?;
    let by_session_pin = accepted == Accepted::SessionPinToo
        && reference == PinReference::User
        && card
            .session_pin
            .as_ref()
            .is_some_and(|pin| pin.as_slice().ct_eq(candidate).into());
    if by_session_pin {
        // Gives back its own try only: who has it could otherwise go on guessing the user PIN for ever.
        let left = record.tries_left;
        return card.commit(&[Change::PinTries { reference, left }]);
    }
    if !record.matches(candidate) {
        *verified(card, reference) = Granted::No;
        return Err(tries(left));
    }
    card.commit(&[Change::PinTries {
        reference,
        left: record.tries_max,
    }])
}

/// The record of a PIN that takes another one's place. A user PIN too short for the tries there were gets fewer.
pub(crate) fn replacement(
    reference: PinReference,
    pin: &[u8],
    tries: u8,
    transport: bool,
) -> Result<PinRecord, StatusWord> {
    let tries = match reference {
        PinReference::User => tries.min(most_tries(pin.len())),
        PinReference::So => tries,
    };
    record_of(pin, tries, transport)
}

/// A fresh record for a PIN.
pub(crate) fn record_of(pin: &[u8], tries: u8, transport: bool) -> Result<PinRecord, StatusWord> {
    let mut salt = [0; 16];
    random(&mut salt)?;
    Ok(PinRecord::new(pin, tries, transport, salt))
}

fn status(card: &Card, reference: PinReference) -> Result<(), StatusWord> {
    let state = card.state();
    let quorum_matters = reference == PinReference::User && quorum_in_force(state);
    if quorum_alone(card) && reference == PinReference::User {
        return if quorum_reached(state, &card.session) {
            Ok(())
        } else {
            Err(StatusWord::AUTHENTICATION_FAILED)
        };
    }
    let Some(pin) = state.pin(reference) else {
        // Public key authentication without a PIN whose keys are not all registered.
        return Err(StatusWord::AUTHENTICATION_FAILED);
    };
    let done = match reference {
        PinReference::User => card.session.user_pin.holds(),
        PinReference::So => card.session.so_pin.holds(),
    };
    match pin {
        pin if pin.is_blocked() => Err(StatusWord::AUTHENTICATION_BLOCKED),
        pin if pin.transport => Err(StatusWord::REFERENCE_DATA_NOT_USABLE),
        pin if !done => Err(tries(pin.tries_left)),
        _ if quorum_matters && !authenticated(state, &card.session) => Err(StatusWord::AUTHENTICATION_FAILED),
        _ => Ok(()),
    }
}

/// Whether the user PIN opens nothing because the quorum does.
fn quorum_alone(card: &Card) -> bool {
    quorum_in_force(card.state()) && card.state().options & OPTION_PIN_AND_PKA == 0
}

/// The PIN behind P2: 81 user PIN, 88 SO-PIN; 6A88 for others (85 and 86 are biometric templates) and before
/// initialisation.
fn reference(card: &Card, p2: u8) -> Result<PinReference, StatusWord> {
    match p2 {
        _ if !card.state().initialised => Err(StatusWord::REFERENCE_NOT_FOUND),
        0x81 => Ok(PinReference::User),
        0x88 => Ok(PinReference::So),
        _ => Err(StatusWord::REFERENCE_NOT_FOUND),
    }
}

fn verified(card: &mut Card, reference: PinReference) -> &mut Granted {
    match reference {
        PinReference::User => &mut card.session.user_pin,
        PinReference::So => &mut card.session.so_pin,
    }
}

/// 63Cx, and 6983 once no try is left.
fn tries(left: u8) -> StatusWord {
    if left == 0 {
        StatusWord::AUTHENTICATION_BLOCKED
    } else {
        StatusWord::with_retries_left(left)
    }
}
