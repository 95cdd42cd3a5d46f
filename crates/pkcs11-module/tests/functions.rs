//! Every function with null, wrong handles, in the wrong order and with small buffers.

#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use std::{ffi::c_void, mem::size_of, ptr::null_mut};

use cryptoki_sys as ck;
use openssl::{hash::MessageDigest, pkey::PKey, rsa::Padding, sign::Verifier};
use support::{Module, attribute, c, mechanism};

const NOWHERE: ck::CK_SESSION_HANDLE = 987_654;

/// Any function, called with ten numbers: nulls or handles.
type Any = unsafe extern "C" fn(u64, u64, u64, u64, u64, u64, u64, u64, u64, u64) -> ck::CK_RV;

/// All functions of the list of version 3.2 by their place in it; the first is `C_Initialize`, the second `C_Finalize`.
fn all(list: &'static ck::CK_FUNCTION_LIST_3_2) -> Vec<Any> {
    let count = (size_of::<ck::CK_FUNCTION_LIST_3_2>() - 8) / size_of::<usize>();
    let first = (&raw const list.C_Initialize).cast::<Option<Any>>();
    // SAFETY: after the version, and padding to 8 bytes, the structure is an array of function pointers.
    let functions = unsafe { std::slice::from_raw_parts(first, count) };
    functions.iter().map(|function| function.unwrap()).collect()
}

/// Functions whose first argument is a pointer: `C_GetInfo`, `C_GetFunctionList`, `C_GetInterfaceList`, `C_GetInterface`.
const POINTER_FIRST: [usize; 4] = [2, 3, 68, 69];

/// Calls one with a number and nulls, or with nulls alone when the number would be a pointer.
fn call(place: usize, function: Any, first: u64) -> ck::CK_RV {
    let first = if POINTER_FIRST.contains(&place) { 0 } else { first };
    // SAFETY: each function reads as many arguments as it has, and these are handles, or none, and null pointers.
    unsafe { function(first, 0, 0, 0, 0, 0, 0, 0, 0, 0) }
}

fn call_all(list: &'static ck::CK_FUNCTION_LIST_3_2, first: u64) -> Vec<ck::CK_RV> {
    // Start and end are tried elsewhere.
    let functions = all(list).into_iter().enumerate().skip(2);
    functions
        .map(|(place, function)| call(place, function, first))
        .collect()
}

#[test]
fn nothing_works_before_the_start_or_after_the_end() {
    let module = Module::not_initialised();
    let refused = |answers: Vec<ck::CK_RV>| {
        for (place, answer) in answers.into_iter().enumerate() {
            let expected = [
                ck::CKR_CRYPTOKI_NOT_INITIALIZED,
                ck::CKR_FUNCTION_NOT_SUPPORTED,
                // Lists of functions and interfaces are given out at any time, and here to nobody.
                ck::CKR_ARGUMENTS_BAD,
            ];
            assert!(expected.contains(&answer), "function {place}: {answer:#x}");
        }
    };
    refused(call_all(module.list, 0));
    assert_eq!(
        c!(module.list, C_Finalize(null_mut())),
        ck::CKR_CRYPTOKI_NOT_INITIALIZED
    );
    for _ in 0..3 {
        assert_eq!(c!(module.list, C_Initialize(null_mut())), ck::CKR_OK);
        assert_eq!(
            c!(module.list, C_Initialize(null_mut())),
            ck::CKR_CRYPTOKI_ALREADY_INITIALIZED
        );
        let mut reserved = 0_u8;
        let reserved: *mut c_void = (&raw mut reserved).cast();
        assert_eq!(c!(module.list, C_Finalize(reserved)), ck::CKR_ARGUMENTS_BAD);
        assert_eq!(c!(module.list, C_Finalize(null_mut())), ck::CKR_OK);
        refused(call_all(module.list, NOWHERE));
    }
}

#[test]
fn null_and_wrong_handles_are_refused_by_every_function() {
    let module = Module::new();
    for first in [0, NOWHERE] {
        for (place, answer) in call_all(module.list, first).into_iter().enumerate() {
            // C_CloseAllSessions of slot 0 has nothing to do.
            let closes_all = first == 0 && place == 12;
            assert_eq!(answer == ck::CKR_OK, closes_all, "function {place}: {answer:#x}");
            assert_ne!(answer, ck::CKR_GENERAL_ERROR, "function {place}");
        }
    }
}

#[test]
fn a_session_alone_harms_nothing() {
    let module = Module::new();
    for (place, function) in all(module.list).into_iter().enumerate().skip(2) {
        let session = module.session();
        let answer = call(place, function, session);
        assert_ne!(answer, ck::CKR_GENERAL_ERROR, "function {place}");
        assert_ne!(answer, ck::CKR_SESSION_HANDLE_INVALID, "function {place}");
        // Of what takes a session, only closing it makes it unknown.
        let mut info = ck::CK_SESSION_INFO::default();
        let expected = if place == 13 {
            ck::CKR_SESSION_HANDLE_INVALID
        } else {
            ck::CKR_OK
        };
        assert_eq!(
            c!(module.list, C_GetSessionInfo(session, &mut info)),
            expected,
            "function {place}"
        );
    }
}

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

#[test]
fn sessions_and_login_keep_their_order() {
    let module = Module::new();
    let list = module.list;
    let mut session = 0;
    assert_eq!(
        c!(list, C_OpenSession(0, 0, null_mut(), None, &mut session)),
        ck::CKR_SESSION_PARALLEL_NOT_SUPPORTED
    );
    assert_eq!(
        c!(
            list,
            C_OpenSession(7, ck::CKF_SERIAL_SESSION, null_mut(), None, &mut session)
        ),
        ck::CKR_SLOT_ID_INVALID
    );
    assert_eq!(
        c!(
            list,
            C_OpenSession(0, ck::CKF_SERIAL_SESSION, null_mut(), None, &mut session)
        ),
        ck::CKR_OK
    );
    let mut so_pin = b"3537363231383830".to_vec();
    assert_eq!(
        c!(list, C_Login(session, ck::CKU_SO, so_pin.as_mut_ptr(), 16)),
        ck::CKR_SESSION_READ_ONLY_EXISTS
    );
    assert_eq!(c!(list, C_Logout(session)), ck::CKR_USER_NOT_LOGGED_IN);
    assert_eq!(
        c!(list, C_Login(session, 9, null_mut(), 0)),
        ck::CKR_USER_TYPE_INVALID
    );
    assert_eq!(
        c!(list, C_Login(session, ck::CKU_USER, null_mut(), 0)),
        ck::CKR_ARGUMENTS_BAD
    );
    assert_eq!(
        c!(list, C_Login(session, ck::CKU_CONTEXT_SPECIFIC, null_mut(), 0)),
        ck::CKR_OPERATION_NOT_INITIALIZED
    );
    assert_eq!(module.login(session), ck::CKR_OK);
    assert_eq!(module.login(session), ck::CKR_USER_ALREADY_LOGGED_IN);
    assert_eq!(
        c!(list, C_Login(session, ck::CKU_SO, so_pin.as_mut_ptr(), 16)),
        ck::CKR_USER_ANOTHER_ALREADY_LOGGED_IN
    );
    // A session that only reads makes nothing.
    let mut class = ck::CKO_DATA.to_ne_bytes().to_vec();
    let mut yes = vec![1];
    let mut data = [
        attribute(ck::CKA_CLASS, &mut class),
        attribute(ck::CKA_TOKEN, &mut yes),
    ];
    let mut object = 0;
    assert_eq!(
        c!(list, C_CreateObject(session, data.as_mut_ptr(), 2, &mut object)),
        ck::CKR_SESSION_READ_ONLY
    );
    let writing = module.session();
    let state = |session| {
        let mut info = ck::CK_SESSION_INFO::default();
        assert_eq!(c!(list, C_GetSessionInfo(session, &mut info)), ck::CKR_OK);
        info.state
    };
    assert_eq!(state(session), ck::CKS_RO_USER_FUNCTIONS);
    assert_eq!(state(writing), ck::CKS_RW_USER_FUNCTIONS);
    assert_eq!(
        c!(list, C_CreateObject(writing, data.as_mut_ptr(), 2, &mut object)),
        ck::CKR_OK
    );
    assert_eq!(c!(list, C_CloseSession(session)), ck::CKR_OK);
    assert_eq!(c!(list, C_CloseSession(session)), ck::CKR_SESSION_HANDLE_INVALID);
    // With the last session the login is over.
    assert_eq!(c!(list, C_CloseSession(writing)), ck::CKR_OK);
    let again = module.session();
    assert_eq!(state(again), ck::CKS_RW_PUBLIC_SESSION);
    // The security officer gives the user another PIN, and it is the user's.
    assert_eq!(
        c!(list, C_Login(again, ck::CKU_SO, so_pin.as_mut_ptr(), 16)),
        ck::CKR_OK
    );
    let mut new = b"123456".to_vec();
    assert_eq!(c!(list, C_InitPIN(again, new.as_mut_ptr(), 6)), ck::CKR_OK);
    assert_eq!(c!(list, C_Logout(again)), ck::CKR_OK);
    assert_eq!(module.login(again), ck::CKR_PIN_INCORRECT);
    let mut info = ck::CK_TOKEN_INFO::default();
    assert_eq!(c!(list, C_GetTokenInfo(0, &mut info)), ck::CKR_OK);
    assert_ne!(info.flags & ck::CKF_USER_PIN_COUNT_LOW, 0);
    let mut old = support::PIN.to_vec();
    assert_eq!(
        c!(list, C_SetPIN(again, new.as_mut_ptr(), 6, old.as_mut_ptr(), 3)),
        ck::CKR_PIN_LEN_RANGE
    );
    assert_eq!(
        c!(list, C_SetPIN(again, new.as_mut_ptr(), 6, old.as_mut_ptr(), 6)),
        ck::CKR_OK
    );
    assert_eq!(module.login(again), ck::CKR_OK);
    assert_eq!(c!(list, C_Logout(again)), ck::CKR_OK);
    // Three wrong ones, and it is over.
    let mut wrong = b"000000".to_vec();
    let answers = [ck::CKR_PIN_INCORRECT, ck::CKR_PIN_INCORRECT, ck::CKR_PIN_LOCKED];
    for (tries, expected) in answers.into_iter().enumerate() {
        let answer = c!(list, C_Login(again, ck::CKU_USER, wrong.as_mut_ptr(), 6));
        assert_eq!(answer, expected, "try {tries}");
    }
    assert_eq!(c!(list, C_GetTokenInfo(0, &mut info)), ck::CKR_OK);
    assert_ne!(info.flags & ck::CKF_USER_PIN_LOCKED, 0);
}

#[test]
fn signatures_keep_their_order_and_buffers() {
    let module = Module::new();
    let list = module.list;
    let session = module.session();
    assert_eq!(module.login(session), ck::CKR_OK);
    let (public, private) = module.generate(session, true);
    let spki = module.read(session, public, ck::CKA_PUBLIC_KEY_INFO).unwrap();
    let key = PKey::public_key_from_der(&spki).unwrap();
    let judge = |signature: &[u8], message: &[u8]| {
        let mut verifier = Verifier::new(MessageDigest::sha256(), &key).unwrap();
        verifier.verify_oneshot(signature, message).unwrap()
    };
    let mut data = b"what is signed".to_vec();
    let length = u64::try_from(data.len()).unwrap();
    let mut signature = vec![0; 300];
    let mut room = 300;
    assert_eq!(
        c!(
            list,
            C_Sign(
                session,
                data.as_mut_ptr(),
                length,
                signature.as_mut_ptr(),
                &mut room
            )
        ),
        ck::CKR_OPERATION_NOT_INITIALIZED
    );
    assert_eq!(
        c!(list, C_SignFinal(session, signature.as_mut_ptr(), &mut room)),
        ck::CKR_OPERATION_NOT_INITIALIZED
    );
    // What does not fit is refused at the beginning.
    let mut sha256 = mechanism(ck::CKM_SHA256_RSA_PKCS);
    for (kind, key, expected) in [
        (ck::CKM_ECDSA, private, ck::CKR_KEY_TYPE_INCONSISTENT),
        (ck::CKM_MD5, private, ck::CKR_MECHANISM_INVALID),
        (ck::CKM_SHA256_RSA_PKCS, public, ck::CKR_KEY_HANDLE_INVALID),
        (ck::CKM_SHA256_RSA_PKCS, 4711, ck::CKR_KEY_HANDLE_INVALID),
        (
            ck::CKM_SHA256_RSA_PKCS_PSS,
            private,
            ck::CKR_MECHANISM_PARAM_INVALID,
        ),
    ] {
        let mut wrong = mechanism(kind);
        assert_eq!(
            c!(list, C_SignInit(session, &mut wrong, key)),
            expected,
            "{kind:#x}"
        );
    }
    assert_eq!(c!(list, C_SignInit(session, &mut sha256, private)), ck::CKR_OK);
    assert_eq!(
        c!(list, C_SignInit(session, &mut sha256, private)),
        ck::CKR_OPERATION_ACTIVE
    );
    // Neither a question nor a small buffer ends it.
    assert_eq!(
        c!(
            list,
            C_Sign(session, data.as_mut_ptr(), length, null_mut(), &mut room)
        ),
        ck::CKR_OK
    );
    assert_eq!(room, 256);
    room = 255;
    assert_eq!(
        c!(
            list,
            C_Sign(
                session,
                data.as_mut_ptr(),
                length,
                signature.as_mut_ptr(),
                &mut room
            )
        ),
        ck::CKR_BUFFER_TOO_SMALL
    );
    assert_eq!(room, 256);
    assert_eq!(
        c!(
            list,
            C_Sign(
                session,
                data.as_mut_ptr(),
                length,
                signature.as_mut_ptr(),
                &mut room
            )
        ),
        ck::CKR_OK
    );
    assert!(judge(&signature[..256], &data));
    assert_eq!(
        c!(
            list,
            C_Sign(
                session,
                data.as_mut_ptr(),
                length,
                signature.as_mut_ptr(),
                &mut room
            )
        ),
        ck::CKR_OPERATION_NOT_INITIALIZED
    );
    // In parts.
    assert_eq!(c!(list, C_SignInit(session, &mut sha256, private)), ck::CKR_OK);
    for part in data.chunks_mut(5) {
        let length = u64::try_from(part.len()).unwrap();
        assert_eq!(
            c!(list, C_SignUpdate(session, part.as_mut_ptr(), length)),
            ck::CKR_OK
        );
    }
    assert_eq!(
        c!(
            list,
            C_Sign(
                session,
                data.as_mut_ptr(),
                length,
                signature.as_mut_ptr(),
                &mut room
            )
        ),
        ck::CKR_OPERATION_ACTIVE
    );
    assert_eq!(c!(list, C_SignFinal(session, null_mut(), &mut room)), ck::CKR_OK);
    room = 1;
    assert_eq!(
        c!(list, C_SignFinal(session, signature.as_mut_ptr(), &mut room)),
        ck::CKR_BUFFER_TOO_SMALL
    );
    signature.fill(0);
    assert_eq!(
        c!(list, C_SignFinal(session, signature.as_mut_ptr(), &mut room)),
        ck::CKR_OK
    );
    assert!(judge(&signature[..256], &data));
    // Cancelled, both ways.
    for cancel in [0, 1] {
        assert_eq!(c!(list, C_SignInit(session, &mut sha256, private)), ck::CKR_OK);
        if cancel == 0 {
            assert_eq!(c!(list, C_SignInit(session, null_mut(), 0)), ck::CKR_OK);
        } else {
            assert_eq!(c!(list, C_SessionCancel(session, ck::CKF_SIGN)), ck::CKR_OK);
        }
        assert_eq!(
            c!(list, C_SignFinal(session, signature.as_mut_ptr(), &mut room)),
            ck::CKR_OPERATION_NOT_INITIALIZED
        );
    }
    // Too long for the modulus: the operation is over.
    let mut raw = mechanism(ck::CKM_RSA_PKCS);
    let mut long = vec![1; 250];
    assert_eq!(c!(list, C_SignInit(session, &mut raw, private)), ck::CKR_OK);
    room = 256;
    assert_eq!(
        c!(
            list,
            C_Sign(session, long.as_mut_ptr(), 250, signature.as_mut_ptr(), &mut room)
        ),
        ck::CKR_DATA_LEN_RANGE
    );
    assert_eq!(c!(list, C_Logout(session)), ck::CKR_OK);
    assert_eq!(
        c!(list, C_SignInit(session, &mut raw, private)),
        ck::CKR_USER_NOT_LOGGED_IN
    );
}

#[test]
fn decryption_keeps_its_order_and_buffers() {
    let module = Module::new();
    let list = module.list;
    let session = module.session();
    assert_eq!(module.login(session), ck::CKR_OK);
    let (public, private) = module.generate(session, true);
    let spki = module.read(session, public, ck::CKA_PUBLIC_KEY_INFO).unwrap();
    let key = PKey::public_key_from_der(&spki).unwrap().rsa().unwrap();
    let mut cryptogram = vec![0; 256];
    key.public_encrypt(b"secret", &mut cryptogram, Padding::PKCS1)
        .unwrap();
    let mut pkcs1 = mechanism(ck::CKM_RSA_PKCS);
    let mut plain = [0; 256];
    let mut room = 3;
    assert_eq!(
        c!(
            list,
            C_Decrypt(
                session,
                cryptogram.as_mut_ptr(),
                256,
                plain.as_mut_ptr(),
                &mut room
            )
        ),
        ck::CKR_OPERATION_NOT_INITIALIZED
    );
    assert_eq!(c!(list, C_DecryptInit(session, &mut pkcs1, private)), ck::CKR_OK);
    assert_eq!(
        c!(
            list,
            C_Decrypt(session, cryptogram.as_mut_ptr(), 256, null_mut(), &mut room)
        ),
        ck::CKR_OK
    );
    assert_eq!(room, 256);
    room = 3;
    assert_eq!(
        c!(
            list,
            C_Decrypt(
                session,
                cryptogram.as_mut_ptr(),
                256,
                plain.as_mut_ptr(),
                &mut room
            )
        ),
        ck::CKR_BUFFER_TOO_SMALL
    );
    assert_eq!(room, 6);
    assert_eq!(
        c!(
            list,
            C_Decrypt(
                session,
                cryptogram.as_mut_ptr(),
                256,
                plain.as_mut_ptr(),
                &mut room
            )
        ),
        ck::CKR_OK
    );
    assert_eq!(&plain[..6], b"secret");
    // In parts; a damaged cryptogram; one that is too short.
    assert_eq!(c!(list, C_DecryptInit(session, &mut pkcs1, private)), ck::CKR_OK);
    let (one, two) = cryptogram.split_at_mut(100);
    room = 256;
    assert_eq!(
        c!(
            list,
            C_DecryptUpdate(session, one.as_mut_ptr(), 100, plain.as_mut_ptr(), &mut room)
        ),
        ck::CKR_OK
    );
    assert_eq!(room, 0);
    room = 256;
    assert_eq!(
        c!(
            list,
            C_DecryptUpdate(session, two.as_mut_ptr(), 156, plain.as_mut_ptr(), &mut room)
        ),
        ck::CKR_OK
    );
    room = 256;
    assert_eq!(
        c!(list, C_DecryptFinal(session, plain.as_mut_ptr(), &mut room)),
        ck::CKR_OK
    );
    assert_eq!(room, 6);
    for (length, expected) in [
        (256, ck::CKR_ENCRYPTED_DATA_INVALID),
        (255, ck::CKR_ENCRYPTED_DATA_LEN_RANGE),
    ] {
        assert_eq!(c!(list, C_DecryptInit(session, &mut pkcs1, private)), ck::CKR_OK);
        cryptogram[200] ^= 1;
        room = 256;
        assert_eq!(
            c!(
                list,
                C_Decrypt(
                    session,
                    cryptogram.as_mut_ptr(),
                    length,
                    plain.as_mut_ptr(),
                    &mut room
                )
            ),
            expected
        );
    }
    // Secret attributes stay.
    assert_eq!(
        module.read(session, private, ck::CKA_PRIVATE_EXPONENT),
        Err(ck::CKR_ATTRIBUTE_SENSITIVE)
    );
    assert_eq!(
        module.read(session, private, ck::CKA_VENDOR_DEFINED),
        Err(ck::CKR_ATTRIBUTE_TYPE_INVALID)
    );
    // All attributes are filled in, whatever is wrong with one.
    let mut small = [0; 1];
    let mut number = [0; 8];
    let mut wanted = [
        attribute(ck::CKA_MODULUS, &mut small),
        attribute(ck::CKA_KEY_TYPE, &mut number),
    ];
    assert_eq!(
        c!(
            list,
            C_GetAttributeValue(session, private, wanted.as_mut_ptr(), 2)
        ),
        ck::CKR_BUFFER_TOO_SMALL
    );
    assert_eq!(wanted[0].ulValueLen, ck::CK_UNAVAILABLE_INFORMATION);
    assert_eq!(number, ck::CKK_RSA.to_ne_bytes());
}

#[test]
fn objects_come_and_go_and_handles_are_not_used_again() {
    let module = Module::new();
    let list = module.list;
    let session = module.session();
    assert_eq!(module.login(session), ck::CKR_OK);
    let (public, private) = module.generate(session, false);
    assert_eq!(module.find(session, ck::CKO_PRIVATE_KEY), [private]);
    let mut label = b"another".to_vec();
    let mut change = [attribute(ck::CKA_LABEL, &mut label)];
    assert_eq!(
        c!(
            list,
            C_SetAttributeValue(session, private, change.as_mut_ptr(), 1)
        ),
        ck::CKR_OK
    );
    assert_eq!(module.read(session, public, ck::CKA_LABEL).unwrap(), b"another");
    assert_eq!(c!(list, C_Logout(session)), ck::CKR_OK);
    assert!(module.find(session, ck::CKO_PRIVATE_KEY).is_empty());
    assert_eq!(module.find(session, ck::CKO_PUBLIC_KEY), [public]);
    assert_eq!(
        module.read(session, private, ck::CKA_LABEL),
        Err(ck::CKR_OBJECT_HANDLE_INVALID)
    );
    assert_eq!(
        c!(list, C_DestroyObject(session, public)),
        ck::CKR_USER_NOT_LOGGED_IN
    );
    assert_eq!(module.login(session), ck::CKR_OK);
    assert_eq!(c!(list, C_DestroyObject(session, private)), ck::CKR_OK);
    assert_eq!(
        c!(list, C_DestroyObject(session, private)),
        ck::CKR_OBJECT_HANDLE_INVALID
    );
    let (_, second) = module.generate(session, false);
    assert_ne!(second, private);

    // Objects of a session go with it.
    let other = module.session();
    let mut class = ck::CKO_DATA.to_ne_bytes().to_vec();
    let mut value = b"value".to_vec();
    let mut data = [
        attribute(ck::CKA_CLASS, &mut class),
        attribute(ck::CKA_VALUE, &mut value),
    ];
    let mut object = 0;
    assert_eq!(
        c!(list, C_CreateObject(other, data.as_mut_ptr(), 2, &mut object)),
        ck::CKR_OK
    );
    assert_eq!(module.find(session, ck::CKO_DATA), [object]);
    let mut size = 0;
    assert_eq!(c!(list, C_GetObjectSize(session, object, &mut size)), ck::CKR_OK);
    assert_eq!(size, 5);
    assert_eq!(c!(list, C_CloseSession(other)), ck::CKR_OK);
    assert!(module.find(session, ck::CKO_DATA).is_empty());
    // Looking is an operation, too.
    assert_eq!(
        c!(list, C_FindObjects(session, &mut object, 1, &mut size)),
        ck::CKR_OPERATION_NOT_INITIALIZED
    );
    assert_eq!(c!(list, C_FindObjectsInit(session, null_mut(), 0)), ck::CKR_OK);
    assert_eq!(
        c!(list, C_FindObjectsInit(session, null_mut(), 0)),
        ck::CKR_OPERATION_ACTIVE
    );
    assert_eq!(
        c!(list, C_FindObjects(session, null_mut(), 1, &mut size)),
        ck::CKR_ARGUMENTS_BAD
    );
    assert_eq!(c!(list, C_FindObjectsFinal(session)), ck::CKR_OK);
}
