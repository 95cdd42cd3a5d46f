//! What a mended share file should hold.

use thiserror::Error;

use super::{Diagnosis, FoundKey, Opened};

/// Why a mended file should not be written. Targets are numbered as in the case.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unmendable {
    /// Nothing opens the file.
    #[error("nothing opens the file, so there is nothing to write")]
    Closed,
    /// No key fits a target, so that no file would be a backup of it.
    #[error("no key that was found fits target {target}")]
    Unexplained {
        /// Index of the target.
        target: usize,
    },
    /// Each target has a key, but not the same one: no file fits both.
    #[error("targets {one} and {other} have different keys")]
    Differ {
        /// Index of a target.
        one: usize,
        /// Index of another one.
        other: usize,
    },
}

impl Diagnosis {
    /// The opened share of a file that the mended file should hold: of the key that fits every token and wrapped key, or when there are
    /// none the right one.
    ///
    /// # Errors
    /// [`Unmendable`].
    pub fn to_mend(&self, file: usize) -> Result<&Opened, Unmendable> {
        let Some(first) = self.fits.first() else {
            let mut right = self.opened.iter().filter(|opened| opened.right);
            return right.find(|opened| opened.file == file).ok_or(Unmendable::Closed);
        };
        if !self.opened.iter().any(|opened| opened.file == file) {
            return Err(Unmendable::Closed);
        }
        if let Some(target) = self.fits.iter().position(Vec::is_empty) {
            return Err(Unmendable::Unexplained { target });
        }
        let of_file = |key: &FoundKey| {
            let mut parts = key.parts.iter().filter_map(|part| self.opened.get(*part));
            parts.find(|opened| opened.file == file)
        };
        let mut common = first
            .iter()
            .filter(|key| self.fits.iter().all(|fitting| fitting.contains(key)))
            .filter_map(|key| self.keys.get(*key));
        if let Some(opened) = common.find_map(of_file) {
            return Ok(opened);
        }
        // Either another target has another key, or this file has no part in the only one.
        let apart = |fitting: &Vec<usize>| first.iter().all(|key| !fitting.contains(key));
        Err(match self.fits.iter().position(apart) {
            Some(other) => Unmendable::Differ { one: 0, other },
            None => Unmendable::Unexplained { target: 0 },
        })
    }
}
