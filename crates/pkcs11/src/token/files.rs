//! The files of a token as far as they were read.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chancery_schsm::{Fid, fid::prefix};

use super::cache::Remembered;

/// Public files of a token, read as they are needed. Private data is never among them.
#[derive(Default)]
pub(super) struct Files {
    list: Option<Vec<Fid>>,
    content: BTreeMap<Fid, Option<Arc<[u8]>>>,
    /// Files that were not read since the token was taken up: from the disk, or from before somebody else had it.
    unproven: BTreeSet<Fid>,
    /// Whether the token may have another list by now.
    stale: bool,
    dirty: bool,
}

/// A file as it is known.
pub(super) enum Known {
    /// It was read.
    Content(Option<Arc<[u8]>>),
    /// It was not.
    Unread,
}

impl Files {
    pub(super) fn from_disk(remembered: Remembered) -> Self {
        let content: BTreeMap<Fid, Option<Arc<[u8]>>> = remembered
            .files
            .into_iter()
            .map(|(file, content)| (file, content.map(Arc::from)))
            .collect();
        Self {
            list: Some(remembered.list),
            unproven: content.keys().copied().collect(),
            content,
            stale: true,
            dirty: false,
        }
    }

    /// The list, if it is known to be what the token has.
    pub(super) fn list(&self) -> Option<&[Fid]> {
        self.list.as_deref().filter(|_| !self.stale)
    }

    /// The token lists this now. When it is not what it was, nothing that was read counts. In which order it lists is its own
    /// affair.
    pub(super) fn listed(&mut self, list: Vec<Fid>) {
        let sorted = |list: &[Fid]| {
            let mut list = list.to_vec();
            list.sort_unstable();
            list
        };
        if self.list.as_deref().map(sorted) != Some(sorted(&list)) {
            if self.list.is_some() {
                self.content.retain(|file, _| file.prefix() == DEVICE);
            }
            self.list = Some(list);
            self.dirty = true;
        }
        self.stale = false;
    }

    pub(super) fn get(&self, file: Fid, fresh: bool) -> Known {
        match self.content.get(&file) {
            Some(content) if !fresh || !self.unproven.contains(&file) => Known::Content(content.clone()),
            _ => Known::Unread,
        }
    }

    pub(super) fn is_unproven(&self, file: Fid) -> bool {
        self.unproven.contains(&file)
    }

    /// A file was read.
    pub(super) fn read(&mut self, file: Fid, content: Option<Vec<u8>>) -> Option<Arc<[u8]>> {
        let content: Option<Arc<[u8]>> = content.map(Arc::from);
        self.unproven.remove(&file);
        if self.content.get(&file) != Some(&content) {
            self.content.insert(file, content.clone());
            self.dirty = true;
        }
        content
    }

    /// A file was written or deleted here.
    pub(super) fn changed(&mut self, file: Fid, content: Option<Vec<u8>>) {
        let is_there = content.is_some();
        if !file.is_key() {
            self.read(file, content);
        }
        if let Some(list) = &mut self.list {
            list.retain(|listed| *listed != file);
            if is_there {
                list.push(file);
            }
            self.dirty = true;
        }
        // What else the token has done is seen when it lists again.
        self.stale = true;
    }

    /// Somebody else had the token.
    pub(super) fn doubt(&mut self) {
        self.stale = true;
        self.unproven = self.content.keys().copied().collect();
    }

    /// Something beside the files is worth remembering.
    pub(super) fn touch(&mut self) {
        self.dirty = true;
    }

    /// Nothing counts any more.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// What is worth remembering, once after each change.
    pub(super) fn take_changes(&mut self, firmware: (u8, u8), pin_good: bool) -> Option<Remembered> {
        if !self.dirty || self.stale {
            return None;
        }
        self.dirty = false;
        let files = self
            .content
            .iter()
            .filter(|(file, _)| file.prefix() != prefix::PRIVATE_DATA)
            .map(|(file, content)| (*file, content.as_deref().map(<[u8]>::to_vec)))
            .collect();
        Some(Remembered {
            list: self.list.clone()?,
            files,
            firmware,
            pin_good,
        })
    }
}

/// High byte of files about the device itself, which a token does not list.
const DEVICE: u8 = 0x2F;
