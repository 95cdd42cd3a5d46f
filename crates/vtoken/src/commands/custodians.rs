//! MANAGE PUBLIC KEY AUTHENTICATION: status, registration and listing of custodian keys.

use chancery_iso7816::StatusWord;
use chancery_schsm::PkaStatus;
use zeroize::Zeroizing;

use crate::access::Act;
use crate::apdu::Command;
use crate::card::{Answer, Card, Outcome};
use crate::state::{Change, Pka, RegisteredKey};
use crate::trust::Remembered;

/// The longest signatures EXTERNAL AUTHENTICATE takes come from curves of this many bytes.
const CUSTODIAN_FIELD: usize = 32;

/// P1 00: status, or registration into the next free slot. 01: replacement of slot P2. 02: who is in slot P2.
pub(crate) fn run(card: &mut Card, command: &Command<'_>) -> Outcome {
    let pka = card
        .state()
        .pka
        .as_ref()
        .ok_or(StatusWord::INSTRUCTION_NOT_SUPPORTED)?;
    let slot = command.p2;
    match (command.p1, slot) {
        (0x00, 0x00) if command.data.is_empty() && !request_waits(card) => status(card),
        (0x00, 0x00) => {
            let free = pka.slots.iter().position(Option::is_none);
            let free = free.ok_or(StatusWord::CONDITIONS_NOT_SATISFIED)?;
            let slot = u8::try_from(free).map_err(|_| StatusWord::UNKNOWN_ERROR)?;
            card.require(Act::RegisterCustodian)?;
            register(card, slot, command.data)
        }
        (0x01, _) => {
            card.require(Act::ReplaceCustodian)?;
            occupied(pka, slot)?;
            register(card, slot, command.data)
        }
        (0x02, _) => {
            let data = Zeroizing::new(occupied(pka, slot)?.chr.as_bytes().to_vec());
            let answered = card.session.custodians.contains(&slot);
            let status = if answered {
                StatusWord::OK_AUTHENTICATED
            } else {
                StatusWord::OK
            };
            Ok(Answer { data, status })
        }
        _ => Err(StatusWord::INCORRECT_P1_P2),
    }
}

/// Puts a key into a slot. Until the last free one is filled the keys open nothing.
fn register(card: &mut Card, slot: u8, data: &[u8]) -> Outcome {
    let data = card.long_data(data);
    let key = attested(card, &data)?;
    let slots = card
        .state()
        .pka
        .iter()
        .flat_map(|pka| pka.slots.iter().enumerate());
    let mut others = slots
        .filter(|(index, _)| *index != usize::from(slot))
        .filter_map(|(_, key)| key.as_ref());
    if others.any(|other| other.chr == key.chr || other.spki == key.spki) {
        return Err(StatusWord::CONDITIONS_NOT_SATISFIED);
    }
    card.commit(&[Change::RegisterPka { slot, key }])?;
    card.session.custodians.remove(&slot);
    status(card)
}

/// The key of an authenticated request of a device whose certificate was verified before.
fn attested(card: &Card, data: &[u8]) -> Result<RegisteredKey, StatusWord> {
    let request = Remembered::vouched(data, card.state(), &card.session)?;
    let public_key = request.request().public_key();
    let narrow = public_key
        .domain()
        .is_some_and(|domain| domain.order_len() == CUSTODIAN_FIELD);
    if !narrow {
        return Err(StatusWord::WRONG_DATA);
    }
    Ok(RegisteredKey {
        chr: request.request().chr().as_str().to_owned(),
        spki: public_key.to_spki_der().map_err(|_| StatusWord::WRONG_DATA)?,
        request: request.content().to_vec(),
    })
}

/// Without data the command asks for the status, unless a request waits in EF 2F10.
fn request_waits(card: &Card) -> bool {
    let waiting = card
        .session
        .scratch
        .as_deref()
        .map(Vec::as_slice)
        .unwrap_or_default();
    waiting.starts_with(&[0x7F, 0x21]) || waiting.starts_with(&[0x67])
}

fn occupied(pka: &Pka, slot: u8) -> Result<&RegisteredKey, StatusWord> {
    pka.slots
        .get(usize::from(slot))
        .and_then(Option::as_ref)
        .ok_or(StatusWord::REFERENCE_NOT_FOUND)
}

fn status(card: &Card) -> Outcome {
    let pka = card
        .state()
        .pka
        .as_ref()
        .ok_or(StatusWord::INSTRUCTION_NOT_SUPPORTED)?;
    let count = |number: usize| u8::try_from(number).map_err(|_| StatusWord::UNKNOWN_ERROR);
    let status = PkaStatus {
        total: count(pka.slots.len())?,
        missing: count(pka.slots.iter().filter(|slot| slot.is_none()).count())?,
        required: pka.required,
        authenticated: count(card.session.custodians.len())?,
    };
    Ok(Answer::data(status.encode().to_vec()))
}
