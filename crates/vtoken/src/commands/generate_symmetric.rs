//! GENERATE SYMMETRIC KEY: an AES key.

use chancery_iso7816::StatusWord;
use chancery_iso7816::tlv::Reader;
use zeroize::Zeroizing;

use super::attributes::Attributes;
use crate::access::Act;
use crate::apdu::Command;
use crate::card::{Answer, Card, Outcome, random};
use crate::secret::SecretBytes;
use crate::state::{Change, KeyKind, KeyRecord};

/// P1: id of the key, which is created or replaced. P2: B0, B1 and B2 for 128, 192 and 256 bits. Description and label
/// are for the host to write.
pub(crate) fn run(card: &mut Card, command: &Command<'_>) -> Outcome {
    let length = match (command.p1, command.p2) {
        (1.., 0xB0) => 16,
        (1.., 0xB1) => 24,
        (1.., 0xB2) => 32,
        _ => return Err(StatusWord::INCORRECT_P1_P2),
    };
    card.require(Act::UseKeys)?;
    let attributes = Attributes::read(&mut Reader::new(command.data)).ok_or(StatusWord::WRONG_DATA)?;
    let record = attributes.record(card, KeyKind::Aes)?;
    let mut secret = Zeroizing::new(vec![0; length]);
    random(&mut secret)?;
    let key = KeyRecord {
        secret: SecretBytes::new(secret),
        ..record
    };
    card.commit(&[Change::PutKey { id: command.p1, key }])?;
    Ok(Answer::done())
}
