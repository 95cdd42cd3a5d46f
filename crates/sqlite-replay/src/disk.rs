//! What is on a disk after some operations, and what of it survives a power cut.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    io,
    path::Path,
    sync::Arc,
};

/// A file, whatever its names were; numbered from 0 in the order of appearance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileId(pub(crate) usize);

/// Something that altered a file, a name, or what of them is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// A file was there already, durable with its name and content. It gets the next [`FileId`].
    Found {
        /// Its name in the directory.
        name: OsString,
        /// Its content.
        content: Arc<[u8]>,
    },
    /// A file was made, empty. It gets the next [`FileId`].
    Create {
        /// Its name in the directory.
        name: OsString,
    },
    /// Bytes were written.
    Write {
        /// The file.
        file: FileId,
        /// Where, in bytes from the start.
        offset: usize,
        /// What.
        bytes: Arc<[u8]>,
    },
    /// A file was cut or lengthened.
    Truncate {
        /// The file.
        file: FileId,
        /// Its new length in bytes.
        length: usize,
    },
    /// A file's content and length became durable.
    Sync {
        /// The file.
        file: FileId,
        /// Whether its directory was synced too: all names as they were then.
        directory: bool,
    },
    /// A sync failed: what it should have made durable is lost, and a later sync does not bring it back.
    SyncFailed {
        /// The file.
        file: FileId,
    },
    /// A name was removed.
    Delete {
        /// The name.
        name: OsString,
        /// Whether the directory was synced after it.
        directory: bool,
    },
}

/// What is left of unsynced changes after the power was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Survival {
    /// Nothing.
    Lost,
    /// Everything: as if only the process had been killed.
    Kept,
    /// By a draw from this seed: each write wholly, not at all or some of its sectors; each cut and each new length;
    /// each name as it was synced or as it was last. A sector that a file grew over and that was never written holds
    /// zeros.
    Mixed(u64),
}

/// The files that a power cut left.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Survivors(BTreeMap<OsString, Vec<u8>>);

impl Survivors {
    /// Writes them into a directory.
    ///
    /// # Errors
    /// As the file system has it.
    pub fn write_to(&self, directory: &Path) -> io::Result<()> {
        self.0
            .iter()
            .try_for_each(|(name, content)| std::fs::write(directory.join(name), content))
    }

    /// The content of the file with this name.
    #[must_use]
    pub fn content(&self, name: &str) -> Option<&[u8]> {
        self.0.get(OsStr::new(name)).map(Vec::as_slice)
    }
}

/// One directory of a disk, after some operations.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    /// Files are never given up: a name may come back with the directory's older state.
    files: Vec<File>,
    durable: BTreeMap<OsString, FileId>,
    current: BTreeMap<OsString, FileId>,
}

#[derive(Debug, Clone, Default)]
struct File {
    durable: Vec<u8>,
    current: Vec<u8>,
    /// Changes since the last sync, in order.
    pending: Vec<Pending>,
}

#[derive(Debug, Clone)]
enum Pending {
    Write { offset: usize, bytes: Arc<[u8]> },
    Truncate { length: usize },
}

impl Disk {
    /// Does what the operation did.
    pub fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::Found { name, content } => {
                let id = self.add(File {
                    durable: content.to_vec(),
                    current: content.to_vec(),
                    pending: Vec::new(),
                });
                self.durable.insert(name.clone(), id);
                self.current.insert(name.clone(), id);
            }
            Operation::Create { name } => {
                let id = self.add(File::default());
                self.current.insert(name.clone(), id);
            }
            Operation::Write { file, offset, bytes } => self.change(
                *file,
                Pending::Write {
                    offset: *offset,
                    bytes: Arc::clone(bytes),
                },
            ),
            Operation::Truncate { file, length } => self.change(*file, Pending::Truncate { length: *length }),
            Operation::Sync { file, directory } => {
                if let Some(file) = self.files.get_mut(file.0) {
                    for change in std::mem::take(&mut file.pending) {
                        change.apply(&mut file.durable);
                    }
                }
                self.sync_names(*directory);
            }
            Operation::SyncFailed { file } => {
                if let Some(file) = self.files.get_mut(file.0) {
                    file.pending.clear();
                }
            }
            Operation::Delete { name, directory } => {
                self.current.remove(name);
                self.sync_names(*directory);
            }
        }
    }

    /// The files as they may be found after the power is cut now.
    #[must_use]
    pub fn survivors(&self, survival: Survival) -> Survivors {
        let content = |id: &FileId, draw: &mut Draw| {
            let file = self.files.get(id.0).cloned().unwrap_or_default();
            match survival {
                Survival::Lost => file.durable,
                Survival::Kept => file.current,
                Survival::Mixed(_) => file.mixed(draw),
            }
        };
        let mut draw = Draw::new(survival);
        let names = match survival {
            Survival::Lost => self.durable.clone(),
            Survival::Kept => self.current.clone(),
            Survival::Mixed(_) => self.mixed_names(&mut draw),
        };
        Survivors(
            names
                .into_iter()
                .map(|(name, id)| (name, content(&id, &mut draw)))
                .collect(),
        )
    }

    fn add(&mut self, file: File) -> FileId {
        self.files.push(file);
        FileId(self.files.len() - 1)
    }

    fn change(&mut self, id: FileId, change: Pending) {
        if let Some(file) = self.files.get_mut(id.0) {
            change.apply(&mut file.current);
            file.pending.push(change);
        }
    }

    fn sync_names(&mut self, directory: bool) {
        if directory {
            self.durable = self.current.clone();
        }
    }

    fn mixed_names(&self, draw: &mut Draw) -> BTreeMap<OsString, FileId> {
        self.durable
            .keys()
            .chain(
                self.current
                    .keys()
                    .filter(|name| !self.durable.contains_key(*name)),
            )
            .filter_map(|name| {
                let names = if draw.of(2) == 0 {
                    &self.durable
                } else {
                    &self.current
                };
                names.get(name).map(|id| (name.clone(), *id))
            })
            .collect()
    }
}

impl File {
    fn mixed(self, draw: &mut Draw) -> Vec<u8> {
        let mut content = self.durable;
        for change in self.pending {
            match draw.of(3) {
                0 => {}
                1 => change.apply(&mut content),
                _ => change.tear(&mut content, draw),
            }
        }
        // A file's length is written apart from its content.
        if content.len() < self.current.len() && draw.of(2) == 0 {
            content.resize(self.current.len(), 0);
        }
        content
    }
}

impl Pending {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write { offset, bytes } => put(content, *offset, bytes),
            Self::Truncate { length } => content.resize(*length, 0),
        }
    }

    /// Does some of it: of a write, the parts in some sectors.
    fn tear(&self, content: &mut Vec<u8>, draw: &mut Draw) {
        match self {
            Self::Truncate { .. } => self.apply(content),
            Self::Write { offset, bytes } => {
                let (mut offset, mut rest) = (*offset, &**bytes);
                while !rest.is_empty() {
                    let (part, after) = rest.split_at(rest.len().min(SECTOR - offset % SECTOR));
                    if draw.of(2) == 0 {
                        put(content, offset, part);
                    }
                    offset += part.len();
                    rest = after;
                }
            }
        }
    }
}

fn put(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    if let Some(place) = content.get_mut(offset..end) {
        place.copy_from_slice(bytes);
    }
}

/// Xorshift: good enough to draw lots, and the same every time.
struct Draw(u64);

impl Draw {
    fn new(survival: Survival) -> Self {
        Self(match survival {
            Survival::Mixed(seed) => seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            Survival::Lost | Survival::Kept => 1,
        })
    }

    fn of(&mut self, choices: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) % choices
    }
}

/// Bytes that a disk writes wholly or not at all.
const SECTOR: usize = 512;

#[cfg(test)]
mod tests;
