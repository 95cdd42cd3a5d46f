//! How work with keys fails, in the words and exit codes of the command line.

use chancery_api::FailureKind;
use chancery_driver::Error as CardError;
use chancery_tokens::{
    catalogue::FindError,
    keys::KeyError,
    operate::OperateError,
    transfer::{KeyFileError, ParcelError, TransferError},
};

use super::failure::card;
use crate::error::{CliError, chain};

impl From<FindError> for CliError {
    fn from(error: FindError) -> Self {
        let message = error.to_string();
        match error {
            FindError::NotFound { .. } => {
                Self::with_remedy(FailureKind::NotFound, message, "chancery token keys list TOKEN")
            }
            _ => Self::new(FailureKind::Invalid, message),
        }
    }
}

/// A key that was not made, certified or deleted.
pub(super) fn keys(called: &str, error: &KeyError) -> CliError {
    let message = format!("{called}: {}", chain(error));
    let with = |kind, remedy: &str| CliError::with_remedy(kind, message.clone(), remedy);
    match error {
        KeyError::Card(source) => key_card(called, source),
        KeyError::Half { source, .. } => match card(called, source) {
            CliError::Token { remedy, .. } => CliError::Token { message, remedy },
            _ => with(
                FailureKind::Unavailable,
                "chancery token keys list TOKEN shows the key; delete it, and make it again",
            ),
        },
        KeyError::Interrupted { work, source, .. } => {
            let step = format!(
                "put the token in again; chancery token resume {work} stores the new one, chancery token undo {work} puts \
                 back the old one"
            );
            match card(called, source) {
                CliError::Token { .. } => CliError::Token {
                    message,
                    remedy: Some(step),
                },
                _ => with(FailureKind::Unavailable, &step),
            }
        }
        KeyError::Unkept { id, .. } => with(
            FailureKind::Unavailable,
            &format!(
                "the key can be used; chancery attest archive keeps the proof of key {id}, which the first certificate \
                 stored with the key overwrites"
            ),
        ),
        KeyError::Changed(_) => with(
            FailureKind::Refused,
            "chancery token cert get TOKEN KEY gives it out; chancery token undo ID --forget drops the note of this work",
        ),
        KeyError::OtherToken { .. } => CliError::new(FailureKind::Refused, message),
        KeyError::Journal(_) => CliError::new(FailureKind::Unavailable, message),
        KeyError::NoSuchKey(_) | KeyError::NothingThere(_) => {
            with(FailureKind::NotFound, "chancery token keys list TOKEN")
        }
        KeyError::Taken { .. } | KeyError::NoFreeId => with(
            FailureKind::Conflict,
            "leave --id out, or delete what stands there: chancery token explore TOKEN shows it",
        ),
        KeyError::Origin { .. } => with(
            FailureKind::Refused,
            "this token does not behave as a genuine one: chancery token info TOKEN",
        ),
        KeyError::OtherKey(_) | KeyError::Unverifiable(_) => CliError::new(FailureKind::Refused, message),
        KeyError::Archive { .. } => CliError::new(FailureKind::Unavailable, message),
        _ => CliError::new(FailureKind::Invalid, message),
    }
}

/// A use of a key that was not made.
pub(super) fn operate(called: &str, error: &OperateError) -> CliError {
    let message = format!("{called}: {}", chain(error));
    match error {
        OperateError::Card(source) => key_card(called, source),
        OperateError::NoSuchKey(_) => {
            CliError::with_remedy(FailureKind::NotFound, message, "chancery token keys list TOKEN")
        }
        OperateError::CustodianKey(_) => CliError::with_remedy(
            FailureKind::Refused,
            message,
            "make a key for this: chancery token keys generate --help",
        ),
        OperateError::Padding(_) | OperateError::NotPermitted { .. } => {
            CliError::new(FailureKind::Refused, message)
        }
        OperateError::Crypto(_) => CliError::new(FailureKind::Internal, message),
        _ => CliError::new(FailureKind::Invalid, message),
    }
}

/// A key that did not leave, or did not arrive. What is left open is said with the commands that go on.
pub(super) fn transfer(called: &str, error: &TransferError) -> CliError {
    let message = format!("{called}: {}", chain(error));
    match error {
        TransferError::Interrupted { work, source, .. } => {
            let step = format!(
                "put the token in again; chancery token resume {work} finishes this, chancery token undo {work} takes it back"
            );
            match card(called, source) {
                CliError::Token { .. } => CliError::Token {
                    message,
                    remedy: Some(step),
                },
                _ => CliError::with_remedy(FailureKind::Unavailable, message, step),
            }
        }
        TransferError::Card(source) => key_card(called, source),
        TransferError::Parcel(error) => parcel(called, error),
        TransferError::Id(error) => keys(called, error),
        TransferError::OtherDomain { .. } => CliError::with_remedy(
            FailureKind::Refused,
            message,
            "use a token with this key encryption key: chancery token info TOKEN shows its key domains",
        ),
        TransferError::NoDomain { .. } => CliError::with_remedy(
            FailureKind::Refused,
            message,
            "a key leaves only under the key encryption key of the domain it was made in: chancery token domain list TOKEN \
             shows the domains; chancery token keys generate --domain N makes a key in one",
        ),
        TransferError::Kept { .. } => CliError::Token {
            message,
            remedy: Some(
                "chancery token keys show TOKEN KEY shows uses, list and domain of the key".to_owned(),
            ),
        },
        TransferError::NoSuchKey(_) | TransferError::Gone(_) => {
            CliError::with_remedy(FailureKind::NotFound, message, "chancery token keys list TOKEN")
        }
        TransferError::NotProven | TransferError::Inconsistent(_) => {
            CliError::new(FailureKind::Refused, message)
        }
        TransferError::Unproven(id) => CliError::with_remedy(
            FailureKind::Refused,
            message,
            format!(
                "look at it with chancery token keys show TOKEN {id}; chancery token undo ID --yes deletes it, chancery token \
                 undo ID --forget leaves it and drops the note of this work"
            ),
        ),
        TransferError::Foreign(id) | TransferError::Exchanged(id) | TransferError::Unrecognised(id) => {
            CliError::with_remedy(
                FailureKind::Refused,
                message,
                format!(
                    "look at it with chancery token keys show TOKEN {id}; chancery token undo ID --forget drops the note of \
                 this work"
                ),
            )
        }
        TransferError::File { source, .. } => {
            let kind = match source.kind() {
                std::io::ErrorKind::AlreadyExists => FailureKind::Conflict,
                std::io::ErrorKind::NotFound => FailureKind::NotFound,
                _ => FailureKind::Unavailable,
            };
            CliError::new(kind, message)
        }
        TransferError::OtherToken { .. } => CliError::new(FailureKind::Refused, message),
        TransferError::NeverArrived { .. } => CliError::new(FailureKind::NotFound, message),
        _ => CliError::new(FailureKind::Unavailable, message),
    }
}

/// A file whose parts do not fit together.
pub(super) fn parcel(called: &str, error: &ParcelError) -> CliError {
    let message = format!("{called}: {}", chain(error));
    match error {
        ParcelError::Container(_) | ParcelError::Unsupported(_) | ParcelError::Label(_) => {
            CliError::new(FailureKind::Invalid, message)
        }
        _ => CliError::new(FailureKind::Refused, message),
    }
}

impl From<KeyFileError> for CliError {
    fn from(error: KeyFileError) -> Self {
        let message = match &error {
            // What the library has to say of a wrong password helps nobody.
            KeyFileError::Password(_) => error.to_string(),
            _ => chain(&error),
        };
        match error {
            KeyFileError::Password(_) => Self::with_remedy(
                FailureKind::Invalid,
                message,
                "type the password of the file, or name a file that holds it: --password-file FILE",
            ),
            KeyFileError::NoKey => Self::with_remedy(
                FailureKind::Invalid,
                message,
                "an AES key needs --kind aes or --kind aes-hex",
            ),
            _ => Self::new(FailureKind::Invalid, message),
        }
    }
}

/// A refusal in the use of a key.
fn key_card(called: &str, source: &CardError) -> CliError {
    let mut failure = card(called, source);
    if let CliError::Token { remedy, .. } = &mut failure
        && remedy.is_none()
    {
        *remedy = match source {
            CardError::NoSuchKey { .. } => Some("chancery token keys list TOKEN".to_owned()),
            CardError::UseNotPermitted { .. } => {
                Some("chancery token keys show TOKEN KEY shows what it may be used for".to_owned())
            }
            CardError::UseCounterSpent { .. } => {
                Some("its uses are spent; make another key: chancery token keys generate --help".to_owned())
            }
            CardError::WrongKek { .. } => {
                Some("the wrapped key is damaged, or the token cannot take its kind".to_owned())
            }
            _ => None,
        };
    }
    failure
}
