//! What an HSM is ready for.

use std::fmt;

/// State of an [`Hsm`](crate::Hsm), as its thread knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// The token was never initialised.
    NotInitialised,
    /// Initialised with a quorum whose custodians are not all registered: nothing can open it yet.
    Unregistered {
        /// Custodian keys still to be registered.
        missing: u8,
    },
    /// No custodian has answered.
    Locked,
    /// Some custodians have answered, and more are needed.
    Quorum {
        /// Custodians that have answered.
        have: u8,
        /// Custodians that must answer.
        need: u8,
    },
    /// Keys can be used.
    Unlocked {
        /// Since when, in milliseconds since the Unix epoch.
        since_ms: i64,
    },
    /// The token is out of reach; its unlock state is gone.
    Lost {
        /// Since when, in milliseconds since the Unix epoch.
        at_ms: i64,
        /// What was seen.
        because: String,
    },
}

/// An [`Hsm`](crate::Hsm)'s state and what led to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The state.
    pub state: State,
    /// What locked the HSM without being asked to, until it is opened again.
    pub locked_because: Option<Cause>,
    /// The latest of all losses, also after the HSM was opened again.
    pub last_loss: Option<Loss>,
    /// When it locks itself at the latest, in milliseconds since the Unix epoch; set by [`Hsm::lock_in`](crate::Hsm::lock_in)
    /// while it is open.
    pub lock_at_ms: Option<i64>,
    /// Changes whenever answers of custodians are lost, by locking, by a loss or by another program: what they opened the HSM for
    /// in one era, they have not opened it for in the next. No two eras in a process have the same number, whichever HSMs they
    /// are of.
    pub era: u64,
}

/// An era that no HSM is ever in: what may be done in it alone is not done.
pub const NO_ERA: u64 = 0;

/// Why an HSM is locked that nobody locked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// When that was noticed, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// What was seen, and the likely reason.
    pub text: String,
}

/// A token that went out of reach, or whose custodians' answers were taken away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Counts the losses of this handle, from 1.
    pub number: u64,
    /// When it was noticed, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// What was seen, and the likely reason.
    pub because: String,
    /// Whether keys could be used until then.
    pub was_open: bool,
}

impl State {
    /// Whether keys can be used.
    #[must_use]
    pub const fn is_unlocked(&self) -> bool {
        matches!(self, Self::Unlocked { .. })
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInitialised => f.write_str("not initialised"),
            Self::Unregistered { missing } => {
                write!(f, "waiting for {missing} custodian keys to be registered")
            }
            Self::Locked => f.write_str("locked"),
            Self::Quorum { have, need } => write!(f, "locked, quorum {have} of {need}"),
            Self::Unlocked { .. } => f.write_str("unlocked"),
            Self::Lost { because, .. } => write!(f, "lost: {because}"),
        }
    }
}
