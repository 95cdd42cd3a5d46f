//! The durable log of a token's changes.
//!
//! One file, made of cells of 16 bytes:
//!
//! ```text
//! header    "CHVTLOG" 01 | salt (16) | sequence (8) | hash (32)              4 cells, in clear
//! snapshot  head | sealed | zeros                                          the state at `sequence`
//! ack
//! record    head | sealed | zeros                                          one commit, sequence + 1
//! record    ...
//! ack
//! ```
//!
//! A *head* is the length of the sealed part (4 bytes) and a check over it, the sequence number and the hash of
//! what came before (12 bytes). *Sealed* is `nonce | ciphertext | tag` under a key of this one file, bound to
//! sequence number and previous hash, so that records can neither be reordered, moved between files nor dropped
//! from the middle. An *ack* is written, without a sync of its own, after a record has become durable; the next
//! record overwrites it.
//!
//! That gives a crash and a damage different looks. A crash loses or half-writes the last record alone, and such a
//! record has no ack behind it: it was never acknowledged and is cut. Anything else that does not fit is damage,
//! and an error. A file that ends early at the border of a record is an older state; only somebody who
//! remembers the [`StateMark`] of a later one can tell.
//!
//! A cell never spans two disk sectors, so it is either old or new after a crash.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::cipher::{Cipher, RootKey, random};
use crate::error::{OpenError, StoreFailure};
use crate::files::{Files, OpenFile};

/// A place in a token's history. It only ever grows: a token that shows a lower sequence than it did before, or
/// another hash at the same one, has been put back to an older copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StateMark {
    /// Number of commits since the token was made.
    pub sequence: u64,
    /// Hash over all of them, SHA-256.
    pub hash: [u8; 32],
}

/// An open log, at its end.
pub(crate) struct Log {
    files: Arc<dyn Files>,
    directory: PathBuf,
    key: RootKey,
    file: Box<dyn OpenFile>,
    cipher: Cipher,
    mark: StateMark,
    /// Where the next record goes.
    end: u64,
    /// Size from which a fresh file is wanted.
    compact_from: u64,
    /// Lower bound of that.
    compact_minimum: u64,
    /// Set while the file's durable content is in doubt: nothing may be added before it was written afresh.
    doubtful: bool,
}

/// What an opened log contained.
pub(crate) struct Recovered {
    /// The log, ready for more.
    pub(crate) log: Log,
    /// The snapshot and then each record, as they were handed in, with the offset in the file.
    pub(crate) contents: Vec<(u64, Zeroizing<Vec<u8>>)>,
    /// A fresh file should be written: there are records, or a torn one was found. Until then, or until
    /// [`Log::settle`] succeeds, what was read may not be durable.
    pub(crate) unsettled: bool,
}

/// Name of the file in the token's directory.
pub(crate) const NAME: &str = "state.log";
const TEMPORARY: &str = "state.log.new";
const MAGIC: &[u8; 7] = b"CHVTLOG";
const VERSION: u8 = 1;
const CELL: usize = 16;
const HEADER: usize = 4 * CELL;
const SALT_OFFSET: usize = MAGIC.len() + 1;
/// Largest log that is read back or written, in bytes.
const LIMIT: u64 = 256 << 20;
/// A file is not compacted below this size, in bytes.
pub(crate) const COMPACT_MINIMUM: u64 = 1 << 20;

impl Log {
    /// Writes the first file of a token that has no state yet. The caller makes the directory durable.
    pub(crate) fn create(
        files: Arc<dyn Files>,
        directory: &Path,
        key: RootKey,
        snapshot: &[u8],
    ) -> Result<Self, StoreFailure> {
        // A random start tells two tokens apart that were made one after the other under one name.
        let mark = StateMark {
            sequence: 0,
            hash: random()?,
        };
        let (image, cipher) = image(&key, mark, snapshot)?;
        let path = directory.join(NAME);
        let mut file = files
            .create(&path)
            .map_err(StoreFailure::doing("create", &path))?;
        file.write_at(0, &image)
            .map_err(StoreFailure::doing("write", &path))?;
        file.sync().map_err(StoreFailure::doing("sync", &path))?;
        let end = length(image.len() - CELL);
        Ok(Self {
            files,
            directory: directory.to_owned(),
            key,
            file,
            cipher,
            mark,
            end,
            compact_from: compact_from(end, COMPACT_MINIMUM),
            compact_minimum: COMPACT_MINIMUM,
            doubtful: false,
        })
    }

    /// Reads the log of a token. It will not be compacted below `compact_minimum` bytes.
    pub(crate) fn open(
        files: Arc<dyn Files>,
        directory: &Path,
        key: RootKey,
        compact_minimum: u64,
    ) -> Result<Recovered, OpenError> {
        let path = directory.join(NAME);
        let bytes = files
            .read(&path, LIMIT)
            .map_err(OpenError::doing("read", &path))?;
        let mut scan = Scan::start(&path, &bytes, &key)?;
        let snapshot_end = scan.offset;
        while scan.record()? {}
        let file = files.open(&path).map_err(OpenError::doing("open", &path))?;
        let unsettled = scan.torn || scan.contents.len() > 1;
        Ok(Recovered {
            log: Self {
                files,
                directory: directory.to_owned(),
                file,
                cipher: scan.cipher,
                mark: scan.mark,
                end: length(scan.offset),
                compact_from: compact_from(length(snapshot_end), compact_minimum),
                compact_minimum,
                doubtful: false,
                key,
            },
            contents: scan.contents,
            unsettled,
        })
    }

    /// Where the token's history stands.
    pub(crate) fn mark(&self) -> StateMark {
        self.mark
    }

    /// True when [`Log::rewrite`] has to come before the next [`Log::append`].
    pub(crate) fn must_rewrite(&self) -> bool {
        self.doubtful
    }

    /// True when the file has grown so much that a fresh one is worth its while.
    pub(crate) fn wants_rewrite(&self) -> bool {
        self.end >= self.compact_from
    }

    /// Lets the file grow on, after a rewrite that was wanted has failed.
    pub(crate) fn postpone_rewrite(&mut self) {
        self.compact_from = self.end.saturating_mul(2);
    }

    /// Adds one commit. When this returns `Ok` the commit is durable; when it fails the log is as it was.
    pub(crate) fn append(&mut self, plain: &[u8]) -> Result<(), StoreFailure> {
        let sequence = self.mark.sequence + 1;
        let previous = self.mark.hash;
        let sealed = self.cipher.seal(&record_binding(sequence, &previous), plain)?;
        let mut record = Vec::with_capacity(CELL + sealed.len() + CELL);
        record.extend_from_slice(&head(sealed.len(), sequence, &previous)?);
        record.extend_from_slice(&sealed);
        record.resize(record.len().next_multiple_of(CELL), 0);
        let end = self.end + length(record.len());
        if end > LIMIT - length(CELL) {
            return Err(StoreFailure::TooLarge { limit: LIMIT });
        }
        let path = self.directory.join(NAME);
        if let Err(error) = self.file.write_at(self.end, &record) {
            self.doubtful = !self.cut();
            return Err(StoreFailure::doing("write", &path)(error));
        }
        if let Err(error) = self.file.sync() {
            // After a failed sync no later one says anything about these pages.
            self.cut();
            self.doubtful = true;
            return Err(StoreFailure::doing("sync", &path)(error));
        }
        self.mark = StateMark {
            sequence,
            hash: chain(sequence, &previous, &sealed),
        };
        self.end = end;
        // Only tells damage from a crash: its loss does no harm.
        let _ = self.file.write_at(end, &ack(&self.mark.hash));
        Ok(())
    }

    /// Replaces the file by a fresh one that holds the state alone. The mark stays.
    pub(crate) fn rewrite(&mut self, snapshot: &[u8]) -> Result<(), StoreFailure> {
        let (image, cipher) = image(&self.key, self.mark, snapshot)?;
        let end = length(image.len() - CELL);
        if end > LIMIT / 2 {
            return Err(StoreFailure::TooLarge { limit: LIMIT / 2 });
        }
        let path = self.directory.join(NAME);
        let temporary = self.directory.join(TEMPORARY);
        let file = match self.write_temporary(&temporary, &image) {
            Ok(file) => file,
            Err(error) => {
                // Gives the space back; what cannot be removed now is removed by the next rewrite.
                let _ = self.files.remove(&temporary);
                return Err(error);
            }
        };
        // From here until the directory is durable the name may stand for either file after a crash. Both hold
        // the same state, as long as nothing is added to one of them.
        self.doubtful = true;
        self.files
            .rename(&temporary, &path)
            .map_err(StoreFailure::doing("replace", &path))?;
        self.file = file;
        self.cipher = cipher;
        self.end = end;
        self.compact_from = compact_from(end, self.compact_minimum);
        self.files
            .sync_dir(&self.directory)
            .map_err(StoreFailure::doing("sync", &self.directory))?;
        self.doubtful = false;
        Ok(())
    }

    /// Makes durable what [`Log::open`] has read, without a fresh file: the way that needs no space.
    pub(crate) fn settle(&mut self) -> Result<(), StoreFailure> {
        let path = self.directory.join(NAME);
        self.file
            .set_len(self.end)
            .map_err(StoreFailure::doing("cut", &path))?;
        self.file.sync().map_err(StoreFailure::doing("sync", &path))?;
        let _ = self.file.write_at(self.end, &ack(&self.mark.hash));
        self.files
            .sync_dir(&self.directory)
            .map_err(StoreFailure::doing("sync", &self.directory))
    }

    fn write_temporary(&self, path: &Path, image: &[u8]) -> Result<Box<dyn OpenFile>, StoreFailure> {
        match self.files.remove(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(StoreFailure::doing("remove", path)(error));
            }
            _ => {}
        }
        let mut file = self
            .files
            .create(path)
            .map_err(StoreFailure::doing("create", path))?;
        file.write_at(0, image)
            .map_err(StoreFailure::doing("write", path))?;
        file.sync().map_err(StoreFailure::doing("sync", path))?;
        Ok(file)
    }

    /// Takes a record back that was not acknowledged. True when that is durable.
    fn cut(&mut self) -> bool {
        self.file
            .set_len(self.end)
            .and_then(|()| self.file.sync())
            .is_ok()
    }
}

/// A whole file that holds a snapshot, and the cipher for what follows.
fn image(key: &RootKey, mark: StateMark, snapshot: &[u8]) -> Result<(Vec<u8>, Cipher), StoreFailure> {
    let salt: [u8; 16] = random()?;
    let cipher = key.cipher(&salt, "state log")?;
    let mut image = Vec::with_capacity(HEADER + snapshot.len() + 4 * CELL + Cipher::OVERHEAD);
    image.extend_from_slice(MAGIC);
    image.push(VERSION);
    image.extend_from_slice(&salt);
    image.extend_from_slice(&mark.sequence.to_be_bytes());
    image.extend_from_slice(&mark.hash);
    let sealed = cipher.seal(&snapshot_binding(&image), snapshot)?;
    image.extend_from_slice(&head(sealed.len(), mark.sequence, &mark.hash)?);
    image.extend_from_slice(&sealed);
    image.resize(image.len().next_multiple_of(CELL), 0);
    image.extend_from_slice(&ack(&mark.hash));
    Ok((image, cipher))
}

/// Reading a file from front to back.
struct Scan<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    cipher: Cipher,
    mark: StateMark,
    /// Everything before is read and good.
    offset: usize,
    contents: Vec<(u64, Zeroizing<Vec<u8>>)>,
    torn: bool,
}

impl<'a> Scan<'a> {
    fn start(path: &'a Path, bytes: &'a [u8], key: &RootKey) -> Result<Self, OpenError> {
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
    fn record(&mut self) -> Result<bool, OpenError> {
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

const ACK: &[u8; 4] = b"ACK\0";

fn ack(hash: &[u8; 32]) -> [u8; CELL] {
    let mut cell = [0; CELL];
    for (to, from) in cell.iter_mut().zip(ACK.iter().chain(hash)) {
        *to = *from;
    }
    cell
}

/// True when the last cell that is not zero is an ack, of whatever record.
fn ends_with_ack(cells: &[u8]) -> bool {
    cells
        .chunks(CELL)
        .rev()
        .find(|cell| cell.iter().any(|byte| *byte != 0))
        .is_some_and(|cell| cell.starts_with(ACK))
}

fn head(sealed: usize, sequence: u64, previous: &[u8; 32]) -> Result<[u8; CELL], StoreFailure> {
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
fn head_length(cell: &[u8; CELL], sequence: u64, previous: &[u8; 32]) -> Option<usize> {
    let (length, _) = cell.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    (head(length, sequence, previous).ok()? == *cell).then_some(length)
}

fn record_binding(sequence: u64, previous: &[u8; 32]) -> Vec<u8> {
    [b"record".as_slice(), &sequence.to_be_bytes(), previous].concat()
}

fn snapshot_binding(header: &[u8]) -> Vec<u8> {
    [b"snapshot", header].concat()
}

fn chain(sequence: u64, previous: &[u8; 32], sealed: &[u8]) -> [u8; 32] {
    Sha256::new()
        .chain_update(b"chancery-vtoken chain")
        .chain_update(previous)
        .chain_update(sequence.to_be_bytes())
        .chain_update(sealed)
        .finalize()
        .into()
}

fn compact_from(snapshot_end: u64, minimum: u64) -> u64 {
    snapshot_end.saturating_mul(2).max(minimum)
}

fn rest_of(bytes: &[u8], offset: usize) -> &[u8] {
    bytes.get(offset..).unwrap_or_default()
}

/// A length in memory as a length in a file.
fn length(value: usize) -> u64 {
    u64::try_from(value).expect("no platform has more than 64 bits of address")
}
