//! What goes wrong with a token, and which number of PKCS#11 says so.

use chancery_iso7816::{StatusWord, TransportError};

use crate::error::{Code, Error};

/// Why work on a token failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The connection is gone, and with it whatever the token was told.
    Gone(String),
    /// The token answered with this status.
    Status(&'static str, StatusWord),
    /// The token answered with something else than it should.
    Nonsense(&'static str),
    /// Known by number.
    Error(Error),
}

impl Failure {
    /// The status word, when that is what it is.
    pub(super) const fn status(&self) -> Option<StatusWord> {
        match self {
            Self::Status(_, status) => Some(*status),
            _ => None,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<Code> for Failure {
    fn from(code: Code) -> Self {
        Self::Error(code.into())
    }
}

impl From<TransportError> for Failure {
    fn from(error: TransportError) -> Self {
        let text = error.to_string();
        match error {
            TransportError::Lost { .. } | TransportError::Reset { .. } => Self::Gone(text),
            TransportError::TooLong { .. } => Self::Error(Code::DEVICE_MEMORY.because(text)),
            TransportError::Failed { .. } => Self::Error(Code::DEVICE_ERROR.because(text)),
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Gone(reason) => Code::DEVICE_REMOVED.because(reason),
            Failure::Error(error) => error,
            Failure::Nonsense(doing) => {
                Code::DEVICE_ERROR.because(format!("{doing}: the token answered nonsense"))
            }
            Failure::Status(doing, status) => {
                let code = match status {
                    StatusWord::SECURITY_STATUS_NOT_SATISFIED => return Code::USER_NOT_LOGGED_IN.into(),
                    StatusWord::AUTHENTICATION_BLOCKED => Code::PIN_LOCKED,
                    StatusWord::FUNCTION_NOT_SUPPORTED | StatusWord::REFERENCE_DATA_NOT_USABLE => {
                        Code::KEY_FUNCTION_NOT_PERMITTED
                    }
                    StatusWord::FILE_NOT_FOUND | StatusWord::REFERENCE_NOT_FOUND => {
                        Code::OBJECT_HANDLE_INVALID
                    }
                    StatusWord::NOT_ENOUGH_MEMORY => Code::DEVICE_MEMORY,
                    StatusWord::WRONG_DATA | StatusWord::WRONG_LENGTH => Code::DATA_INVALID,
                    _ => Code::DEVICE_ERROR,
                };
                code.because(format!("{doing}: the token answered {status}"))
            }
        }
    }
}
