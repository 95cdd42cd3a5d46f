//! Reading a log, and telling a crash from damage.

use std::path::Path;

use zeroize::Zeroizing;

use super::StateMark;
use super::cell::{
    CELL, HEADER, MAGIC, SALT_OFFSET, VERSION, ack, chain, ends_with_ack, head_length, length,
    record_binding, snapshot_binding,
};
use crate::cipher::{Cipher, RootKey};
use crate::error::{OpenError, StoreFailure};

/// Reading a file from front to back.
pub(super) struct Scan<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    pub(super) cipher: Cipher,
    pub(super) mark: StateMark,
    /// Everything before is read and good.
    pub(super) offset: usize,
    pub(super) contents: Vec<(u64, Zeroizing<Vec<u8>>)>,
    pub(super) torn: bool,
}

impl<'a> Scan<'a> {
    pub(super) fn start(path: &'a Path, bytes: &'a [u8], key: &RootKey) -> Result<Self, OpenError> {
        let damaged = |offset, reason: &str| OpenError::Damaged {
            file: path.to_owned(),
            offset: length(offset),
            reason: reason.to_owned(),
        };
        let short = || damaged(bytes.len(), "the file ends inside its header");
        let header = bytes.get(..HEADER).ok_or_else(short)?;
        let (magic, rest) = header.split_first_chunk::<7>().ok_or_else(short)?;
        if magic != MAGIC {
            return Err(damaged(0, "it does not start with CHVTLOG"));
        }
        let (&[version], rest) = rest.split_first_chunk::<1>().ok_or_else(short)?;
        if version != VERSION {
            return Err(OpenError::UnknownVersion {
                file: path.to_owned(),
                version,
            });
        }
        let (salt, rest) = rest.split_first_chunk::<16>().ok_or_else(short)?;
        let (sequence, rest) = rest.split_first_chunk::<8>().ok_or_else(short)?;
        let (hash, _) = rest.split_first_chunk::<32>().ok_or_else(short)?;
        let mark = StateMark {
            sequence: u64::from_be_bytes(*sequence),
            hash: *hash,
        };
        let cipher = key.cipher(salt, "state log").map_err(StoreFailure::from)?;
        let mut scan = Self {
            path,
            bytes,
            cipher,
            mark,
            offset: HEADER,
            contents: Vec::new(),
            torn: false,
        };

        // Header, snapshot and the ack behind it were durable before the file had its name.
        let (cell, after) = rest_of(bytes, HEADER)
            .split_first_chunk::<CELL>()
            .ok_or_else(|| damaged(bytes.len(), "the file ends before its snapshot"))?;
        let sealed_length = head_length(cell, mark.sequence, &mark.hash)
            .ok_or_else(|| damaged(SALT_OFFSET, "header or snapshot were altered"))?;
        let body = after
            .get(..sealed_length.next_multiple_of(CELL))
            .ok_or_else(|| damaged(bytes.len(), "the file ends inside its snapshot"))?;
        let plain = scan
            .open_body(&snapshot_binding(header), body, sealed_length)
            .ok_or_else(|| {
                damaged(
                    SALT_OFFSET,
                    "header or snapshot were altered, or belong to another token",
                )
            })?;
        scan.offset = HEADER + CELL + body.len();
        scan.contents.push((length(HEADER), plain));
        Ok(scan)
    }

    /// Reads the next record; false at the end of what was acknowledged.
    pub(super) fn record(&mut self) -> Result<bool, OpenError> {
        let rest = rest_of(self.bytes, self.offset);
        let Some((cell, after)) = rest.split_first_chunk::<CELL>() else {
            self.torn = !rest.is_empty();
            return Ok(false);
        };
        let sequence = self.mark.sequence + 1;
        let Some(sealed_length) = head_length(cell, sequence, &self.mark.hash) else {
            let never_written = *cell == ack(&self.mark.hash) || *cell == [0; CELL];
            if never_written && !ends_with_ack(after) {
                self.torn = *cell == [0; CELL] || !after.is_empty();
                return Ok(false);
            }
            return Err(self.damaged("the head of a record is wrong"));
        };
        let padded = sealed_length.next_multiple_of(CELL);
        let Some((body, behind)) = after.split_at_checked(padded) else {
            self.torn = true;
            return Ok(false);
        };
        let Some(plain) = self.open_body(&record_binding(sequence, &self.mark.hash), body, sealed_length)
        else {
            if behind.iter().all(|byte| *byte == 0) {
                self.torn = true;
                return Ok(false);
            }
            return Err(self.damaged("an acknowledged record was altered"));
        };
        let sealed = body.get(..sealed_length).unwrap_or_default();
        self.mark = StateMark {
            sequence,
            hash: chain(sequence, &self.mark.hash, sealed),
        };
        self.contents.push((length(self.offset), plain));
        self.offset += CELL + padded;
        Ok(true)
    }

    fn open_body(&self, bound: &[u8], body: &[u8], sealed_length: usize) -> Option<Zeroizing<Vec<u8>>> {
        let (sealed, padding) = body.split_at_checked(sealed_length)?;
        if padding.iter().any(|byte| *byte != 0) {
            return None;
        }
        self.cipher.open(bound, sealed)
    }

    fn damaged(&self, reason: &str) -> OpenError {
        OpenError::Damaged {
            file: self.path.to_owned(),
            offset: length(self.offset),
            reason: reason.to_owned(),
        }
    }
}

fn rest_of(bytes: &[u8], offset: usize) -> &[u8] {
    bytes.get(offset..).unwrap_or_default()
}
