//! READ BINARY and UPDATE BINARY with odd instruction (ISO/IEC 7816-4 11.3.3, 11.3.5).

use chancery_iso7816::StatusWord;
use chancery_iso7816::tlv::{Reader, Tag};
use zeroize::Zeroizing;

use crate::access::{Act, FID_SCRATCH};
use crate::apdu::Command;
use crate::card::{Answer, Card, Outcome};
use crate::state::Change;

/// Longest EF in bytes: its size has two bytes in the answer to SELECT.
const LONGEST_FILE: usize = 0xFFFF;
/// All EFs together, in bytes.
const ALL_FILES: usize = 1 << 20;

const OFFSET: Tag = Tag(0x54);
const DISCRETIONARY: Tag = Tag(0x53);

/// READ BINARY: DO 54 says where to start, Le how much. 6282 when the file ends before; earlier firmware answers so only
/// when the start is behind the end.
pub(crate) fn read(card: &mut Card, command: &Command<'_>) -> Outcome {
    let fid = addressed(card, command)?;
    let mut objects = Reader::new(command.data);
    let offset = offset(&mut objects)?;
    objects.finish().map_err(|_| StatusWord::WRONG_DATA)?;
    card.require(Act::ReadFile(fid))?;
    let content = card.state().file(fid).ok_or(StatusWord::FILE_NOT_FOUND)?;
    let rest = content.get(offset..).unwrap_or_default();
    let (data, status) = match rest.get(..command.expected) {
        Some(data) if !rest.is_empty() => (data, StatusWord::OK),
        _ if offset <= content.len() && !card.state().firmware.marks_end_of_file() => (rest, StatusWord::OK),
        _ => (rest, StatusWord::WARNING_EOF),
    };
    let answer = Answer {
        data: Zeroizing::new(data.to_vec()),
        status,
    };
    card.session.current_file = Some(fid);
    Ok(answer)
}

/// UPDATE BINARY: DO 54 says where, DO 53 what. Creates the EF when it is missing, writes in place, never cuts.
pub(crate) fn update(card: &mut Card, command: &Command<'_>) -> Outcome {
    let fid = addressed(card, command)?;
    let mut objects = Reader::new(command.data);
    let offset = offset(&mut objects)?;
    let data = objects
        .expect(DISCRETIONARY)
        .map_err(|_| StatusWord::WRONG_DATA)?
        .value;
    objects.finish().map_err(|_| StatusWord::WRONG_DATA)?;
    card.require(Act::WriteFile(fid))?;
    if fid == FID_SCRATCH {
        return update_scratch(card, offset, data);
    }
    let present = card.state().file(fid);
    let content = overwritten(present.unwrap_or_default(), offset, data)?;
    let others = card
        .state()
        .files
        .iter()
        .filter(|(other, _)| **other != fid)
        .map(|(_, file)| file.len());
    if others.sum::<usize>() + content.len() > ALL_FILES {
        return Err(StatusWord::NOT_ENOUGH_MEMORY);
    }
    if present != Some(content.as_slice()) {
        card.commit(&[Change::PutFile {
            fid,
            contents: content,
        }])?;
    }
    card.session.current_file = Some(fid);
    Ok(Answer::done())
}

/// EF 2F10 only carries the data of the next command: writing at its start begins anew.
fn update_scratch(card: &mut Card, offset: usize, data: &[u8]) -> Outcome {
    let present = card.session.scratch.take().unwrap_or_default();
    let kept = if offset == 0 { &[][..] } else { present.as_slice() };
    match overwritten(kept, offset, data) {
        Ok(content) => {
            card.session.scratch = Some(Zeroizing::new(content));
            card.session.current_file = Some(FID_SCRATCH);
            Ok(Answer::done())
        }
        Err(status) => {
            card.session.scratch = Some(present);
            Err(status)
        }
    }
}

/// P1-P2: the file identifier, 0000 = the current EF.
fn addressed(card: &Card, command: &Command<'_>) -> Result<u16, StatusWord> {
    match command.p1p2() {
        0 => card.session.current_file.ok_or(StatusWord::COMMAND_NOT_ALLOWED),
        fid => Ok(fid),
    }
}

fn offset(objects: &mut Reader<'_>) -> Result<usize, StatusWord> {
    let object = objects.expect(OFFSET).map_err(|_| StatusWord::WRONG_DATA)?;
    if !(2..=4).contains(&object.value.len()) {
        return Err(StatusWord::WRONG_DATA);
    }
    // Two bytes reach the end of every file; hosts made for larger ones send up to four.
    Ok(object
        .value
        .iter()
        .fold(0, |offset, byte| offset << 8 | usize::from(*byte)))
}

/// The content after writing `data` at `offset`, which must not leave a gap.
fn overwritten(present: &[u8], offset: usize, data: &[u8]) -> Result<Vec<u8>, StatusWord> {
    let before = present.get(..offset).ok_or(StatusWord::WRONG_P1_P2)?;
    let after = present
        .get(offset.saturating_add(data.len())..)
        .unwrap_or_default();
    let content = [before, data, after].concat();
    if content.len() > LONGEST_FILE {
        Err(StatusWord::NOT_ENOUGH_MEMORY)
    } else {
        Ok(content)
    }
}
