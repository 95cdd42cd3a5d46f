//! The start with arguments of all kinds, and the lists and interfaces that are given out.

use std::{ffi::c_void, ptr::null_mut};

use cryptoki_sys as ck;

use crate::support::{Module, c};

#[test]
fn arguments_of_the_start_follow_the_rules() {
    unsafe extern "C" fn create(_: *mut *mut c_void) -> ck::CK_RV {
        ck::CKR_OK
    }
    unsafe extern "C" fn other(_: *mut c_void) -> ck::CK_RV {
        ck::CKR_OK
    }
    let module = Module::not_initialised();
    let start = |mut arguments: ck::CK_C_INITIALIZE_ARGS| {
        let answer = c!(module.list, C_Initialize((&raw mut arguments).cast()));
        if answer == ck::CKR_OK {
            assert_eq!(c!(module.list, C_Finalize(null_mut())), ck::CKR_OK);
        }
        answer
    };
    let none = ck::CK_C_INITIALIZE_ARGS {
        CreateMutex: None,
        DestroyMutex: None,
        LockMutex: None,
        UnlockMutex: None,
        flags: 0,
        pReserved: null_mut(),
    };
    let all = ck::CK_C_INITIALIZE_ARGS {
        CreateMutex: Some(create),
        DestroyMutex: Some(other),
        LockMutex: Some(other),
        UnlockMutex: Some(other),
        ..none
    };
    assert_eq!(start(none), ck::CKR_OK);
    assert_eq!(
        start(ck::CK_C_INITIALIZE_ARGS {
            flags: ck::CKF_OS_LOCKING_OK,
            ..none
        }),
        ck::CKR_OK
    );
    assert_eq!(start(all), ck::CKR_CANT_LOCK);
    assert_eq!(
        start(ck::CK_C_INITIALIZE_ARGS {
            flags: ck::CKF_OS_LOCKING_OK,
            ..all
        }),
        ck::CKR_OK
    );
    assert_eq!(
        start(ck::CK_C_INITIALIZE_ARGS {
            LockMutex: None,
            ..all
        }),
        ck::CKR_ARGUMENTS_BAD
    );
    let mut something = 1_u8;
    assert_eq!(
        start(ck::CK_C_INITIALIZE_ARGS {
            pReserved: (&raw mut something).cast(),
            ..none
        }),
        ck::CKR_ARGUMENTS_BAD
    );
    // Without readers of PC/SC no threads are started.
    assert_eq!(
        start(ck::CK_C_INITIALIZE_ARGS {
            flags: ck::CKF_LIBRARY_CANT_CREATE_OS_THREADS,
            ..none
        }),
        ck::CKR_OK
    );
}

#[test]
fn interfaces_are_found_by_name_and_version() {
    let module = Module::not_initialised();
    let mut count = 0;
    assert_eq!(
        c!(module.list, C_GetInterfaceList(null_mut(), &mut count)),
        ck::CKR_OK
    );
    let mut interfaces = vec![ck::CK_INTERFACE::default(); usize::try_from(count).unwrap()];
    count -= 1;
    assert_eq!(
        c!(
            module.list,
            C_GetInterfaceList(interfaces.as_mut_ptr(), &mut count)
        ),
        ck::CKR_BUFFER_TOO_SMALL
    );
    assert_eq!(
        c!(
            module.list,
            C_GetInterfaceList(interfaces.as_mut_ptr(), &mut count)
        ),
        ck::CKR_OK
    );
    let ask = |name: *mut u8, version: Option<(u8, u8)>, flags| {
        let mut wanted = version.map(|(major, minor)| ck::CK_VERSION { major, minor });
        let version = wanted.as_mut().map_or(null_mut(), |version| version as *mut _);
        let mut interface = null_mut();
        let answer = c!(module.list, C_GetInterface(name, version, &mut interface, flags));
        if answer != ck::CKR_OK {
            return Err(answer);
        }
        // SAFETY: the module gives out pointers to what lives as long as it does; each list begins with its version.
        let version = unsafe { *(*interface).pFunctionList.cast::<ck::CK_VERSION>() };
        Ok((version.major, version.minor))
    };
    let mut name = *b"PKCS 11\0";
    let name = name.as_mut_ptr();
    assert_eq!(ask(null_mut(), None, 0), Ok((3, 2)));
    assert_eq!(ask(name, Some((3, 0)), 0), Ok((3, 0)));
    assert_eq!(ask(name, Some((2, 40)), 0), Ok((2, 40)));
    assert_eq!(ask(name, Some((3, 1)), 0), Err(ck::CKR_FUNCTION_FAILED));
    assert_eq!(
        ask(name, None, ck::CKF_INTERFACE_FORK_SAFE),
        Err(ck::CKR_FUNCTION_FAILED)
    );
    for mut other in [&b"PKCS 1\0"[..], b"PKCS 112\0", b"Vendor\0", b"\0"].map(<[u8]>::to_vec) {
        assert_eq!(ask(other.as_mut_ptr(), None, 0), Err(ck::CKR_FUNCTION_FAILED));
    }
}
