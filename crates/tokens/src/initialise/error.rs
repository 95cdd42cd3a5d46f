//! Why a token is not set up.

use chancery_driver::Error;

use super::Difference;
use crate::journal::JournalError;

/// Why a token is not (wholly) set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InitialiseError {
    /// The blueprint breaks a rule; nothing was done.
    #[error("{rule}")]
    Rule {
        /// The rule.
        rule: String,
    },
    /// The token holds keys, which would be lost; nothing was done.
    #[error("the token holds {} that would be lost for ever", count(.keys.len()))]
    HasKeys {
        /// Ids of the keys.
        keys: Vec<u8>,
    },
    /// The token is not as it was when the work began; nothing was done.
    #[error("the token holds other things than when this work began: it is not touched")]
    Changed,
    /// There is nothing to go back to.
    #[error("the token was erased: what was on it cannot be brought back")]
    CannotUndo,
    /// The PIN is needed to go on.
    #[error("the {what} is needed to go on")]
    PinMissing {
        /// Which.
        what: &'static str,
    },
    /// What was set is not what is there.
    #[error("the token is not what it was set up to be: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Differs(Vec<Difference>),
    /// A card command failed.
    #[error("{step}")]
    Card {
        /// What was being done.
        step: String,
        /// Why it failed.
        #[source]
        source: Error,
    },
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl InitialiseError {
    pub(super) fn card(step: &str) -> impl FnOnce(Error) -> Self {
        move |source| Self::Card {
            step: step.to_owned(),
            source,
        }
    }

    /// The card error behind it.
    #[must_use]
    pub const fn card_error(&self) -> Option<&Error> {
        match self {
            Self::Card { source, .. } => Some(source),
            _ => None,
        }
    }
}

fn count(keys: usize) -> String {
    if keys == 1 {
        "a key".to_owned()
    } else {
        format!("{keys} keys")
    }
}
