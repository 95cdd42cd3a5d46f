//! What is worth telling, and how a session ends.

use std::fmt;
use std::time::Duration;

use crate::policy::Refusal;

/// Something that happened within a session. Texts of the server are as it sent them: escape them before they are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The server wants the card.
    Connected {
        /// Whether it is a server of ours, with resume and prefetch.
        own: bool,
    },
    /// The server has something to say.
    Notified {
        /// Below 0: error; 0: completion; above: progress.
        id: i32,
        /// Its words.
        text: String,
        /// Seconds to completion.
        seconds: Option<u32>,
    },
    /// A command was kept from the card.
    Refused(Refusal),
    /// The connection broke. The card stays as it is for now.
    Cut {
        /// What was seen.
        why: String,
    },
    /// The session goes on.
    Resumed {
        /// How long it was cut.
        after: Duration,
    },
    /// The card was reset at the time the server had given for it.
    LockedInTime,
}

/// How a session ended. The card was reset unless it is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// The server has done what it wanted.
    Completed,
    /// The server reported an error, and then ended the session.
    Failed {
        /// What it said.
        why: String,
    },
    /// The server does not want the card now (504 to the first POST).
    NotWanted,
    /// The server gave the session up (504 later).
    Aborted,
    /// The server does not know the session any more: it was started anew, or gave it up after a cut.
    Forgotten,
    /// Another status.
    Status {
        /// The status.
        status: u16,
        /// The beginning of the body, as the server sent it.
        text: String,
    },
    /// The answer is no message: this is no such server.
    NoTerminalServer {
        /// What is wrong with it.
        why: String,
    },
    /// The server cannot be reached, or the connection broke and could not be resumed in time.
    Unreachable {
        /// What was seen.
        why: String,
    },
    /// The card is gone or failed.
    CardLost {
        /// What was seen.
        why: String,
    },
    /// It was asked for.
    Stopped,
}

impl End {
    /// Whether the server refuses whoever is here: another try will hardly be welcome soon.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Status {
                status: 401 | 403 | 404,
                ..
            }
        )
    }

    /// Whether all is well.
    #[must_use]
    pub const fn is_orderly(&self) -> bool {
        matches!(self, Self::Completed | Self::Stopped)
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Completed => f.write_str("the server has finished"),
            Self::Failed { why } => write!(f, "the server ended it: {why}"),
            Self::NotWanted => f.write_str("the server does not want the token now"),
            Self::Aborted => f.write_str("the server gave the session up"),
            Self::Forgotten => f.write_str("the server does not know the session any more"),
            Self::Status { status: 401, .. } => {
                f.write_str("the server does not accept the ticket (401): unknown, used or revoked")
            }
            Self::Status { status: 403, .. } => f.write_str("the server refuses this token (403)"),
            Self::Status { status: 404, .. } => {
                f.write_str("the server knows no such address or ticket (404)")
            }
            Self::Status { status, .. } => write!(f, "the server answered with status {status}"),
            Self::NoTerminalServer { why } => {
                write!(
                    f,
                    "the server does not speak the protocol of remote tokens: {why}"
                )
            }
            Self::Unreachable { why } => write!(f, "the server cannot be reached: {why}"),
            Self::CardLost { why } => write!(f, "the token is lost: {why}"),
            Self::Stopped => f.write_str("stopped on request"),
        }
    }
}
