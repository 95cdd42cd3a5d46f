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

mod cell;
mod scan;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::cipher::{Cipher, RootKey, random};
use crate::error::{OpenError, StoreFailure};
use crate::files::{Files, OpenFile};
use cell::{CELL, HEADER, LIMIT, MAGIC, VERSION, ack, chain, head, length, record_binding, snapshot_binding};
use scan::Scan;

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

fn compact_from(snapshot_end: u64, minimum: u64) -> u64 {
    snapshot_end.saturating_mul(2).max(minimum)
}
