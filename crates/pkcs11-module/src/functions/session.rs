//! Sessions and login.

use std::ffi::c_void;

use chancery_pkcs11_library::{Code, Library, Pin, Result, SessionHandle, SlotId, User};
use cryptoki_sys as ck;

use super::general::{handle_for, number_of};
use crate::{guard::exported, instance, raw::Call};

exported! {
    /// `C_OpenSession`
    fn C_OpenSession(
        call,
        slot: ck::CK_SLOT_ID,
        flags: ck::CK_FLAGS,
        application: *mut c_void,
        notify: ck::CK_NOTIFY,
        session: *mut ck::CK_SESSION_HANDLE,
    ) {
        // Nothing is ever notified.
        let _ = (application, notify);
        let library = instance::library()?;
        if session.is_null() {
            return Err(Code::ARGUMENTS_BAD.into());
        }
        if flags & ck::CKF_SERIAL_SESSION == 0 {
            return Err(Code::SESSION_PARALLEL_NOT_SUPPORTED.into());
        }
        let opened = library.open_session(SlotId(number_of(slot)), flags & ck::CKF_RW_SESSION != 0)?;
        call.put(session, handle_for(opened.0))
    }

    /// `C_CloseSession`
    fn C_CloseSession(call, session: ck::CK_SESSION_HANDLE) {
        instance::library()?.close_session(SessionHandle(number_of(session)))
    }

    /// `C_CloseAllSessions`
    fn C_CloseAllSessions(call, slot: ck::CK_SLOT_ID) {
        instance::library()?.close_all_sessions(SlotId(number_of(slot)))
    }

    /// `C_GetSessionInfo`
    fn C_GetSessionInfo(call, session: ck::CK_SESSION_HANDLE, info: *mut ck::CK_SESSION_INFO) {
        let found = instance::library()?.session_info(SessionHandle(number_of(session)))?;
        let write = if found.write { ck::CKF_RW_SESSION } else { 0 };
        call.put(info, ck::CK_SESSION_INFO {
            slotID: handle_for(found.slot.0),
            state: found.state,
            flags: ck::CKF_SERIAL_SESSION | write,
            ulDeviceError: 0,
        })
    }

    /// `C_SessionCancel`
    fn C_SessionCancel(call, session: ck::CK_SESSION_HANDLE, flags: ck::CK_FLAGS) {
        instance::library()?.cancel(SessionHandle(number_of(session)), flags)
    }

    /// `C_Login`
    fn C_Login(
        call,
        session: ck::CK_SESSION_HANDLE,
        user: ck::CK_USER_TYPE,
        pin: *mut ck::CK_UTF8CHAR,
        length: ck::CK_ULONG,
    ) {
        login(&call, &*instance::library()?, session, user, pin, length)
    }

    /// `C_LoginUser`: names of users are not used; only an empty one is taken.
    fn C_LoginUser(
        call,
        session: ck::CK_SESSION_HANDLE,
        user: ck::CK_USER_TYPE,
        pin: *mut ck::CK_UTF8CHAR,
        length: ck::CK_ULONG,
        name: *mut ck::CK_UTF8CHAR,
        name_length: ck::CK_ULONG,
    ) {
        let library = instance::library()?;
        if !call.slice(name, name_length)?.is_empty() {
            return Err(Code::ARGUMENTS_BAD.into());
        }
        login(&call, &library, session, user, pin, length)
    }

    /// `C_Logout`
    fn C_Logout(call, session: ck::CK_SESSION_HANDLE) {
        instance::library()?.logout(SessionHandle(number_of(session)))
    }

    /// `C_GenerateRandom`
    fn C_GenerateRandom(call, session: ck::CK_SESSION_HANDLE, out: *mut ck::CK_BYTE, length: ck::CK_ULONG) {
        let library = instance::library()?;
        let length = usize::try_from(length).map_err(|_| Code::ARGUMENTS_BAD)?;
        let out = call.slice_mut(out, length)?;
        library.random(SessionHandle(number_of(session)), out)
    }

    /// `C_SeedRandom`: tokens are not seeded from outside.
    fn C_SeedRandom(call, session: ck::CK_SESSION_HANDLE, seed: *mut ck::CK_BYTE, length: ck::CK_ULONG) {
        let library = instance::library()?;
        call.slice(seed, length)?;
        library.session_info(SessionHandle(number_of(session)))?;
        Err(Code::RANDOM_SEED_NOT_SUPPORTED.into())
    }
}

fn login(
    call: &Call,
    library: &Library,
    session: ck::CK_SESSION_HANDLE,
    user: ck::CK_USER_TYPE,
    pin: *const ck::CK_UTF8CHAR,
    length: ck::CK_ULONG,
) -> Result<()> {
    let user = match user {
        ck::CKU_SO => User::SecurityOfficer,
        ck::CKU_USER => User::User,
        ck::CKU_CONTEXT_SPECIFIC => User::Context,
        _ => return Err(Code::USER_TYPE_INVALID.into()),
    };
    // A null PIN asks for the token's own way; whatever its length says.
    let pin = if pin.is_null() {
        None
    } else {
        Some(Pin::new(call.slice(pin, length)?))
    };
    library.login(SessionHandle(number_of(session)), user, pin.as_ref())
}
