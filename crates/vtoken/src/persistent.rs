//! A token's state together with the log that keeps it.

use std::path::Path;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::codec;
use crate::error::{OpenError, StoreFailure};
use crate::files::Files;
use crate::lock::Held;
use crate::log::{self, Log, StateMark};
use crate::seal::AtRest;
use crate::state::{Change, State};
use crate::token_dir;

/// The state of an open token. Exclusive: the token's lock is held until this is dropped.
pub(crate) struct Persistent {
    state: State,
    log: Log,
    _lock: Held,
}

impl Persistent {
    /// Opens the token in a directory, after whatever way it was left.
    ///
    /// # Errors
    /// [`OpenError`]; the files are then as they were.
    pub(crate) fn open(files: Arc<dyn Files>, dir: &Path, at_rest: &AtRest) -> Result<Self, OpenError> {
        Self::open_compacting(files, dir, at_rest, log::COMPACT_MINIMUM)
    }

    /// As [`Persistent::open`], for a log that is compacted from another size in bytes on.
    fn open_compacting(
        files: Arc<dyn Files>,
        dir: &Path,
        at_rest: &AtRest,
        compact_minimum: u64,
    ) -> Result<Self, OpenError> {
        let lock = token_dir::lock(files.as_ref(), dir)?;
        let key = token_dir::read_key(files.as_ref(), dir, at_rest)?;
        // A token whose making was interrupted after it got its name: the name is made durable before anything
        // is built upon it.
        if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            files.sync_dir(parent).map_err(OpenError::doing("sync", parent))?;
        }
        let recovered = Log::open(files, dir, key, compact_minimum)?;
        let mut state = State::default();
        for (offset, record) in &recovered.contents {
            let changes = codec::decode(record).map_err(|error| OpenError::Damaged {
                file: dir.join(log::NAME),
                offset: *offset,
                reason: error.to_string(),
            })?;
            changes.iter().for_each(|change| state.apply(change));
        }
        let mut persistent = Self {
            state,
            log: recovered.log,
            _lock: lock,
        };
        // What was read may be in no more than the page cache; it has to be durable before anybody acts on it.
        if !recovered.unsettled || persistent.rewrite().is_err() {
            persistent.log.settle()?;
        }
        Ok(persistent)
    }

    /// The state as the last commit left it.
    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// Makes changes, all or none. Once this returns `Ok` they are durable.
    ///
    /// # Errors
    /// [`StoreFailure`]; state and log are then as before, and a later commit can succeed.
    pub(crate) fn commit(&mut self, changes: &[Change]) -> Result<(), StoreFailure> {
        if changes.is_empty() {
            return Ok(());
        }
        if self.log.must_rewrite() {
            self.rewrite()?;
        } else if self.log.wants_rewrite()
            && let Err(failure) = self.rewrite()
        {
            if self.log.must_rewrite() {
                return Err(failure);
            }
            tracing::warn!(error = %failure, "could not compact the state log of a virtual token, it grows on");
            self.log.postpone_rewrite();
        }
        self.log.append(&codec::encode(changes))?;
        changes.iter().for_each(|change| self.state.apply(change));
        Ok(())
    }

    /// Where the token's history stands.
    pub(crate) fn mark(&self) -> StateMark {
        self.log.mark()
    }

    fn rewrite(&mut self) -> Result<(), StoreFailure> {
        let snapshot: Zeroizing<Vec<u8>> = codec::encode(&self.state.as_changes());
        self.log.rewrite(&snapshot)
    }
}

#[cfg(test)]
mod tests;
