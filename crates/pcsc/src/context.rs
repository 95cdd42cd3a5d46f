//! A program's connection to pcscd, and the readers it shows.

use std::{
    ffi::CString,
    time::{Duration, Instant},
};

use crate::{
    code::{Code, TIMEOUT, UNKNOWN_READER},
    error::PcscError,
    library::{Library, RawContext, ReaderState},
    token::{PATIENCE, PcscToken, Sharing},
};

/// A connection to pcscd. While it is held, a pcscd that ends when nobody uses it goes on.
pub struct Context {
    pub(crate) library: &'static Library,
    pub(crate) raw: RawContext,
}

/// A reader and what is in it.
#[derive(Debug, Clone)]
pub struct Reader {
    /// Its name, as pcscd gives it: not stable, another token may be under it after the next start.
    pub name: String,
    /// The card in it, if there is one.
    pub card: Option<PresentCard>,
    state: ReaderState,
}

/// A card that is in a reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresentCard {
    /// Answer to reset (ISO/IEC 7816-3 8); empty of one that does not answer.
    pub atr: Vec<u8>,
    /// Who else uses it.
    pub usage: Usage,
}

/// Who uses a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// Nobody.
    Free,
    /// Programs that share it.
    Shared,
    /// A program that shares it with nobody.
    Exclusive,
}

// SCARD_STATE_*, reader states.
const CHANGED: u32 = 0x0002;
const UNAVAILABLE: u32 = 0x0008;
const PRESENT: u32 = 0x0020;
const EXCLUSIVE: u32 = 0x0080;
const IN_USE: u32 = 0x0100;
/// Stands for the list of readers itself.
const PNP: &str = r"\\?PnP?\Notification";
/// How often a list is made again because a reader vanished meanwhile.
const ATTEMPTS: u32 = 10;
/// Waits longer than this are made of several.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

impl Context {
    /// Connects to pcscd, which the system may start for it.
    ///
    /// # Errors
    /// [`PcscError::NotInstalled`], [`PcscError::NoService`], [`PcscError::Denied`].
    pub fn open() -> Result<Self, PcscError> {
        let library = Library::get()?;
        let raw = library
            .establish_context()
            .map_err(|code| PcscError::of("connect to pcscd", code))?;
        Ok(Self { library, raw })
    }

    /// The readers there are now, and their cards.
    ///
    /// # Errors
    /// When pcscd has ended.
    pub fn readers(&self) -> Result<Vec<Reader>, PcscError> {
        let failed = |code| PcscError::of("list the readers", code);
        for _ in 0..ATTEMPTS {
            let names = self.library.list_readers(self.raw).map_err(failed)?;
            if names.is_empty() {
                return Ok(Vec::new());
            }
            let mut states: Vec<_> = names.into_iter().map(unknown).collect();
            match self.library.status_change(self.raw, 0, &mut states) {
                Ok(()) => return Ok(states.into_iter().filter_map(Reader::of).collect()),
                // One was unplugged between the two calls.
                Err(UNKNOWN_READER) => {}
                Err(code) => return Err(failed(code)),
            }
        }
        Err(failed(UNKNOWN_READER))
    }

    /// Waits until something about the readers is no longer as in `known`: a reader or a card came or went, was reset, or
    /// is used by others. `false` when the time is over before.
    ///
    /// # Errors
    /// When pcscd ends meanwhile.
    pub fn wait_for_change(&self, known: &[Reader], timeout: Duration) -> Result<bool, PcscError> {
        let mut states: Vec<_> = known.iter().map(|reader| reader.state.clone()).collect();
        let list = CString::new(PNP).unwrap_or_default();
        let readers = u32::try_from(known.len()).unwrap_or(u32::MAX);
        states.push(ReaderState {
            // The number of readers is where the others have their number of events.
            current: readers.min(0xFFFF) << 16,
            ..unknown(list)
        });
        let end = Instant::now().checked_add(timeout);
        loop {
            let left = end.map_or(LONGEST_WAIT, |end| end.saturating_duration_since(Instant::now()));
            let part = u32::try_from(left.min(LONGEST_WAIT).as_millis()).unwrap_or(u32::MAX);
            match self.library.status_change(self.raw, part, &mut states) {
                Ok(()) if states.iter().any(|state| state.event & CHANGED != 0) => return Ok(true),
                Ok(()) | Err(TIMEOUT) if left <= LONGEST_WAIT && end.is_some() => return Ok(false),
                Ok(()) | Err(TIMEOUT) => {}
                Err(UNKNOWN_READER) => return Ok(true),
                Err(code) => return Err(PcscError::of("wait for readers", code)),
            }
        }
    }

    /// Connects to the card in a reader. The connection has a context of its own and outlives this one. Another program's
    /// transaction is waited for, 30 s at most.
    ///
    /// # Errors
    /// [`PcscError::NoReader`], [`PcscError::NoCard`], [`PcscError::InUse`], [`PcscError::StillInUse`], or when pcscd has
    /// ended.
    pub fn connect(&self, reader: &str, sharing: Sharing) -> Result<PcscToken, PcscError> {
        self.connect_within(reader, sharing, PATIENCE)
    }

    /// As [`Context::connect`], with another time limit.
    ///
    /// # Errors
    /// As there.
    pub fn connect_within(
        &self,
        reader: &str,
        sharing: Sharing,
        timeout: Duration,
    ) -> Result<PcscToken, PcscError> {
        PcscToken::connect(reader, sharing, timeout)
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // pcscd forgets a program that has ended, too.
        let _: Result<(), Code> = self.library.release_context(self.raw);
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Context")
    }
}

impl Reader {
    /// `None` when it went away meanwhile.
    fn of(state: ReaderState) -> Option<Self> {
        if state.event & UNAVAILABLE != 0 {
            return None;
        }
        let card = (state.event & PRESENT != 0).then(|| PresentCard {
            atr: state.atr.clone(),
            usage: if state.event & EXCLUSIVE != 0 {
                Usage::Exclusive
            } else if state.event & IN_USE != 0 {
                Usage::Shared
            } else {
                Usage::Free
            },
        });
        Some(Self {
            name: state.name.to_string_lossy().into_owned(),
            card,
            // From now on this is what its state is taken to be.
            state: ReaderState {
                current: state.event & !CHANGED,
                ..state
            },
        })
    }
}

fn unknown(name: CString) -> ReaderState {
    ReaderState {
        name,
        current: 0,
        event: 0,
        atr: Vec::new(),
    }
}
