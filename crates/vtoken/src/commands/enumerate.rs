//! ENUMERATE OBJECTS: file identifiers of all keys and files.

use crate::apdu::Command;
use crate::card::{Answer, Card, Outcome};

/// Two bytes each: the device key CC00, the other keys, then all EFs but those of the prefix 2F.
pub(crate) fn run(card: &mut Card, _: &Command<'_>) -> Outcome {
    let state = card.state();
    let keys = state.keys.keys().map(|id| u16::from_be_bytes([0xCC, *id]));
    let files = state
        .files
        .keys()
        .copied()
        .filter(|fid| fid.to_be_bytes()[0] != 0x2F);
    let list: Vec<u8> = std::iter::once(0xCC00)
        .chain(keys)
        .chain(files)
        .flat_map(u16::to_be_bytes)
        .collect();
    Ok(Answer::data(list))
}
