//! All functions, one after the other, with null, wrong handles and at the wrong time.

use std::{ffi::c_void, mem::size_of, ptr::null_mut};

use cryptoki_sys as ck;

use crate::support::{Module, c};

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
