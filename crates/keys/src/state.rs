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
