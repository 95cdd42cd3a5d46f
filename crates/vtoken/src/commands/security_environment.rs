//! MANAGE SECURITY ENVIRONMENT (ISO/IEC 7816-4 11.5.11): choose a key by its holder's name, or a protocol.

use chancery_cvc::Reference;
use chancery_iso7816::StatusWord;
use chancery_iso7816::tlv::{Reader, Tag};
use chancery_schsm::secure_messaging::Protocol;

use crate::access::quorum_in_force;
use crate::apdu::Command;
use crate::card::{Answer, Card, Outcome};
use crate::trust::Remembered;

/// P1-P2 81B6: verification key of the next certificate. 81A4: custodian key of the next EXTERNAL AUTHENTICATE.
/// 41A4: protocol of chip authentication. 6A88 when the card knows no such key, 6A80 when it knows no such protocol; the
/// choice of before then stands.
pub(crate) fn manage(card: &mut Card, command: &Command<'_>) -> Outcome {
    match command.p1p2() {
        0x81B6 => {
            let name = name(command.data)?;
            Remembered::find(&name, card.state(), &card.session).ok_or(StatusWord::REFERENCE_NOT_FOUND)?;
            card.session.verifier = Some(name);
        }
        0x81A4 => {
            let name = name(command.data)?;
            let pka = card.state().pka.as_ref().ok_or(StatusWord::REFERENCE_NOT_FOUND)?;
            let named = |key: &Option<crate::state::RegisteredKey>| {
                key.as_ref().is_some_and(|key| key.chr == name.as_str())
            };
            let slot = pka
                .slots
                .iter()
                .position(named)
                .ok_or(StatusWord::REFERENCE_NOT_FOUND)?;
            if !quorum_in_force(card.state()) {
                return Err(StatusWord::CONDITIONS_NOT_SATISFIED);
            }
            card.session.custodian = Some(u8::try_from(slot).map_err(|_| StatusWord::UNKNOWN_ERROR)?);
        }
        0x41A4 => {
            let protocol = value(command.data, Tag(0x80))?;
            let protocol = Protocol::from_oid(protocol).ok_or(StatusWord::WRONG_DATA)?;
            card.session.protocol = Some(protocol);
        }
        _ => return Err(StatusWord::INCORRECT_P1_P2),
    }
    Ok(Answer::done())
}

/// The holder in DO 83.
fn name(data: &[u8]) -> Result<Reference, StatusWord> {
    Reference::from_bytes(value(data, Tag(0x83))?).map_err(|_| StatusWord::REFERENCE_NOT_FOUND)
}

/// Value of this data object, which has to be the only one.
fn value(data: &[u8], tag: Tag) -> Result<&[u8], StatusWord> {
    let mut objects = Reader::new(data);
    let object = objects.expect(tag).map_err(|_| StatusWord::WRONG_DATA)?;
    objects.finish().map_err(|_| StatusWord::WRONG_DATA)?;
    Ok(object.value)
}
