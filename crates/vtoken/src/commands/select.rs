//! SELECT (ISO/IEC 7816-4 11.2.2): the application, an EF, a key.

use chancery_iso7816::StatusWord;
use chancery_iso7816::tlv::{Tag, Writer};
use sha2::{Digest, Sha256};

use crate::access::FID_SCRATCH;
use crate::apdu::Command;
use crate::card::{Answer, Card, Outcome};
use crate::session::Session;

/// Application identifier: E8 and OID 1.3.6.1.4.1.24991.2.1.
const AID: [u8; 11] = [0xE8, 0x2B, 0x06, 0x01, 0x04, 0x01, 0x81, 0xC3, 0x1F, 0x02, 0x01];
/// Application that some host software asks for the make of a device before it turns to [`AID`].
const RESCUE: [u8; 8] = [0xA0, 0x58, 0x3F, 0xC1, 0x9B, 0x7E, 0x4F, 0x21];
/// What [`RESCUE`] answers first: no hardware of its own, a device for keys.
const RESCUE_IDENTITY: [u8; 2] = [0x03, 0x01];
/// Length of the serial number that [`RESCUE`] tells, in bytes.
const RESCUE_SERIAL: usize = 8;
/// P1: the data is the name of an application.
pub(crate) const BY_NAME: u8 = 0x04;

pub(crate) fn run(card: &mut Card, command: &Command<'_>) -> Outcome {
    match command.p1 {
        BY_NAME => application(card, command),
        0x00 if card.session.selected => file(card, command),
        0x00 => Err(StatusWord::FILE_NOT_FOUND),
        _ => Err(StatusWord::INCORRECT_P1_P2),
    }
}

/// A successful SELECT of the application is the only logout: everything volatile is forgotten.
fn application(card: &mut Card, command: &Command<'_>) -> Outcome {
    let outer = match command.p2 {
        0x00 => Some(Tag(0x6F)),
        0x04 => Some(Tag(0x62)),
        0x0C => None,
        _ => return Err(StatusWord::INCORRECT_P1_P2),
    };
    if command.data == RESCUE {
        return rescue(card);
    }
    if command.data != AID {
        return Err(StatusWord::FILE_NOT_FOUND);
    }
    card.session = Session::selected();
    let Some(outer) = outer else {
        return Ok(Answer::done());
    };
    // DO 85: options (2) | platform | major | minor.
    let state = card.state();
    let identity = [&state.options.to_be_bytes()[..], &state.firmware.identity()].concat();
    let mut information = Writer::new();
    information.nested(outer, |fields| {
        fields.tlv(Tag(0x82), &[0x78]).tlv(Tag(0x85), &identity);
    });
    Ok(Answer::data(information.finish()))
}

/// Make, firmware version and serial number. Whoever was at work in the key application is logged out of it.
fn rescue(card: &mut Card) -> Outcome {
    card.session = Session::default();
    let state = card.state();
    let (major, minor) = state.firmware.version();
    let serial = Sha256::digest(state.device.chr.as_bytes());
    let serial = serial.get(..RESCUE_SERIAL).unwrap_or_default();
    Ok(Answer::data(
        [&RESCUE_IDENTITY[..], &[major, minor], serial].concat(),
    ))
}

fn file(card: &mut Card, command: &Command<'_>) -> Outcome {
    let &[high, low] = command.data else {
        return Err(StatusWord::WRONG_LENGTH);
    };
    if !matches!(command.p2, 0x00 | 0x04 | 0x0C) {
        return Err(StatusWord::INCORRECT_P1_P2);
    }
    let fid = u16::from_be_bytes([high, low]);
    let (size, descriptor) = size_of(card, fid).ok_or(StatusWord::FILE_NOT_FOUND)?;
    let size = u16::try_from(size).unwrap_or(u16::MAX);
    let attributes = key_attributes(card, fid);
    card.session.current_file = Some(fid);
    if command.p2 == 0x0C {
        return Ok(Answer::done());
    }
    let mut information = Writer::new();
    let outer = if command.p2 == 0x04 { Tag(0x62) } else { Tag(0x6F) };
    information.nested(outer, |fields| {
        fields
            .tlv(Tag(0x81), &size.to_be_bytes())
            .tlv(Tag(0x82), &[descriptor]);
        fields.tlv(Tag(0x83), &fid.to_be_bytes()).raw(&attributes);
    });
    Ok(Answer::data(information.finish()))
}

/// Size in bytes and file descriptor: 01 transparent EF, 08 internal (a key).
fn size_of(card: &Card, fid: u16) -> Option<(usize, u8)> {
    let state = card.state();
    match (fid, fid.to_be_bytes()) {
        (0xCC00, _) => Some((state.device.private_key.expose().len(), 0x08)),
        (_, [0xCC, id]) => Some((state.keys.get(&id)?.secret.expose().len(), 0x08)),
        (FID_SCRATCH, _) => Some((card.session.scratch.as_ref()?.len(), 0x01)),
        _ => Some((state.file(fid)?.len(), 0x01)),
    }
}

/// DO A5 with what GENERATE or UNWRAP said about the key; empty when it said nothing.
fn key_attributes(card: &Card, fid: u16) -> Vec<u8> {
    let [0xCC, id] = fid.to_be_bytes() else {
        return Vec::new();
    };
    let Some(key) = card.state().keys.get(&id) else {
        return Vec::new();
    };
    let mut attributes = Writer::new();
    if let Some(left) = key.use_counter {
        attributes.tlv(Tag(0x90), &left.to_be_bytes());
    }
    if let Some(algorithms) = &key.algorithms {
        attributes.tlv(Tag(0x91), algorithms);
    }
    if let Some(domain) = key.key_domain {
        attributes.tlv(Tag(0x92), &[domain]);
    }
    let attributes = attributes.finish();
    if attributes.is_empty() {
        return attributes;
    }
    let mut outer = Writer::new();
    outer.tlv(Tag(0xA5), &attributes);
    outer.finish()
}
