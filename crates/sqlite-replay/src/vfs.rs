//! The file system layer: registered with SQLite under a name, each C function forwarded to the layer for Unix.

use std::{
    ffi::{CStr, CString, OsStr, c_char, c_int, c_void},
    io,
    os::unix::ffi::OsStrExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use libsqlite3_sys::{
    SQLITE_CANTOPEN, SQLITE_ERROR, SQLITE_IOERR, SQLITE_OK, SQLITE_OPEN_CREATE, SQLITE_OPEN_MAIN_JOURNAL,
    SQLITE_OPEN_SUPER_JOURNAL, SQLITE_OPEN_WAL, sqlite3_file, sqlite3_int64, sqlite3_vfs, sqlite3_vfs_find,
    sqlite3_vfs_register,
};
use thiserror::Error;

use crate::{
    file::{Recorded, ReplayFile},
    recorder::{Recorder, Recording, RecordingError},
};

/// A file system layer of SQLite that records what happens to the files in one directory, and fails on demand.
///
/// Databases anywhere else work through it too, unrecorded and without faults. Once registered it stays until the
/// process ends: SQLite has no way to know when the last user of a layer is gone.
#[derive(Debug, Clone)]
pub struct ReplayVfs {
    name: Arc<str>,
    recorder: Arc<Recorder>,
}

/// Why a layer was not registered.
#[derive(Debug, Error)]
pub enum RegisterError {
    /// The directory could not be found.
    #[error("finding the directory to record")]
    Directory(#[source] io::Error),
    /// This SQLite has no layer for Unix.
    #[error("this SQLite has no file system layer called unix")]
    NoUnix,
    /// SQLite refused.
    #[error("SQLite refused the file system layer with code {0}")]
    Refused(i32),
}

impl ReplayVfs {
    /// Registers a layer that records the files directly in `directory`, under a name of its own.
    ///
    /// # Errors
    /// If the directory does not exist, or SQLite does not play along.
    pub fn register(directory: &Path) -> Result<Self, RegisterError> {
        let directory = directory.canonicalize().map_err(RegisterError::Directory)?;
        // SAFETY: the name ends with a zero byte; the function may be called from any thread at any time.
        let real = unsafe { sqlite3_vfs_find(c"unix".as_ptr()) };
        if real.is_null() {
            return Err(RegisterError::NoUnix);
        }
        let recorder = Arc::new(Recorder::new(directory));
        let name = format!("replay-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let vfs = vfs(real, &name, Arc::clone(&recorder))?;
        // SAFETY: what is registered is leaked, hence valid as long as SQLite may use it; its functions fulfil what
        // SQLite asks of them; it is not the default, so that nobody else's databases are concerned.
        match unsafe { sqlite3_vfs_register(vfs, 0) } {
            SQLITE_OK => Ok(Self {
                name: name.into(),
                recorder,
            }),
            code => Err(RegisterError::Refused(code)),
        }
    }

    /// The name by which SQLite finds it: `vfs=NAME` in the address of a database.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Number of operations so far.
    #[must_use]
    pub fn operations(&self) -> usize {
        self.recorder.operations()
    }

    /// Number of writes asked for so far, those included that failed on demand.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.recorder.writes()
    }

    /// What happened so far.
    ///
    /// # Errors
    /// When the real disk failed.
    pub fn recording(&self) -> Result<Recording, RecordingError> {
        self.recorder.recording()
    }

    /// Lets so many more writes go through; every later one writes half of its bytes and reports that the disk is
    /// full.
    pub fn fill_after(&self, writes: u64) {
        self.recorder.set_writes_left(Some(writes));
    }

    /// Frees all space.
    pub fn free(&self) {
        self.recorder.set_writes_left(None);
    }

    /// Lets every sync fail, or none. What a failed one should have made durable is lost for good.
    pub fn fail_syncs(&self, fail: bool) {
        self.recorder.set_syncs_fail(fail);
    }
}

/// What the layer's functions find behind its `pAppData`.
struct Layer {
    real: *mut sqlite3_vfs,
    recorder: Arc<Recorder>,
}

/// Puts the table of functions together, never to be given back.
fn vfs(
    real: *mut sqlite3_vfs,
    name: &str,
    recorder: Arc<Recorder>,
) -> Result<*mut sqlite3_vfs, RegisterError> {
    let head = c_int::try_from(size_of::<ReplayFile>()).map_err(|_| RegisterError::Refused(SQLITE_ERROR))?;
    let name = CString::new(name).map_err(|_| RegisterError::Refused(SQLITE_ERROR))?;
    // SAFETY: SQLite keeps its own layer for the life of the process and does not change these two numbers. The
    // whole is not copied, because other threads may be changing its link to the next layer.
    let (real_size, longest_path) = unsafe { ((*real).szOsFile, (*real).mxPathname) };
    Ok(Box::into_raw(Box::new(sqlite3_vfs {
        iVersion: 2,
        szOsFile: head + real_size,
        mxPathname: longest_path,
        pNext: std::ptr::null_mut(),
        zName: name.into_raw(),
        pAppData: Box::into_raw(Box::new(Layer { real, recorder })).cast(),
        xOpen: Some(open),
        xDelete: Some(delete),
        xAccess: Some(access),
        xFullPathname: Some(full_pathname),
        xDlOpen: Some(dl_open),
        xDlError: Some(dl_error),
        xDlSym: Some(dl_sym),
        xDlClose: Some(dl_close),
        xRandomness: Some(randomness),
        xSleep: Some(sleep),
        xCurrentTime: Some(current_time),
        xGetLastError: Some(get_last_error),
        xCurrentTimeInt64: Some(current_time_int64),
        xSetSystemCall: None,
        xGetSystemCall: None,
        xNextSystemCall: None,
    })))
}

/// The layer whose function SQLite called.
///
/// # Safety
/// `vfs` was made by [`vfs`].
const unsafe fn layer<'layer>(vfs: *mut sqlite3_vfs) -> &'layer Layer {
    // SAFETY: the caller promises that behind the pointer is a `Layer` that is never given back or changed.
    unsafe { &*(*vfs).pAppData.cast::<Layer>() }
}

/// Calls a function of the real layer, or answers for one it does not have.
macro_rules! call {
    ($vfs:ident, $function:ident($($argument:expr),*), $missing:expr) => {{
        // SAFETY: SQLite calls these functions with the layer they belong to, made by `vfs`. The real layer lives as
        // long as the process, does not change its functions, and gets itself and what SQLite passed.
        unsafe {
            let real = layer($vfs).real;
            match (*real).$function {
                Some(function) => function(real $(, $argument)*),
                None => $missing,
            }
        }
    }};
}

/// Functions that only pass on what they are given.
macro_rules! forward {
    ($($name:ident: $function:ident($($argument:ident: $type:ty),*) -> $result:ty, or $missing:expr;)*) => {$(
        unsafe extern "C" fn $name(vfs: *mut sqlite3_vfs $(, $argument: $type)*) -> $result {
            call!(vfs, $function($($argument),*), $missing)
        }
    )*};
}

/// A function of a loaded library.
type Symbol = Option<unsafe extern "C" fn(*mut sqlite3_vfs, *mut c_void, *const c_char)>;

forward! {
    access: xAccess(name: *const c_char, flags: c_int, result: *mut c_int) -> c_int, or SQLITE_IOERR;
    full_pathname: xFullPathname(name: *const c_char, room: c_int, to: *mut c_char) -> c_int, or SQLITE_CANTOPEN;
    dl_open: xDlOpen(name: *const c_char) -> *mut c_void, or std::ptr::null_mut();
    dl_error: xDlError(room: c_int, to: *mut c_char) -> (), or ();
    dl_sym: xDlSym(library: *mut c_void, name: *const c_char) -> Symbol, or None;
    dl_close: xDlClose(library: *mut c_void) -> (), or ();
    randomness: xRandomness(room: c_int, to: *mut c_char) -> c_int, or 0;
    sleep: xSleep(microseconds: c_int) -> c_int, or 0;
    current_time: xCurrentTime(to: *mut f64) -> c_int, or SQLITE_ERROR;
    get_last_error: xGetLastError(room: c_int, to: *mut c_char) -> c_int, or 0;
    current_time_int64: xCurrentTimeInt64(to: *mut sqlite3_int64) -> c_int, or SQLITE_ERROR;
}

unsafe extern "C" fn open(
    vfs: *mut sqlite3_vfs,
    name: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite passes as many bytes, aligned as for any C type, as this layer's `szOsFile` asks for: a head and
    // the real layer's file after it.
    let real = unsafe {
        ReplayFile::prepare(file);
        ReplayFile::real(file)
    };
    // SAFETY: SQLite calls this with the layer it belongs to.
    let recorder = unsafe { &layer(vfs).recorder };
    // SAFETY: a name ends with a zero byte and stays as it is until the file is closed.
    let path = unsafe { path(name) };
    let (code, recorded) = recorder.open(path, || {
        call!(vfs, xOpen(name, real, flags, out_flags), SQLITE_CANTOPEN)
    });
    if code == SQLITE_OK {
        let recorded = recorded.map(|file| Recorded {
            recorder: Arc::clone(recorder),
            file,
            directory_is_next: flags & SQLITE_OPEN_CREATE != 0 && flags & JOURNALS != 0,
        });
        // SAFETY: prepared above, and the real file behind has just been opened.
        unsafe { ReplayFile::open(file, recorded) };
    }
    code
}

unsafe extern "C" fn delete(vfs: *mut sqlite3_vfs, name: *const c_char, sync_directory: c_int) -> c_int {
    let forward = || call!(vfs, xDelete(name, sync_directory), SQLITE_IOERR);
    // SAFETY: a name ends with a zero byte and stays as it is during the call.
    let Some(path) = (unsafe { path(name) }) else {
        return forward();
    };
    // SAFETY: SQLite calls this with the layer it belongs to.
    let recorder = unsafe { &layer(vfs).recorder };
    recorder.delete(path, sync_directory != 0, forward)
}

/// The path with this name; a temporary file has none.
///
/// # Safety
/// `name` is null or ends with a zero byte, and stays as it is as long as the path is used.
unsafe fn path<'name>(name: *const c_char) -> Option<&'name Path> {
    if name.is_null() {
        return None;
    }
    // SAFETY: the caller promises it for every name that is not null.
    let name = unsafe { CStr::from_ptr(name) };
    Some(Path::new(OsStr::from_bytes(name.to_bytes())))
}

/// Files whose directory SQLite's layer for Unix syncs together with them, the first time after each opening.
const JOURNALS: c_int = SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL | SQLITE_OPEN_WAL;

/// Number of the next layer's name.
static NEXT: AtomicU64 = AtomicU64::new(1);
