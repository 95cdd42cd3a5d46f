//! A transport that counts what passes through it. Bodies are never kept: only header, lengths and status word.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zeroize::Zeroizing;

use crate::{StatusWord, Transport, TransportError};

/// How many of the latest exchanges a [`Log`] keeps; the counts are exact without limit.
pub const KEPT_ENTRIES: usize = 4096;

/// Passes everything to the transport inside and notes it in a [`Log`].
#[derive(Debug)]
pub struct Recording<T> {
    inner: T,
    log: Log,
}

/// A handle on what a [`Recording`] saw; clones show the same log, also after the recording moved into a driver.
#[derive(Debug, Clone, Default)]
pub struct Log {
    shared: Arc<Mutex<Shared>>,
}

/// One exchange, without bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// CLA INS P1 P2; bytes missing in a command that was too short are 00.
    pub header: [u8; 4],
    /// Length of the whole command APDU in bytes.
    pub command_length: usize,
    /// Length of the whole response APDU in bytes, 0 when the transport failed.
    pub response_length: usize,
    /// Status word, `None` when the transport failed or answered less than two bytes.
    pub status: Option<StatusWord>,
}

#[derive(Debug, Default)]
struct Shared {
    exchanges: u64,
    resets: u64,
    by_instruction: std::collections::BTreeMap<u8, u64>,
    latest: VecDeque<Entry>,
}

impl<T> Recording<T> {
    /// Wraps `inner` with an empty log.
    pub fn new(inner: T) -> Self {
        Self {
            inner,
            log: Log::default(),
        }
    }

    /// A handle on the log.
    #[must_use]
    pub fn log(&self) -> Log {
        self.log.clone()
    }

    /// The transport inside.
    pub fn inner_mut(&mut self) -> &mut T {
        &mut self.inner
    }

    /// Gives the transport inside back.
    pub fn into_inner(self) -> T {
        self.inner
    }
}

impl<T: Transport> Transport for Recording<T> {
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        let result = self.inner.transmit(command);
        let mut header = [0; 4];
        for (to, from) in header.iter_mut().zip(command) {
            *to = *from;
        }
        let response = result.as_ref().map_or(&[][..], |bytes| bytes.as_slice());
        let status = response
            .last_chunk::<2>()
            .map(|sw| StatusWord(u16::from_be_bytes(*sw)));
        self.log.note(Entry {
            header,
            command_length: command.len(),
            response_length: response.len(),
            status,
        });
        result
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        self.log.lock().resets += 1;
        self.inner.reset()
    }
}

impl Log {
    /// Exchanges since the start or the last [`Self::clear`], failed ones included.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.lock().exchanges
    }

    /// Exchanges with this instruction byte.
    #[must_use]
    pub fn count_of(&self, instruction: u8) -> u64 {
        self.lock().by_instruction.get(&instruction).copied().unwrap_or(0)
    }

    /// Resets asked for.
    #[must_use]
    pub fn resets(&self) -> u64 {
        self.lock().resets
    }

    /// The latest exchanges, oldest first, at most [`KEPT_ENTRIES`].
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        self.lock().latest.iter().copied().collect()
    }

    /// Forgets everything counted so far.
    pub fn clear(&self) {
        *self.lock() = Shared::default();
    }

    fn note(&self, entry: Entry) {
        let mut shared = self.lock();
        shared.exchanges += 1;
        *shared.by_instruction.entry(entry.header[1]).or_default() += 1;
        if shared.latest.len() == KEPT_ENTRIES {
            shared.latest.pop_front();
        }
        shared.latest.push_back(entry);
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // Counters stay usable when a test thread panicked while it held them.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// INS.
    #[must_use]
    pub fn instruction(&self) -> u8 {
        self.header[1]
    }
}
