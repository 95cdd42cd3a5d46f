//! An open file: the C functions SQLite calls, each forwarded to the real file behind.

use std::{
    ffi::{c_int, c_void},
    ptr::NonNull,
    sync::Arc,
};

use libsqlite3_sys::{
    SQLITE_IOCAP_BATCH_ATOMIC, SQLITE_IOERR, SQLITE_NOTFOUND, SQLITE_OK, sqlite3_file, sqlite3_int64,
    sqlite3_io_methods,
};

use crate::{
    disk::FileId,
    recorder::{IMPOSSIBLE, Recorder},
};

/// The head of the memory that SQLite sets aside for an open file; the real file follows it.
#[repr(C)]
pub(crate) struct ReplayFile {
    base: sqlite3_file,
    /// Null for a file that is not recorded; otherwise from `Box::into_raw`, given back by `close`.
    recorded: *mut Recorded,
}

/// What is known of a file that is recorded.
pub(crate) struct Recorded {
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) file: FileId,
    /// SQLite's layer for Unix syncs the directory with the first sync of each opening of a journal.
    pub(crate) directory_is_next: bool,
}

impl ReplayFile {
    /// Makes the memory at `file` a file that is not open.
    ///
    /// # Safety
    /// `file` is aligned and valid for writing a `ReplayFile`.
    pub(crate) unsafe fn prepare(file: *mut sqlite3_file) {
        let closed = Self {
            base: sqlite3_file {
                pMethods: std::ptr::null(),
            },
            recorded: std::ptr::null_mut(),
        };
        // SAFETY: the caller promises that the place can be written to.
        unsafe { file.cast::<Self>().write(closed) }
    }

    /// Makes it a file that is open.
    ///
    /// # Safety
    /// `file` was prepared, and the real file behind it is open.
    pub(crate) unsafe fn open(file: *mut sqlite3_file, recorded: Option<Recorded>) {
        let recorded = recorded.map_or(std::ptr::null_mut(), |recorded| Box::into_raw(Box::new(recorded)));
        // SAFETY: the caller promises that a `ReplayFile` is there.
        unsafe {
            let file = file.cast::<Self>();
            (*file).recorded = recorded;
            (*file).base.pMethods = &raw const METHODS;
        }
    }

    /// The real file behind.
    ///
    /// # Safety
    /// `file` points to the memory of a `ReplayFile` and a real file after it.
    pub(crate) const unsafe fn real(file: *mut sqlite3_file) -> *mut sqlite3_file {
        // SAFETY: the caller promises that the memory goes on after the head. Its size is a multiple of its
        // alignment, which is that of pointers, so that the real file is aligned as well.
        unsafe { file.cast::<Self>().add(1).cast() }
    }
}

/// What is known of the file, when it is recorded.
///
/// # Safety
/// `file` is an open `ReplayFile`, and nobody else uses what is returned: SQLite uses an open file from one thread at a
/// time, and the functions here call it once each.
unsafe fn recorded<'file>(file: *mut sqlite3_file) -> Option<&'file mut Recorded> {
    // SAFETY: an open file's pointer is null or from `Box::into_raw`, not yet given back, and the caller promises
    // that it is the only user.
    unsafe { NonNull::new((*file.cast::<ReplayFile>()).recorded).map(|mut recorded| recorded.as_mut()) }
}

/// Calls a method of the real file, or answers for a method it does not have.
macro_rules! call {
    ($file:ident, $method:ident($($argument:expr),*), $missing:expr) => {{
        // SAFETY: SQLite calls the methods of a file between its opening and its closing only. Then the real file
        // behind is open, so that it has methods, which get that file and what SQLite passed, or less of it.
        unsafe {
            let real = ReplayFile::real($file);
            match (*(*real).pMethods).$method {
                Some(method) => method(real $(, $argument)*),
                None => $missing,
            }
        }
    }};
}

/// Methods that only pass on what they are given.
macro_rules! forward {
    ($($name:ident: $method:ident($($argument:ident: $type:ty),*) -> $result:ty, or $missing:expr;)*) => {$(
        unsafe extern "C" fn $name(file: *mut sqlite3_file $(, $argument: $type)*) -> $result {
            call!(file, $method($($argument),*), $missing)
        }
    )*};
}

forward! {
    read: xRead(to: *mut c_void, count: c_int, offset: sqlite3_int64) -> c_int, or SQLITE_IOERR;
    file_size: xFileSize(size: *mut sqlite3_int64) -> c_int, or SQLITE_IOERR;
    lock: xLock(level: c_int) -> c_int, or SQLITE_IOERR;
    unlock: xUnlock(level: c_int) -> c_int, or SQLITE_IOERR;
    check_reserved_lock: xCheckReservedLock(result: *mut c_int) -> c_int, or SQLITE_IOERR;
    file_control: xFileControl(what: c_int, argument: *mut c_void) -> c_int, or SQLITE_NOTFOUND;
    sector_size: xSectorSize() -> c_int, or 0;
    shm_map: xShmMap(region: c_int, size: c_int, extend: c_int, to: *mut *mut c_void) -> c_int, or SQLITE_IOERR;
    shm_lock: xShmLock(offset: c_int, count: c_int, flags: c_int) -> c_int, or SQLITE_IOERR;
    shm_barrier: xShmBarrier() -> (), or ();
    shm_unmap: xShmUnmap(delete: c_int) -> c_int, or SQLITE_IOERR;
}

/// What the real file system promises, but for writing several pages at once: that goes through file controls, which
/// are not recorded.
unsafe extern "C" fn device_characteristics(file: *mut sqlite3_file) -> c_int {
    call!(file, xDeviceCharacteristics(), 0) & !SQLITE_IOCAP_BATCH_ATOMIC
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    let code = call!(file, xClose(), SQLITE_OK);
    // SAFETY: SQLite closes an open file once and does not use it afterwards, so that the pointer is null or from
    // `Box::into_raw` and is given back once.
    unsafe {
        let file = file.cast::<ReplayFile>();
        (*file).base.pMethods = std::ptr::null();
        if let Some(recorded) = NonNull::new(std::mem::replace(&mut (*file).recorded, std::ptr::null_mut())) {
            drop(Box::from_raw(recorded.as_ptr()));
        }
    }
    code
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    from: *const c_void,
    count: c_int,
    offset: sqlite3_int64,
) -> c_int {
    let forward = |from: *const c_void, count| call!(file, xWrite(from, count, offset), SQLITE_IOERR);
    // SAFETY: SQLite calls this for open files only, and nothing else here uses what is returned.
    let Some(recorded) = (unsafe { recorded(file) }) else {
        return forward(from, count);
    };
    let (Ok(length), Ok(place)) = (usize::try_from(count), usize::try_from(offset)) else {
        return IMPOSSIBLE;
    };
    // SAFETY: SQLite passes `count` bytes, at least one, that it does not change during the call.
    let bytes = unsafe { std::slice::from_raw_parts(from.cast::<u8>(), length) };
    recorded.recorder.write(recorded.file, place, bytes, |part| {
        c_int::try_from(part.len()).map_or(IMPOSSIBLE, |count| forward(part.as_ptr().cast(), count))
    })
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, length: sqlite3_int64) -> c_int {
    let forward = || call!(file, xTruncate(length), SQLITE_IOERR);
    // SAFETY: SQLite calls this for open files only, and nothing else here uses what is returned.
    let Some(recorded) = (unsafe { recorded(file) }) else {
        return forward();
    };
    usize::try_from(length).map_or(IMPOSSIBLE, |length| {
        recorded.recorder.truncate(recorded.file, length, forward)
    })
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, flags: c_int) -> c_int {
    let forward = || call!(file, xSync(flags), SQLITE_IOERR);
    // SAFETY: SQLite calls this for open files only, and nothing else here uses what is returned.
    let Some(recorded) = (unsafe { recorded(file) }) else {
        return forward();
    };
    let code = recorded
        .recorder
        .sync(recorded.file, recorded.directory_is_next, forward);
    if code == SQLITE_OK {
        recorded.directory_is_next = false;
    }
    code
}

/// Version 2: with a shared write-ahead log, without memory-mapped reading and writing, which no one could record.
static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};
