//! How attaching fails, in the words and exit codes of the command line.

use std::sync::Arc;

use chancery_agent::short_line;
use chancery_api::{Failure, FailureKind};
use chancery_connect::{AttachError, End, TakeError};

use super::telling::LONGEST;
use crate::error::{CliError, chain};

/// The failures of tokens as one; none when there is none.
pub(super) fn of(failed: Vec<(Arc<str>, AttachError)>) -> Option<CliError> {
    let several = failed.len() > 1;
    let mut all = failed.into_iter();
    let (name, first) = all.next()?;
    let first = CliError::from(first);
    if !several {
        return Some(first);
    }
    // The first decides how the process ends; each is named.
    let (kind, remedy) = match &first {
        CliError::Failed(failure) => (failure.kind, failure.remedy.clone()),
        _ => (FailureKind::Unavailable, None),
    };
    let mut messages = vec![format!("{name}: {}", message(&first))];
    for (name, error) in all {
        messages.push(format!("{name}: {}", message(&error.into())));
    }
    let failure = Failure::new(kind, messages.join("; "));
    Some(CliError::Failed(match remedy {
        Some(remedy) => failure.with_remedy(remedy),
        None => failure,
    }))
}

fn message(error: &CliError) -> String {
    match error {
        CliError::Failed(failure) => failure.message.clone(),
        CliError::Token { message, .. } | CliError::Usage(message) => message.clone(),
        CliError::Open { failure, .. } => message(failure),
        CliError::Output(error) => error.to_string(),
    }
}

impl From<AttachError> for CliError {
    fn from(error: AttachError) -> Self {
        // A server may have had a word in it.
        let message = short_line(&chain(&error), LONGEST);
        let end = match error {
            AttachError::Take(TakeError::Reach(error)) => return (*error).into(),
            AttachError::Session(end) => end,
            _ => return Self::new(FailureKind::Unavailable, message),
        };
        let new_ticket = "a new ticket: chancery connector add NAME at the node";
        match end {
            End::Status { status: 401, .. } => Self::with_remedy(FailureKind::Refused, message, new_ticket),
            End::Status { status: 403, .. } => Self::with_remedy(
                FailureKind::Refused,
                message,
                "the connector may be bound to another device: chancery connector list at the node",
            ),
            End::Status { status: 404, .. } => Self::with_remedy(
                FailureKind::NotFound,
                message,
                format!("look at the address; for {new_ticket}"),
            ),
            End::NoTerminalServer { .. } => Self::with_remedy(
                FailureKind::Invalid,
                message,
                "look at the address: scheme, host and port alone lead to a node of ours",
            ),
            End::NotWanted | End::Aborted | End::Forgotten | End::Unreachable { .. } => Self::with_remedy(
                FailureKind::Unavailable,
                message,
                "see whether the node runs, and which address and certificate it has; with --permanent the agent tries again by itself",
            ),
            End::Failed { .. } => Self::with_remedy(
                FailureKind::Unavailable,
                message,
                "chancery connector list at the node says what it is about",
            ),
            End::CardLost { .. } => Self::with_remedy(
                FailureKind::Unavailable,
                message,
                "chancery token list shows what is here",
            ),
            _ => Self::new(FailureKind::Unavailable, message),
        }
    }
}
