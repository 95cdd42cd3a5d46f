//! One command and its answer, plain or in a secure channel.

use chancery_iso7816::StatusWord;
use chancery_schsm::secure_messaging::{CLASS_PROTECTED, CardChannel, MAX_PROTECTED_DATA};
use zeroize::Zeroizing;

use crate::apdu::Command;
use crate::card::{Answer, Card, Outcome};
use crate::commands;

/// Response data and status word.
pub(crate) type Response = (Zeroizing<Vec<u8>>, StatusWord);

/// 6281: the host asked for less than there is.
const CUT_SHORT: StatusWord = StatusWord(0x6281);
/// Bits of CLA that matter: all but "proprietary".
const CLASS_MASK: u8 = 0x7F;

/// Runs a command. A protected one, which needs an open channel, is answered in the channel; every other one ends it.
pub(crate) fn run(card: &mut Card, command: &Command<'_>) -> Response {
    match card.session.channel.take() {
        Some(channel) if command.class & CLASS_MASK == CLASS_PROTECTED => protected(card, channel, command),
        _ => {
            card.session.end_channel();
            cut(commands::dispatch(card, command), command.expected)
        }
    }
}

/// Opens a command, runs it and seals its answer. What cannot be opened is answered outside the channel, which is then
/// gone.
fn protected(card: &mut Card, mut channel: CardChannel, outer: &Command<'_>) -> Response {
    let header = [outer.class, outer.instruction, outer.p1, outer.p2];
    let plain = match channel.unprotect_command(header, outer.data) {
        Ok(plain) => plain,
        Err(error) => {
            card.session.end_channel();
            return bare(error.card_status());
        }
    };
    let expected = usize::try_from(plain.expected()).unwrap_or(usize::MAX);
    let command = Command {
        class: plain.class,
        instruction: plain.instruction,
        p1: plain.p1,
        p2: plain.p2,
        data: plain.data(),
        expected: expected.min(MAX_PROTECTED_DATA),
        protected: true,
    };
    let outcome = commands::dispatch(card, &command);
    let ends_channel = outcome.is_ok() && commands::selects_application(&command);
    let (data, status) = cut(outcome, command.expected);
    match channel.protect_response(&data, status) {
        Ok(objects) => {
            // A new channel, agreed on inside the old one, takes its place.
            if !ends_channel && card.session.channel.is_none() {
                card.session.channel = Some(channel);
            }
            (Zeroizing::new(objects), StatusWord::OK)
        }
        Err(error) => {
            card.session.end_channel();
            bare(error.card_status())
        }
    }
}

/// What the host gets of an outcome when it takes at most so many bytes.
fn cut(outcome: Outcome, expected: usize) -> Response {
    match outcome {
        Ok(Answer { data, status }) if data.len() <= expected => (data, status),
        // Without Le the data is dropped, as devices do.
        Ok(Answer { status, .. }) if expected == 0 => bare(status),
        Ok(Answer { mut data, .. }) => {
            data.truncate(expected);
            (data, CUT_SHORT)
        }
        Err(status) => bare(status),
    }
}

fn bare(status: StatusWord) -> Response {
    (Zeroizing::default(), status)
}
