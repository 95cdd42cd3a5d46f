//! What a custodian decides.

use crate::{AgentError, one_line};

/// Longest reason, in characters.
const MOST_CHARACTERS: usize = 200;

/// What a custodian decides on a lease, once it was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseDecision {
    /// The lease may be given.
    Agree,
    /// It may not, and the requester is told why.
    Refuse {
        /// Why: one line.
        reason: String,
    },
}

impl LeaseDecision {
    /// A refusal.
    ///
    /// # Errors
    /// [`AgentError::Reason`] unless the reason is one line of 1 to 200 characters.
    pub fn refuse(reason: &str) -> Result<Self, AgentError> {
        let reason = reason.trim();
        let why = if reason.is_empty() {
            "it is empty"
        } else if reason.chars().count() > MOST_CHARACTERS {
            "it has more than 200 characters"
        } else if one_line(reason) != reason {
            "it is not one line of text"
        } else {
            return Ok(Self::Refuse {
                reason: reason.to_owned(),
            });
        };
        Err(AgentError::Reason(why))
    }

    pub(crate) const fn reason(&self) -> Option<&str> {
        match self {
            Self::Agree => None,
            Self::Refuse { reason } => Some(reason.as_str()),
        }
    }
}
