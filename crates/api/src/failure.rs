//! How a call fails: one shape for the socket, the JSON output and the exit codes.

use serde::{Deserialize, Serialize};

/// Who must act on a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// The input is malformed or against a rule; another input may succeed.
    Invalid,
    /// Nothing is wrong, but conditions are not met: see [`Failure::unmet`].
    Blocked,
    /// The thing named does not exist.
    NotFound,
    /// It exists already, or somebody else changed it meanwhile.
    Conflict,
    /// A proof does not hold: a signature, a chain, a stored row that was altered. Nothing was done.
    Refused,
    /// A token, the database or the disk did not do its part.
    Unavailable,
    /// Client and node do not understand each other's version.
    Version,
    /// Our defect.
    Internal,
}

impl FailureKind {
    /// Exit code of the command line for this kind; 0 is success and 2 is a usage error found before the call.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Internal => 1,
            Self::Invalid => 3,
            Self::Blocked => 4,
            Self::NotFound => 5,
            Self::Conflict => 6,
            Self::Refused => 7,
            Self::Unavailable => 8,
            Self::Version => 9,
        }
    }
}

/// A call that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Who must act.
    pub kind: FailureKind,
    /// What was being done and what is wrong, one sentence.
    pub message: String,
    /// The next step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// For [`FailureKind::Blocked`]: the unmet conditions, in the order in which they should be met.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmet: Vec<Condition>,
}

/// Something that must hold before an action is possible, and does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// Stable name, e.g. `quorum` or `approval`.
    pub code: String,
    /// What is missing, with figures: "quorum 1 of 2 on hsm-a".
    pub what: String,
    /// What to do about it, as a command where there is one.
    pub remedy: String,
    /// Names of those who can do it; empty when nobody can at present.
    pub who: Vec<String>,
    /// Other remedies, any one of which is enough in its place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub or: Vec<String>,
}

impl Condition {
    /// Builds a condition.
    pub fn new(code: &str, what: impl Into<String>, remedy: impl Into<String>, who: Vec<String>) -> Self {
        Self {
            code: code.to_owned(),
            what: what.into(),
            remedy: remedy.into(),
            who,
            or: Vec::new(),
        }
    }
}

impl Failure {
    /// A failure without conditions.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            remedy: None,
            unmet: Vec::new(),
        }
    }

    /// Adds the next step.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// An action whose conditions are not met.
    pub fn blocked(action: impl Into<String>, unmet: Vec<Condition>) -> Self {
        Self {
            kind: FailureKind::Blocked,
            message: action.into(),
            remedy: None,
            unmet,
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)?;
        for condition in &self.unmet {
            write!(f, "; {}", condition.what)?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}
