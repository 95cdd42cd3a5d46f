//! The commands, one file each.

mod attributes;
mod binary;
mod challenge;
mod cipher;
mod custodians;
mod decipher;
mod delete;
mod derive;
mod enumerate;
mod exchange;
mod external_authenticate;
mod general_authenticate;
mod generate;
mod generate_symmetric;
mod initialise;
mod key_domain;
mod pin;
mod request;
mod reset_retry;
mod security_environment;
mod select;
mod session_pin;
mod sign;
mod unwrap;
mod verify_certificate;
mod wrap;

use chancery_iso7816::StatusWord;

use crate::apdu::Command;
use crate::card::{Card, Outcome};

/// Bit 8 of CLA tells proprietary commands from ISO ones; host software is careless about it, so devices ignore it.
const CLASS_MASK: u8 = 0x7F;

/// Finds the command and runs it.
pub(crate) fn dispatch(card: &mut Card, command: &Command<'_>) -> Outcome {
    // Neither chaining nor logical channels, and secure messaging was taken off before: CLA has no other bit to set.
    if command.class & CLASS_MASK != 0 {
        return Err(StatusWord::CLASS_NOT_SUPPORTED);
    }
    // Some hosts ask for the state of the PIN first, and select the application on this status word only.
    if !card.session.selected && command.instruction != SELECT {
        return Err(StatusWord::CLASS_NOT_SUPPORTED);
    }
    if !card.state().firmware.knows(command.instruction) {
        return Err(StatusWord::INSTRUCTION_NOT_SUPPORTED);
    }
    let run: fn(&mut Card, &Command<'_>) -> Outcome = match command.instruction {
        0x20 => pin::verify,
        0x22 => security_environment::manage,
        0x24 => pin::change,
        0x2A => verify_certificate::run,
        0x2C => reset_retry::run,
        0x46 => generate::run,
        0x48 => generate_symmetric::run,
        0x50 => initialise::run,
        0x52 => key_domain::run,
        0x54 => custodians::run,
        0x58 => enumerate::run,
        0x5A => session_pin::run,
        0x62 => decipher::run,
        0x68 => sign::run,
        0x72 => wrap::run,
        0x74 => unwrap::run,
        0x76 => derive::run,
        0x78 => cipher::run,
        0x82 => external_authenticate::run,
        0x84 => challenge::run,
        0x86 => general_authenticate::run,
        SELECT => select::run,
        0xB1 => binary::read,
        0xD7 => binary::update,
        0xE4 => delete::run,
        _ => return Err(StatusWord::INSTRUCTION_NOT_SUPPORTED),
    };
    run(card, command)
}

/// Whether the command is a SELECT of an application.
pub(crate) fn selects_application(command: &Command<'_>) -> bool {
    command.instruction == SELECT && command.p1 == select::BY_NAME
}

const SELECT: u8 = 0xA4;
