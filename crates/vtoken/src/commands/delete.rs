//! DELETE FILE: an EF or a key.

use chancery_iso7816::StatusWord;

use crate::access::{Act, FID_SCRATCH};
use crate::apdu::Command;
use crate::card::{Answer, Card, Outcome};
use crate::state::Change;

/// P1-P2 are not looked at: hosts send 0200, 0280 and 0000. Deleting a key leaves its description and certificate.
pub(crate) fn run(card: &mut Card, command: &Command<'_>) -> Outcome {
    let &[high, low] = command.data else {
        return Err(StatusWord::WRONG_LENGTH);
    };
    let fid = u16::from_be_bytes([high, low]);
    card.require(Act::Delete(fid))?;
    match fid.to_be_bytes() {
        [0xCC, id] if card.state().keys.contains_key(&id) => card.commit(&[Change::DeleteKey { id }])?,
        _ if fid == FID_SCRATCH => {
            card.session.scratch.take().ok_or(StatusWord::FILE_NOT_FOUND)?;
        }
        _ if card.state().files.contains_key(&fid) => card.commit(&[Change::DeleteFile { fid }])?,
        _ => return Err(StatusWord::FILE_NOT_FOUND),
    }
    if card.session.current_file == Some(fid) {
        card.session.current_file = None;
    }
    Ok(Answer::done())
}
