//! Answers of PKCS#11 functions that are not `CKR_OK`, and the reasons behind them.

use std::fmt;

use cryptoki_sys as ck;
use thiserror::Error;

/// The number a PKCS#11 function gives back when it did not do what was asked (PKCS#11 3.1, 5.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Code(pub ck::CK_RV);

/// Why a call did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// The caller has to know the number and nothing else.
    #[error("{0}")]
    Code(Code),
    /// A person has to know more than programs show.
    #[error("{reason} ({code})")]
    Told {
        /// The number.
        code: Code,
        /// One sentence for people.
        reason: String,
    },
}

/// Result of nearly everything here.
pub type Result<T> = std::result::Result<T, Error>;

macro_rules! codes {
    ($($name:ident = $raw:ident;)*) => {
        impl Code {
            $(
                #[doc = concat!("`", stringify!($raw), "`")]
                pub const $name: Self = Self(ck::$raw);
            )*

            /// The name of the number, when it is one of those given here.
            #[must_use]
            pub fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some(stringify!($raw)),)*
                    _ => None,
                }
            }
        }
    };
}

codes! {
    HOST_MEMORY = CKR_HOST_MEMORY;
    SLOT_ID_INVALID = CKR_SLOT_ID_INVALID;
    GENERAL_ERROR = CKR_GENERAL_ERROR;
    FUNCTION_FAILED = CKR_FUNCTION_FAILED;
    ARGUMENTS_BAD = CKR_ARGUMENTS_BAD;
    NO_EVENT = CKR_NO_EVENT;
    NEED_TO_CREATE_THREADS = CKR_NEED_TO_CREATE_THREADS;
    CANT_LOCK = CKR_CANT_LOCK;
    ATTRIBUTE_READ_ONLY = CKR_ATTRIBUTE_READ_ONLY;
    ATTRIBUTE_SENSITIVE = CKR_ATTRIBUTE_SENSITIVE;
    ATTRIBUTE_TYPE_INVALID = CKR_ATTRIBUTE_TYPE_INVALID;
    ATTRIBUTE_VALUE_INVALID = CKR_ATTRIBUTE_VALUE_INVALID;
    ACTION_PROHIBITED = CKR_ACTION_PROHIBITED;
    DATA_INVALID = CKR_DATA_INVALID;
    DATA_LEN_RANGE = CKR_DATA_LEN_RANGE;
    DEVICE_ERROR = CKR_DEVICE_ERROR;
    DEVICE_MEMORY = CKR_DEVICE_MEMORY;
    DEVICE_REMOVED = CKR_DEVICE_REMOVED;
    ENCRYPTED_DATA_INVALID = CKR_ENCRYPTED_DATA_INVALID;
    ENCRYPTED_DATA_LEN_RANGE = CKR_ENCRYPTED_DATA_LEN_RANGE;
    FUNCTION_CANCELED = CKR_FUNCTION_CANCELED;
    FUNCTION_NOT_PARALLEL = CKR_FUNCTION_NOT_PARALLEL;
    FUNCTION_NOT_SUPPORTED = CKR_FUNCTION_NOT_SUPPORTED;
    KEY_HANDLE_INVALID = CKR_KEY_HANDLE_INVALID;
    KEY_SIZE_RANGE = CKR_KEY_SIZE_RANGE;
    KEY_TYPE_INCONSISTENT = CKR_KEY_TYPE_INCONSISTENT;
    KEY_FUNCTION_NOT_PERMITTED = CKR_KEY_FUNCTION_NOT_PERMITTED;
    MECHANISM_INVALID = CKR_MECHANISM_INVALID;
    MECHANISM_PARAM_INVALID = CKR_MECHANISM_PARAM_INVALID;
    OBJECT_HANDLE_INVALID = CKR_OBJECT_HANDLE_INVALID;
    OPERATION_ACTIVE = CKR_OPERATION_ACTIVE;
    OPERATION_NOT_INITIALIZED = CKR_OPERATION_NOT_INITIALIZED;
    OPERATION_CANCEL_FAILED = CKR_OPERATION_CANCEL_FAILED;
    PIN_INCORRECT = CKR_PIN_INCORRECT;
    PIN_INVALID = CKR_PIN_INVALID;
    PIN_LEN_RANGE = CKR_PIN_LEN_RANGE;
    PIN_EXPIRED = CKR_PIN_EXPIRED;
    PIN_LOCKED = CKR_PIN_LOCKED;
    SESSION_CLOSED = CKR_SESSION_CLOSED;
    SESSION_COUNT = CKR_SESSION_COUNT;
    SESSION_HANDLE_INVALID = CKR_SESSION_HANDLE_INVALID;
    SESSION_PARALLEL_NOT_SUPPORTED = CKR_SESSION_PARALLEL_NOT_SUPPORTED;
    SESSION_READ_ONLY = CKR_SESSION_READ_ONLY;
    SESSION_READ_ONLY_EXISTS = CKR_SESSION_READ_ONLY_EXISTS;
    SESSION_READ_WRITE_SO_EXISTS = CKR_SESSION_READ_WRITE_SO_EXISTS;
    SIGNATURE_INVALID = CKR_SIGNATURE_INVALID;
    TEMPLATE_INCOMPLETE = CKR_TEMPLATE_INCOMPLETE;
    TEMPLATE_INCONSISTENT = CKR_TEMPLATE_INCONSISTENT;
    TOKEN_NOT_PRESENT = CKR_TOKEN_NOT_PRESENT;
    TOKEN_NOT_RECOGNIZED = CKR_TOKEN_NOT_RECOGNIZED;
    TOKEN_WRITE_PROTECTED = CKR_TOKEN_WRITE_PROTECTED;
    USER_ALREADY_LOGGED_IN = CKR_USER_ALREADY_LOGGED_IN;
    USER_NOT_LOGGED_IN = CKR_USER_NOT_LOGGED_IN;
    USER_PIN_NOT_INITIALIZED = CKR_USER_PIN_NOT_INITIALIZED;
    USER_TYPE_INVALID = CKR_USER_TYPE_INVALID;
    USER_ANOTHER_ALREADY_LOGGED_IN = CKR_USER_ANOTHER_ALREADY_LOGGED_IN;
    RANDOM_SEED_NOT_SUPPORTED = CKR_RANDOM_SEED_NOT_SUPPORTED;
    CURVE_NOT_SUPPORTED = CKR_CURVE_NOT_SUPPORTED;
    BUFFER_TOO_SMALL = CKR_BUFFER_TOO_SMALL;
    CRYPTOKI_NOT_INITIALIZED = CKR_CRYPTOKI_NOT_INITIALIZED;
    CRYPTOKI_ALREADY_INITIALIZED = CKR_CRYPTOKI_ALREADY_INITIALIZED;
}

impl Code {
    /// This number, with a reason for people.
    pub fn because(self, reason: impl Into<String>) -> Error {
        Error::Told {
            code: self,
            reason: reason.into(),
        }
    }
}

impl Error {
    /// The number.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Code(code) | Self::Told { code, .. } => *code,
        }
    }
}

impl From<Code> for Error {
    fn from(code: Code) -> Self {
        Self::Code(code)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#x}", self.0),
        }
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
