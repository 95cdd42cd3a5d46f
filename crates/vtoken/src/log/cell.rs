//! Cells of the log file: heads, acks and what sealed parts are bound to.

use sha2::{Digest, Sha256};

use crate::error::StoreFailure;

pub(super) const MAGIC: &[u8; 7] = b"CHVTLOG";
pub(super) const VERSION: u8 = 1;
/// Bytes of a cell.
pub(super) const CELL: usize = 16;
/// Bytes of the header.
pub(super) const HEADER: usize = 4 * CELL;
/// Where the salt is.
pub(super) const SALT_OFFSET: usize = MAGIC.len() + 1;
/// Largest log that is read back or written, in bytes.
pub(super) const LIMIT: u64 = 256 << 20;

const ACK: &[u8; 4] = b"ACK\0";

pub(super) fn ack(hash: &[u8; 32]) -> [u8; CELL] {
    let mut cell = [0; CELL];
    for (to, from) in cell.iter_mut().zip(ACK.iter().chain(hash)) {
        *to = *from;
    }
    cell
}

/// True when the last cell that is not zero is an ack, of whatever record.
pub(super) fn ends_with_ack(cells: &[u8]) -> bool {
    cells
        .chunks(CELL)
        .rev()
        .find(|cell| cell.iter().any(|byte| *byte != 0))
        .is_some_and(|cell| cell.starts_with(ACK))
}

pub(super) fn head(sealed: usize, sequence: u64, previous: &[u8; 32]) -> Result<[u8; CELL], StoreFailure> {
    let length = u32::try_from(sealed).map_err(|_| StoreFailure::TooLarge { limit: LIMIT })?;
    let check = Sha256::new()
        .chain_update(b"chancery-vtoken head")
        .chain_update(previous)
        .chain_update(sequence.to_be_bytes())
        .chain_update(length.to_be_bytes())
        .finalize();
    let mut cell = [0; CELL];
    for (to, from) in cell
        .iter_mut()
        .zip(length.to_be_bytes().iter().chain(check.iter()))
    {
        *to = *from;
    }
    Ok(cell)
}

/// The length of the sealed part, if the cell is the head of the record with this number.
pub(super) fn head_length(cell: &[u8; CELL], sequence: u64, previous: &[u8; 32]) -> Option<usize> {
    let (length, _) = cell.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    (head(length, sequence, previous).ok()? == *cell).then_some(length)
}

pub(super) fn record_binding(sequence: u64, previous: &[u8; 32]) -> Vec<u8> {
    [b"record".as_slice(), &sequence.to_be_bytes(), previous].concat()
}

pub(super) fn snapshot_binding(header: &[u8]) -> Vec<u8> {
    [b"snapshot", header].concat()
}

pub(super) fn chain(sequence: u64, previous: &[u8; 32], sealed: &[u8]) -> [u8; 32] {
    Sha256::new()
        .chain_update(b"chancery-vtoken chain")
        .chain_update(previous)
        .chain_update(sequence.to_be_bytes())
        .chain_update(sealed)
        .finalize()
        .into()
}

/// A length in memory as a length in a file.
pub(super) fn length(value: usize) -> u64 {
    u64::try_from(value).expect("no platform has more than 64 bits of address")
}
