//! What can go wrong with one card command, split by who must act.

use std::borrow::Cow;
use std::fmt;

use chancery_cvc::ChainError;
use chancery_iso7816::{StatusWord, TransportError};

/// The instruction and what it was for, kept in every error so that its text can be read alone.
///
/// Displays as `VERIFY user PIN`. Holds no command bodies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doing {
    instruction: &'static str,
    purpose: Cow<'static, str>,
}

impl Doing {
    /// `instruction` is the name of ISO/IEC 7816-4 or of the card's command set, in capitals.
    pub(crate) fn new(instruction: &'static str, purpose: impl Into<Cow<'static, str>>) -> Self {
        Self {
            instruction,
            purpose: purpose.into(),
        }
    }

    /// Name of the instruction, for example `VERIFY`.
    #[must_use]
    pub const fn instruction(&self) -> &'static str {
        self.instruction
    }

    /// What it was sent for, for example `user PIN`.
    #[must_use]
    pub fn purpose(&self) -> &str {
        &self.purpose
    }
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.instruction, self.purpose)
    }
}

/// A card command that did not do what was wanted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // The operator must act: reader, cable, device.
    /// The link to the token failed; the state of the card is unknown.
    #[error("{doing}: no answer from the token")]
    Link {
        /// Command under way.
        doing: Doing,
        /// What the link reported.
        #[source]
        source: TransportError,
    },

    // The holder of the token must act.
    /// The PIN was wrong and a try is gone.
    #[error("{doing}: {:04X} wrong PIN, {tries_left} {} left", status.0, if *tries_left == 1 { "try" } else { "tries" })]
    WrongPin {
        /// Command under way.
        doing: Doing,
        /// Status word of the card.
        status: StatusWord,
        /// Tries left before the PIN is blocked.
        tries_left: u8,
    },
    /// The PIN is blocked; the SO-PIN may unblock it.
    #[error("{doing}: {:04X} the PIN is blocked", status.0)]
    PinBlocked {
        /// Command under way.
        doing: Doing,
        /// Status word of the card.
        status: StatusWord,
    },
    /// The SO-PIN (initialisation code) was not accepted; one of its 15 tries is gone.
    #[error("{doing}: {:04X} the SO-PIN was not accepted", status.0)]
    WrongSoPin {
        /// Command under way.
        doing: Doing,
        /// Status word of the card.
        status: StatusWord,
    },
    /// The transport PIN must be replaced before the token can be used.
    #[error("{doing}: {:04X} the transport PIN must be changed first", status.0)]
    TransportPin {
        /// Command under way.
        doing: Doing,
        /// Status word of the card.
        status: StatusWord,
    },
    /// The token has not been initialised, or has no such PIN.
    #[error("{doing}: {:04X} the token is not initialised or has no user PIN", status.0)]
    NotInitialized {
        /// Command under way.
        doing: Doing,
        /// Status word of the card.
        status: StatusWord,
    },
    /// Neither PIN nor quorum has opened the token (any more).
    #[error("{doing}: {:04X} the token is not unlocked", status.0)]
    NotAuthenticated {
        /// Command under way.
        doing: Doing,
        /// Status word of the card.
        status: StatusWord,
    },

    /// The application is not selected (any more): the card was reset behind our back, and with that locked.
    #[error("{doing}: {:04X} the token was reset and is locked", status.0)]
    NotSelected {
        /// Command under way.
        doing: Doing,
        /// Status word of the card.
        status: StatusWord,
    },

    // The caller asked for something this token or key does not have.
    /// No file with this identifier.
    #[error("{doing}: {:04X} no such file", status.0)]
    NoSuchFile {
        /// Command under way.
        doing: Doing,
        /// Status word of the card.
        status: StatusWord,
    },
    /// No key with this id.
    #[error("{doing}: {:04X} no such key", status.0)]
    NoSuchKey {
        /// Command under way.
        doing: Doing,
        /// Status word of the card.
        status: StatusWord,
    },
    /// A key with this id exists and would have been replaced.
    #[error("{doing}: a key with this id exists")]
    KeyExists {
        /// Command that was not sent.
        doing: Doing,
    },
    /// The key's algorithm list does not permit this use.
    #[error("{doing}: {:04X} the key does not permit this use", status.0)]
    UseNotPermitted {
        /// Command under way.
        doing: Doing,
        /// Status word of the card.
        status: StatusWord,
    },
    /// The key's use counter has reached zero.
    #[error("{doing}: {:04X} the key's use counter is spent", status.0)]
    UseCounterSpent {
        /// Command under way.
        doing: Doing,
        /// Status word of the card.
        status: StatusWord,
    },
    /// The token is full.
    #[error("{doing}: {:04X} the token has no memory left", status.0)]
    NoSpace {
        /// Command under way.
        doing: Doing,
        /// Status word of the card.
        status: StatusWord,
    },
    /// The key blob or share does not fit the token's key encryption key.
    #[error("{doing}: {:04X} wrong key encryption key, or the blob is damaged", status.0)]
    WrongKek {
        /// Command under way.
        doing: Doing,
        /// Status word of the card.
        status: StatusWord,
    },
    /// The token was set up without this feature (key domains, public key authentication).
    #[error("{doing}: {:04X} the token does not offer this", status.0)]
    NotOffered {
        /// Command under way.
        doing: Doing,
        /// Status word of the card.
        status: StatusWord,
    },
    /// Any other refusal.
    #[error("{doing}: {status}")]
    Refused {
        /// Command under way.
        doing: Doing,
        /// Status word of the card.
        status: StatusWord,
    },

    // The card, or what stands between, breaks the protocol.
    /// The card's answer cannot be understood.
    #[error("{doing}: the token answered nonsense: {reason}")]
    Protocol {
        /// Command under way.
        doing: Doing,
        /// What was wrong with the answer; holds no bytes of it.
        reason: Cow<'static, str>,
    },
    /// What the card holds is larger than the driver reads.
    #[error("{doing}: more than the limit of {limit} bytes")]
    TooLarge {
        /// Command under way.
        doing: Doing,
        /// The limit in bytes.
        limit: usize,
    },
    /// EF.C_DevAut does not lead to a trusted root.
    #[error("READ BINARY device certificate chain: the chain is not accepted")]
    Chain(#[source] ChainError),
    /// The token holds another key or certificate than expected.
    #[error("{doing}: {what}")]
    Disagreement {
        /// Command under way.
        doing: Doing,
        /// What does not agree.
        what: Cow<'static, str>,
    },

    // The calling program must act.
    /// The request cannot be put into a command.
    #[error("{doing}: {reason}")]
    Input {
        /// Command that was not sent.
        doing: Doing,
        /// Which rule the input breaks.
        reason: Cow<'static, str>,
    },
}

impl Error {
    /// The card's status word, where one was received.
    #[must_use]
    pub const fn status(&self) -> Option<StatusWord> {
        match self {
            Self::WrongPin { status, .. }
            | Self::PinBlocked { status, .. }
            | Self::WrongSoPin { status, .. }
            | Self::TransportPin { status, .. }
            | Self::NotInitialized { status, .. }
            | Self::NotAuthenticated { status, .. }
            | Self::NotSelected { status, .. }
            | Self::NoSuchFile { status, .. }
            | Self::NoSuchKey { status, .. }
            | Self::UseNotPermitted { status, .. }
            | Self::UseCounterSpent { status, .. }
            | Self::NoSpace { status, .. }
            | Self::WrongKek { status, .. }
            | Self::NotOffered { status, .. }
            | Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// The link to the token is gone: the session and its unlock state must be taken as lost.
    #[must_use]
    pub const fn is_link_loss(&self) -> bool {
        matches!(
            self,
            Self::Link {
                source: TransportError::Lost { .. },
                ..
            }
        )
    }

    /// The token was (or became) locked: the same command may succeed after PIN or quorum.
    #[must_use]
    pub const fn is_locked(&self) -> bool {
        matches!(self, Self::NotAuthenticated { .. } | Self::NotSelected { .. })
    }

    pub(crate) fn protocol(doing: &Doing, reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Protocol {
            doing: doing.clone(),
            reason: reason.into(),
        }
    }

    pub(crate) fn input(doing: &Doing, reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Input {
            doing: doing.clone(),
            reason: reason.into(),
        }
    }

    pub(crate) fn disagreement(doing: &Doing, what: impl Into<Cow<'static, str>>) -> Self {
        Self::Disagreement {
            doing: doing.clone(),
            what: what.into(),
        }
    }

    /// The meaning a status word has for every command of the card.
    pub(crate) fn refused(doing: &Doing, status: StatusWord) -> Self {
        let doing = doing.clone();
        match status.0 {
            0x6982 => Self::NotAuthenticated { doing, status },
            0x6983 => Self::PinBlocked { doing, status },
            0x6900 | 0x6E00 => Self::NotSelected { doing, status },
            0x6A82 => Self::NoSuchFile { doing, status },
            0x6A84 => Self::NoSpace { doing, status },
            0x6D00 => Self::NotOffered { doing, status },
            _ => Self::Refused { doing, status },
        }
    }

    /// The meaning a status word has when a key is used (SIGN, DECIPHER).
    ///
    /// 6A81 and 6985 are "not in the algorithm list", 6984 and 6A84 "use counter spent": firmwares differ.
    pub(crate) fn key_use(doing: &Doing, status: StatusWord) -> Self {
        let doing = doing.clone();
        match status.0 {
            0x6A82 | 0x6A88 => Self::NoSuchKey { doing, status },
            0x6A81 | 0x6985 => Self::UseNotPermitted { doing, status },
            0x6984 | 0x6A84 => Self::UseCounterSpent { doing, status },
            // Every SmartCard-HSM signs: another application answers.
            0x6D00 => Self::NotSelected { doing, status },
            _ => Self::refused(&doing, status),
        }
    }
}

/// An attempt that failed and gives back the card it was made on.
pub struct Failed<S, E = Error> {
    /// The card, in the state it is still known to be in.
    pub card: S,
    /// Why the attempt failed.
    pub error: E,
}

impl<S, E> Failed<S, E> {
    /// Drops the card and keeps the reason.
    pub fn into_error(self) -> E {
        self.error
    }
}

impl<S, E: fmt::Debug> fmt::Debug for Failed<S, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failed")
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

impl<S, E: fmt::Display> fmt::Display for Failed<S, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<S, E: std::error::Error> std::error::Error for Failed<S, E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

impl<S> From<Failed<S>> for Error {
    fn from(failed: Failed<S>) -> Self {
        failed.error
    }
}
