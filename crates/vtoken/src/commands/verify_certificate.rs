//! PERFORM SECURITY OPERATION: VERIFY CERTIFICATE (ISO/IEC 7816-8 11.9).

use chancery_cvc::Certificate;
use chancery_iso7816::StatusWord;

use crate::apdu::Command;
use crate::card::{Answer, Card, Outcome};
use crate::trust::Remembered;

/// The data is the content of a certificate, 7F4E and 5F37. It is verified with the key chosen by MANAGE SECURITY
/// ENVIRONMENT and remembered until SELECT or reset.
pub(crate) fn run(card: &mut Card, command: &Command<'_>) -> Outcome {
    if command.p1p2() != 0x00BE {
        return Err(StatusWord::INCORRECT_P1_P2);
    }
    let issuer = card
        .session
        .verifier
        .clone()
        .ok_or(StatusWord::CONDITIONS_NOT_SATISFIED)?;
    let issuer =
        Remembered::find(&issuer, card.state(), &card.session).ok_or(StatusWord::REFERENCE_NOT_FOUND)?;
    let certificate = Certificate::parse_content(command.data).map_err(|_| StatusWord::WRONG_DATA)?;
    let holder = issuer.certify(&certificate).ok_or(StatusWord::WRONG_DATA)?;
    card.session.remember(holder);
    Ok(Answer::done())
}
