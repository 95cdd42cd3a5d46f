//! How work on a token fails, in the words and exit codes of the command line.

use chancery_api::FailureKind;
use chancery_driver::Error as CardError;
use chancery_tokens::{journal::JournalError, reach::ReachError};

use crate::error::{CliError, chain};

impl From<ReachError> for CliError {
    fn from(error: ReachError) -> Self {
        let kind = match &error {
            ReachError::NoTokens { .. } | ReachError::NotFound { .. } => FailureKind::NotFound,
            ReachError::Ambiguous { .. } | ReachError::Unnamed { .. } => FailureKind::Invalid,
            ReachError::InUse { .. } => FailureKind::Conflict,
            ReachError::OtherDevice { .. } => FailureKind::Refused,
            ReachError::Card { what, source } => return card(what, source),
            ReachError::List(_) => {
                return match error {
                    ReachError::List(inner) => inner.into(),
                    other => Self::new(FailureKind::Unavailable, other.to_string()),
                };
            }
            _ => FailureKind::Unavailable,
        };
        let message = chain(&error);
        match error.remedy() {
            Some(remedy) => Self::with_remedy(kind, message, remedy),
            None => Self::new(kind, message),
        }
    }
}

impl From<JournalError> for CliError {
    fn from(error: JournalError) -> Self {
        let message = chain(&error);
        match error {
            JournalError::None | JournalError::NotFound { .. } => Self::with_remedy(
                FailureKind::NotFound,
                message,
                "chancery token journal shows what is open",
            ),
            JournalError::Several { .. } => {
                Self::with_remedy(FailureKind::Invalid, message, "name one of them")
            }
            JournalError::Busy { .. } => {
                Self::with_remedy(FailureKind::Conflict, message, "wait for that process, or end it")
            }
            JournalError::TooMany { .. } => Self::with_remedy(
                FailureKind::Conflict,
                message,
                "chancery token journal; chancery token resume ID or chancery token undo ID",
            ),
            JournalError::Damaged { .. } => Self::new(FailureKind::Refused, message),
            _ => Self::new(FailureKind::Unavailable, message),
        }
    }
}

/// What a card command on a token said. A refusal of the token has its own exit code, with the step that helps.
pub(crate) fn card(what: &str, source: &CardError) -> CliError {
    let message = format!("{what}: {}", chain(source));
    let remedy = match source {
        CardError::WrongPin { .. } => {
            Some("type the right PIN; chancery token pin status shows the tries left")
        }
        CardError::PinBlocked { doing, .. } if doing.purpose().starts_with("SO-PIN") => {
            Some("nothing unblocks the SO-PIN: the token works on, and cannot be initialised again")
        }
        CardError::PinBlocked { .. } => {
            Some("chancery token pin unblock TOKEN, with the SO-PIN, if the token was set up for it")
        }
        CardError::WrongSoPin { .. } => {
            Some("each wrong SO-PIN costs one of its 15 tries; chancery token pin status shows those left")
        }
        CardError::TransportPin { .. } => Some("chancery token pin change TOKEN replaces the transport PIN"),
        CardError::NotInitialized { .. } => Some("chancery token init TOKEN"),
        CardError::NotSelected { .. } => {
            Some("another program reset the token; nothing was lost but the login: run this again")
        }
        CardError::Link { source, .. } if source.is_reset() => {
            Some("the command was not carried out: run this again")
        }
        CardError::Link { .. } => Some("put the token in again and look with chancery token list"),
        CardError::NoSpace { .. } => Some("chancery token explore shows what takes its memory"),
        _ => None,
    };
    match source {
        _ if source.status().is_some() => CliError::Token {
            message,
            remedy: remedy.map(str::to_owned),
        },
        CardError::Chain(_) | CardError::Disagreement { .. } => CliError::new(FailureKind::Refused, message),
        CardError::Input { .. } | CardError::TooLarge { .. } => CliError::new(FailureKind::Invalid, message),
        CardError::KeyExists { .. } => CliError::new(FailureKind::Conflict, message),
        _ => match remedy {
            Some(remedy) => CliError::with_remedy(FailureKind::Unavailable, message, remedy),
            None => CliError::new(FailureKind::Unavailable, message),
        },
    }
}
