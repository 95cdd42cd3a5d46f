//! Start, end, and what this is.

use std::ffi::c_void;

use chancery_pkcs11_library::{
    Code, Result,
    config::{Config, Environment},
};
use cryptoki_sys as ck;

use crate::{
    guard::exported,
    instance,
    lists::{self, INTERFACES},
    raw::{blank_padded, number},
};

exported! {
    /// `C_Initialize`
    fn C_Initialize(call, arguments: *mut c_void) {
        let arguments = if arguments.is_null() {
            None
        } else {
            Some(call.get(arguments.cast::<ck::CK_C_INITIALIZE_ARGS>())?)
        };
        if instance::library().is_ok() {
            return Err(Code::CRYPTOKI_ALREADY_INITIALIZED.into());
        }
        if let Some(arguments) = &arguments {
            check(arguments)?;
        }
        // p11-kit allows no threads to any module.
        let forbidden = arguments.map_or(0, |given| given.flags & ck::CKF_LIBRARY_CANT_CREATE_OS_THREADS);
        chancery_pkcs11_library::allow_threads(forbidden == 0);
        let environment = Environment::of_process();
        match Config::load(&environment) {
            Ok(config) => instance::initialise(chancery_pkcs11_library::start(&config, &environment)),
            Err(error) => {
                chancery_pkcs11_library::notice::Notices::new(false).say(&error.to_string());
                Err(Code::GENERAL_ERROR.into())
            }
        }
    }

    /// `C_Finalize`
    fn C_Finalize(call, reserved: *mut c_void) {
        if !reserved.is_null() {
            return Err(Code::ARGUMENTS_BAD.into());
        }
        instance::finalise()?.close();
        Ok(())
    }

    /// `C_GetInfo`
    fn C_GetInfo(call, info: *mut ck::CK_INFO) {
        instance::library()?;
        call.put(info, ck::CK_INFO {
            cryptokiVersion: lists::VERSION_2_40,
            manufacturerID: blank_padded("Chancery"),
            flags: 0,
            libraryDescription: blank_padded("Chancery PKCS#11 module"),
            libraryVersion: version_of_package(),
        })
    }

    /// `C_GetFunctionList`
    fn C_GetFunctionList(call, list: *mut *mut ck::CK_FUNCTION_LIST) {
        call.put(list, lists::version_2_40())
    }

    /// `C_GetInterfaceList`
    fn C_GetInterfaceList(call, interfaces: *mut ck::CK_INTERFACE, count: *mut ck::CK_ULONG) {
        let all: Vec<ck::CK_INTERFACE> = INTERFACES.iter().map(|interface| interface.0).collect();
        call.list(&all, interfaces, count)
    }

    /// `C_GetInterface`
    fn C_GetInterface(
        call,
        name: *mut ck::CK_UTF8CHAR,
        version: *mut ck::CK_VERSION,
        interface: *mut *mut ck::CK_INTERFACE,
        flags: ck::CK_FLAGS,
    ) {
        let version = if version.is_null() { None } else { Some(call.get(version)?) };
        let named = name.is_null() || {
            // One byte after the other: where the text ends is known when its end is seen.
            let mut at = name.cast_const();
            let mut same = true;
            for expected in lists::NAME {
                same = call.get(at)? == *expected;
                if !same {
                    break;
                }
                at = at.wrapping_add(1);
            }
            same
        };
        let fits = |candidate: &&lists::Interface| {
            let of = candidate.version();
            named && version.is_none_or(|version| (version.major, version.minor) == (of.major, of.minor))
        };
        let found = INTERFACES.iter().find(fits).filter(|_| flags == 0);
        let found = found.ok_or(Code::FUNCTION_FAILED)?;
        call.put(interface, (&raw const found.0).cast_mut())
    }

    /// `C_GetFunctionStatus`
    fn C_GetFunctionStatus(call, session: ck::CK_SESSION_HANDLE) {
        legacy(session)
    }

    /// `C_CancelFunction`
    fn C_CancelFunction(call, session: ck::CK_SESSION_HANDLE) {
        legacy(session)
    }
}

/// Functions of parallel sessions, which there are none of.
fn legacy(session: ck::CK_SESSION_HANDLE) -> Result<()> {
    instance::library()?.session_info(chancery_pkcs11_library::SessionHandle(number_of(session)))?;
    Err(Code::FUNCTION_NOT_PARALLEL.into())
}

/// The rules for `CK_C_INITIALIZE_ARGS` (PKCS#11 3.1, 5.4).
fn check(arguments: &ck::CK_C_INITIALIZE_ARGS) -> Result<()> {
    if !arguments.pReserved.is_null() {
        return Err(Code::ARGUMENTS_BAD.into());
    }
    let functions = [
        arguments.CreateMutex.is_some(),
        arguments.DestroyMutex.is_some(),
        arguments.LockMutex.is_some(),
        arguments.UnlockMutex.is_some(),
    ];
    let given = functions.iter().filter(|given| **given).count();
    if given != 0 && given != functions.len() {
        return Err(Code::ARGUMENTS_BAD.into());
    }
    // Locks here are the system's; a caller's own are not used.
    if given != 0 && arguments.flags & ck::CKF_OS_LOCKING_OK == 0 {
        return Err(Code::CANT_LOCK.into());
    }
    Ok(())
}

fn version_of_package() -> ck::CK_VERSION {
    let part = |text: &str| text.parse().unwrap_or(0);
    ck::CK_VERSION {
        major: part(env!("CARGO_PKG_VERSION_MAJOR")),
        minor: part(env!("CARGO_PKG_VERSION_MINOR")),
    }
}

/// A handle of C as one of the library.
#[expect(
    clippy::useless_conversion,
    reason = "CK_ULONG is 32 bits wide on some machines"
)]
pub(crate) fn number_of(handle: ck::CK_ULONG) -> u64 {
    u64::from(handle)
}

/// A handle of the library for C.
pub(crate) fn handle_for(handle: u64) -> ck::CK_ULONG {
    usize::try_from(handle).map_or(ck::CK_INVALID_HANDLE, number)
}
