//! `libpcsclite.so.1`, found when it is first needed, and its functions with Rust slices instead of pointers.
//!
//! Names, numbers and structures are those of the PC/SC Workgroup's interface as pcsc-lite has it on Linux: `DWORD` is an
//! `unsigned long`, `LONG` a `long`, structures have their natural alignment.

use std::{
    ffi::{CStr, CString, OsStr, c_char, c_long, c_uchar, c_ulong, c_void},
    ptr,
    sync::OnceLock,
};

use crate::{
    code::{Code, INSUFFICIENT_BUFFER, NO_READERS_AVAILABLE},
    error::PcscError,
};

type Long = c_long;
type Dword = c_ulong;

/// A context: what pcscd knows a program by.
pub(crate) type RawContext = Long;
/// A connection to a card.
pub(crate) type RawCard = Long;

/// The library's name; its major version stands for the interface.
const LIBRARY: &str = "libpcsclite.so.1";
/// Bytes of the longest answer to reset.
const MAX_ATR: usize = 33;
/// `SCARD_SCOPE_SYSTEM`.
const SCOPE_SYSTEM: Dword = 2;
/// Most bytes of reader names taken. Sixteen readers with names of 128 bytes are what pcscd itself can have.
const MAX_NAMES: usize = 64 * 1024;

/// `SCARD_IO_REQUEST`.
#[repr(C)]
struct IoRequest {
    protocol: c_ulong,
    length: c_ulong,
}

/// `SCARD_READERSTATE`.
#[repr(C)]
struct RawReaderState {
    reader: *const c_char,
    user_data: *mut c_void,
    current_state: Dword,
    event_state: Dword,
    atr_length: Dword,
    atr: [c_uchar; MAX_ATR],
}

/// A reader as it is asked about, and what came back.
#[derive(Debug, Clone)]
pub(crate) struct ReaderState {
    pub(crate) name: CString,
    /// What the caller takes the state to be.
    pub(crate) current: u32,
    /// What it is.
    pub(crate) event: u32,
    pub(crate) atr: Vec<u8>,
}

/// The loaded library.
pub(crate) struct Library {
    establish_context: unsafe extern "C" fn(Dword, *const c_void, *const c_void, *mut RawContext) -> Long,
    release_context: unsafe extern "C" fn(RawContext) -> Long,
    list_readers: unsafe extern "C" fn(RawContext, *const c_char, *mut c_char, *mut Dword) -> Long,
    get_status_change: unsafe extern "C" fn(RawContext, Dword, *mut RawReaderState, Dword) -> Long,
    connect: unsafe extern "C" fn(RawContext, *const c_char, Dword, Dword, *mut RawCard, *mut Dword) -> Long,
    reconnect: unsafe extern "C" fn(RawCard, Dword, Dword, Dword, *mut Dword) -> Long,
    disconnect: unsafe extern "C" fn(RawCard, Dword) -> Long,
    begin_transaction: unsafe extern "C" fn(RawCard) -> Long,
    end_transaction: unsafe extern "C" fn(RawCard, Dword) -> Long,
    status: unsafe extern "C" fn(
        RawCard,
        *mut c_char,
        *mut Dword,
        *mut Dword,
        *mut Dword,
        *mut c_uchar,
        *mut Dword,
    ) -> Long,
    transmit: unsafe extern "C" fn(
        RawCard,
        *const IoRequest,
        *const c_uchar,
        Dword,
        *mut IoRequest,
        *mut c_uchar,
        *mut Dword,
    ) -> Long,
    /// Keeps the functions where they are.
    _library: libloading::Library,
}

impl Library {
    /// The library, loaded at the first call. It stays until the process ends: its functions may be running.
    pub(crate) fn get() -> Result<&'static Self, PcscError> {
        static LOADED: OnceLock<Library> = OnceLock::new();
        if let Some(library) = LOADED.get() {
            return Ok(library);
        }
        let library = Self::load(LIBRARY.as_ref())?;
        Ok(LOADED.get_or_init(|| library))
    }

    /// Loads a library of this name.
    pub(crate) fn load(name: &OsStr) -> Result<Self, PcscError> {
        let missing = |source: libloading::Error| PcscError::NotInstalled {
            library: name.to_string_lossy().into_owned(),
            reason: source.to_string(),
        };
        // SAFETY: loading runs the library's initialisers. It is the system's smart card library, whose initialisers set up
        // its own tables, or a file that a test of this crate names.
        let library = unsafe { libloading::Library::new(name) }.map_err(missing)?;
        /// Finds one function.
        macro_rules! function {
            ($name:literal) => {
                // SAFETY: the type, that of the field it is stored in, is the one the interface's header gives to this
                // name. The pointer is used only while `library`, kept beside it, is loaded.
                *unsafe { library.get(concat!($name, "\0").as_bytes()) }.map_err(missing)?
            };
        }
        Ok(Self {
            establish_context: function!("SCardEstablishContext"),
            release_context: function!("SCardReleaseContext"),
            list_readers: function!("SCardListReaders"),
            get_status_change: function!("SCardGetStatusChange"),
            connect: function!("SCardConnect"),
            reconnect: function!("SCardReconnect"),
            disconnect: function!("SCardDisconnect"),
            begin_transaction: function!("SCardBeginTransaction"),
            end_transaction: function!("SCardEndTransaction"),
            status: function!("SCardStatus"),
            transmit: function!("SCardTransmit"),
            _library: library,
        })
    }

    /// `SCardEstablishContext`. It starts pcscd where the system does that by its socket.
    pub(crate) fn establish_context(&self) -> Result<RawContext, Code> {
        let mut context = 0;
        // SAFETY: the two reserved pointers have to be null; `context` outlives the call, which writes one handle to it.
        let code =
            unsafe { (self.establish_context)(SCOPE_SYSTEM, ptr::null(), ptr::null(), &raw mut context) };
        Code::check(code).map(|()| context)
    }

    /// `SCardReleaseContext`. Its cards are disconnected.
    pub(crate) fn release_context(&self, context: RawContext) -> Result<(), Code> {
        // SAFETY: takes a number and no pointer. A context that is not (or no longer) one is answered with a code.
        Code::check(unsafe { (self.release_context)(context) })
    }

    /// `SCardListReaders`: the names, without their ends.
    pub(crate) fn list_readers(&self, context: RawContext) -> Result<Vec<CString>, Code> {
        loop {
            let mut length: Dword = 0;
            // SAFETY: a null group means all readers; with a null buffer only the length is written, to `length`.
            let code = unsafe { (self.list_readers)(context, ptr::null(), ptr::null_mut(), &raw mut length) };
            match Code::check(code) {
                Err(NO_READERS_AVAILABLE) => return Ok(Vec::new()),
                other => other?,
            }
            let mut buffer = vec![0_u8; limited(length, MAX_NAMES)];
            let mut length = to_dword(buffer.len());
            // SAFETY: `buffer` has the `length` bytes announced, the library writes no more than that, and the bytes written
            // to `length`.
            let code = unsafe {
                (self.list_readers)(
                    context,
                    ptr::null(),
                    buffer.as_mut_ptr().cast::<c_char>(),
                    &raw mut length,
                )
            };
            match Code::check(code) {
                Err(NO_READERS_AVAILABLE) => return Ok(Vec::new()),
                // A reader came between the two calls.
                Err(INSUFFICIENT_BUFFER) if buffer.len() < MAX_NAMES => {}
                other => {
                    other?;
                    buffer.truncate(limited(length, buffer.len()));
                    return Ok(names(&buffer));
                }
            }
        }
    }

    /// `SCardGetStatusChange`: waits until a reader's state is not what it is taken for, or the time is over.
    pub(crate) fn status_change(
        &self,
        context: RawContext,
        timeout_ms: u32,
        states: &mut [ReaderState],
    ) -> Result<(), Code> {
        let mut raw: Vec<_> = states
            .iter()
            .map(|state| RawReaderState {
                reader: state.name.as_ptr(),
                user_data: ptr::null_mut(),
                current_state: Dword::from(state.current),
                event_state: 0,
                atr_length: 0,
                atr: [0; MAX_ATR],
            })
            .collect();
        // SAFETY: `raw` holds as many structures as announced, laid out as the header says; the names they point to are
        // owned by `states`, which outlives the call; the library writes only into the structures.
        let code = unsafe {
            (self.get_status_change)(
                context,
                Dword::from(timeout_ms),
                raw.as_mut_ptr(),
                to_dword(raw.len()),
            )
        };
        Code::check(code)?;
        for (state, raw) in states.iter_mut().zip(&raw) {
            state.event = low_half(raw.event_state);
            let length = limited(raw.atr_length, MAX_ATR);
            state.atr = raw.atr.get(..length).unwrap_or_default().to_vec();
        }
        Ok(())
    }

    /// `SCardConnect`: the card and the protocol it speaks.
    pub(crate) fn connect(
        &self,
        context: RawContext,
        reader: &CStr,
        share: u32,
        protocols: u32,
    ) -> Result<(RawCard, u32), Code> {
        let mut card = 0;
        let mut protocol = 0;
        // SAFETY: `reader` ends with a zero; `card` and `protocol` outlive the call, which writes one number to each.
        let code = unsafe {
            (self.connect)(
                context,
                reader.as_ptr(),
                Dword::from(share),
                Dword::from(protocols),
                &raw mut card,
                &raw mut protocol,
            )
        };
        Code::check(code).map(|()| (card, low_half(protocol)))
    }

    /// `SCardReconnect`: the protocol it speaks now.
    pub(crate) fn reconnect(
        &self,
        card: RawCard,
        share: u32,
        protocols: u32,
        initialisation: u32,
    ) -> Result<u32, Code> {
        let mut protocol = 0;
        // SAFETY: takes numbers and a pointer to `protocol`, which outlives the call.
        let code = unsafe {
            (self.reconnect)(
                card,
                Dword::from(share),
                Dword::from(protocols),
                Dword::from(initialisation),
                &raw mut protocol,
            )
        };
        Code::check(code).map(|()| low_half(protocol))
    }

    /// `SCardDisconnect`.
    pub(crate) fn disconnect(&self, card: RawCard, disposition: u32) -> Result<(), Code> {
        // SAFETY: takes numbers; a handle that is none is answered with a code.
        Code::check(unsafe { (self.disconnect)(card, Dword::from(disposition)) })
    }

    /// `SCardBeginTransaction`: waits while another program has one.
    pub(crate) fn begin_transaction(&self, card: RawCard) -> Result<(), Code> {
        // SAFETY: takes a number; a handle that is none, or becomes none while it waits, is answered with a code.
        Code::check(unsafe { (self.begin_transaction)(card) })
    }

    /// `SCardEndTransaction`.
    pub(crate) fn end_transaction(&self, card: RawCard, disposition: u32) -> Result<(), Code> {
        // SAFETY: takes numbers; a handle that is none is answered with a code.
        Code::check(unsafe { (self.end_transaction)(card, Dword::from(disposition)) })
    }

    /// `SCardStatus`: the answer to reset of a connected card.
    pub(crate) fn atr(&self, card: RawCard) -> Result<Vec<u8>, Code> {
        let mut atr = [0_u8; MAX_ATR];
        let mut atr_length = to_dword(MAX_ATR);
        let (mut name_length, mut state, mut protocol): (Dword, Dword, Dword) = (0, 0, 0);
        // SAFETY: with a null name only its length is written; `atr` has the bytes announced in `atr_length`; all of them
        // outlive the call.
        let code = unsafe {
            (self.status)(
                card,
                ptr::null_mut(),
                &raw mut name_length,
                &raw mut state,
                &raw mut protocol,
                atr.as_mut_ptr(),
                &raw mut atr_length,
            )
        };
        Code::check(code)?;
        let length = limited(atr_length, MAX_ATR);
        Ok(atr.get(..length).unwrap_or_default().to_vec())
    }

    /// `SCardTransmit`: the number of bytes received, at the beginning of `buffer`.
    pub(crate) fn transmit(
        &self,
        card: RawCard,
        protocol: u32,
        command: &[u8],
        buffer: &mut [u8],
    ) -> Result<usize, Code> {
        let request = IoRequest {
            protocol: Dword::from(protocol),
            length: to_dword(size_of::<IoRequest>()),
        };
        let mut length = to_dword(buffer.len());
        // SAFETY: `command` and `buffer` have the bytes announced for them; the answer's header is not wanted, which a null
        // pointer says; the library writes at most `length` bytes, and their number to `length`.
        let code = unsafe {
            (self.transmit)(
                card,
                &raw const request,
                command.as_ptr(),
                to_dword(command.len()),
                ptr::null_mut(),
                buffer.as_mut_ptr(),
                &raw mut length,
            )
        };
        Code::check(code).map(|()| limited(length, buffer.len()))
    }
}

/// Names in a list, each ended by a zero, the list by an empty one.
fn names(list: &[u8]) -> Vec<CString> {
    list.split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .filter_map(|name| CString::new(name).ok())
        .collect()
}

/// A length that the library gave, and never more than there is.
fn limited(length: Dword, limit: usize) -> usize {
    usize::try_from(length).map_or(limit, |length| length.min(limit))
}

/// A length of ours; none of them is near the limit.
fn to_dword(length: usize) -> Dword {
    Dword::try_from(length).unwrap_or(Dword::MAX)
}

/// Flags and protocols have 32 bits wherever `DWORD` is longer.
fn low_half(value: Dword) -> u32 {
    u32::try_from(value & 0xFFFF_FFFF).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_library_names_the_packages() {
        let error = Library::load("libpcsclite.so.does-not-exist".as_ref())
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default();
        assert!(
            error.contains("libpcsclite1") && error.contains("pcscd"),
            "{error}"
        );
    }

    #[test]
    fn a_library_without_the_functions_is_refused() {
        let error = Library::load("libc.so.6".as_ref()).err();
        assert!(matches!(error, Some(PcscError::NotInstalled { .. })), "{error:?}");
    }

    #[test]
    fn lists_of_names_are_read_however_they_end() {
        let read = |list: &[u8]| -> Vec<_> {
            names(list)
                .into_iter()
                .map(|name| name.into_string().unwrap_or_default())
                .collect()
        };
        assert_eq!(read(b"one 00\0two\0\0"), ["one 00", "two"]);
        assert_eq!(read(b"cut"), ["cut"]);
        assert_eq!(read(b"\0\0"), [""; 0]);
        assert_eq!(read(b""), [""; 0]);
    }
}
