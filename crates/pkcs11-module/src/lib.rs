//! `libchancery_pkcs11.so`: the C symbols of the PKCS#11 module.
//!
//! Every function turns pointers into values (`raw`), asks the library of `chancery-pkcs11`, and writes the answer back. No
//! panic passes `guard`; a process that was forked off starts with nothing (`instance`); what a person must know is the last line (`exit`); `lists` has what
//! `C_GetFunctionList` and `C_GetInterface` give out. Only symbols that begin with `C_` are exported.

mod exit;
mod functions;
mod guard;
mod instance;
mod lists;
mod raw;

/// The list of functions of PKCS#11 2.40, for programs that are linked with this crate: tests.
#[must_use]
pub fn function_list() -> &'static cryptoki_sys::CK_FUNCTION_LIST {
    lists::list_2_40()
}

/// As [`function_list`], of version 3.2.
#[must_use]
pub fn function_list_3_2() -> &'static cryptoki_sys::CK_FUNCTION_LIST_3_2 {
    lists::list_3_2()
}

/// As `C_Initialize`, with a library of the caller's own: for fuzzing.
#[must_use]
pub fn initialise_with(library: chancery_pkcs11_library::Library) -> cryptoki_sys::CK_RV {
    guard::guard(|| instance::initialise(library))
}
