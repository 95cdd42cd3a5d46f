//! What stands around every function: no panic leaves it, and people learn why it refused.

use std::panic::{AssertUnwindSafe, catch_unwind};

use chancery_pkcs11_library::{Error, Result};
use cryptoki_sys as ck;

use crate::instance;

/// Runs the body of a function and turns its outcome into a number.
pub(crate) fn guard(body: impl FnOnce() -> Result<()>) -> ck::CK_RV {
    match catch_unwind(AssertUnwindSafe(|| answer(body()))) {
        Ok(number) => number,
        Err(payload) => {
            // Dropping what was thrown could throw again.
            std::mem::forget(payload);
            ck::CKR_GENERAL_ERROR
        }
    }
}

fn answer(outcome: Result<()>) -> ck::CK_RV {
    let Err(error) = outcome else {
        return ck::CKR_OK;
    };
    if let Error::Told { reason, .. } = &error
        && let Ok(library) = instance::library()
    {
        library.notices().tell(reason);
    }
    error.code().0
}

/// Exported functions. Each takes the promise of its caller once, as `call`.
macro_rules! exported {
    ($($(#[$doc:meta])* fn $name:ident($call:ident $(, $argument:ident: $kind:ty)* $(,)?) $body:block)*) => {
        $(
            $(#[$doc])*
            #[unsafe(no_mangle)]
            pub(crate) unsafe extern "C" fn $name($($argument: $kind),*) -> cryptoki_sys::CK_RV {
                $crate::guard::guard(|| {
                    // SAFETY: the pointers are the arguments of this call, whose caller keeps to the standard.
                    let $call = unsafe { $crate::raw::Call::promised() };
                    let _ = &$call;
                    $body
                })
            }
        )*
    };
}

/// Functions that do nothing.
macro_rules! unsupported {
    ($($name:ident($($argument:ident: $kind:ty),*);)*) => {
        $(
            #[doc = concat!("`", stringify!($name), "`: answers `CKR_FUNCTION_NOT_SUPPORTED`.")]
            #[unsafe(no_mangle)]
            pub(crate) unsafe extern "C" fn $name($($argument: $kind),*) -> cryptoki_sys::CK_RV {
                $(let _ = $argument;)*
                cryptoki_sys::CKR_FUNCTION_NOT_SUPPORTED
            }
        )*
    };
}

pub(crate) use {exported, unsupported};

#[cfg(test)]
mod tests {
    use super::*;
    use chancery_pkcs11_library::Code;

    #[test]
    fn a_panic_does_not_leave_and_errors_become_their_numbers() {
        assert_eq!(guard(|| Ok(())), ck::CKR_OK);
        assert_eq!(guard(|| Err(Code::PIN_LOCKED.into())), ck::CKR_PIN_LOCKED);
        assert_eq!(guard(|| panic!("on purpose")), ck::CKR_GENERAL_ERROR);
    }
}
